//! The seam through which a new version of the policy reaches whoever samples with it.

use anyhow::Result;
use cua_grpo_model::Policy;
use cua_grpo_model::generate::ModelSampler;

/// The policy after an update.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    /// The weights with their adapter. A sampler of this process takes them as they are; one elsewhere takes the adapter,
    /// which [`save_adapter`](cua_grpo_model::lora::save_adapter) writes as PEFT's files.
    pub policy: &'a Policy,
    /// Its version: every token that it samples carries this number.
    pub version: u64,
}

/// Takes new versions of the policy.
pub trait Publish: Send + Sync {
    /// Lets all that is sampled from now on come from `snapshot`.
    ///
    /// # Errors
    /// When it did not arrive: the run saves and ends, for what it would sample next is not what it trains.
    fn publish(&self, snapshot: Snapshot<'_>) -> Result<()>;
}

impl Publish for ModelSampler {
    fn publish(&self, snapshot: Snapshot<'_>) -> Result<()> {
        self.set_model(snapshot.policy.model().clone(), snapshot.version);
        Ok(())
    }
}
