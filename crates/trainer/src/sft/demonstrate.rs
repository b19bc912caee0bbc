//! The demonstrator in the place of the sampler: demonstrations are ordinary rollouts.

use async_trait::async_trait;
use cua_grpo_core::{
    Completion, Fault, FaultKind, PolicyVersion, Prompt, Renderer, Sampler, SamplerSession, SamplingParams,
    SessionContext, StopReason, Task, derive_seed,
};
use cua_grpo_gbox::action::to_reply;
use cua_grpo_sim::{Demonstrator, PhoneAccess, Skill};
use std::collections::HashMap;
use std::sync::Arc;

/// Plays each task as the scripted demonstrator does.
pub struct DemonstratingSampler {
    /// The phones, whose true state the demonstrator reads.
    pub phones: PhoneAccess,
    /// Turns replies into tokens.
    pub renderer: Arc<dyn Renderer>,
    /// The tasks, by id.
    pub tasks: HashMap<String, Task>,
    /// How well it plays.
    pub skill: Skill,
    /// Seed of its mistakes.
    pub seed: u64,
}

impl Sampler for DemonstratingSampler {
    fn open(&self, context: SessionContext) -> Box<dyn SamplerSession> {
        let task = self.tasks.get(&context.task);
        let seed = derive_seed(&[self.seed, context.index as u64]);
        let demonstrator = match task {
            None => Err(format!("no task {}", context.task)),
            Some(task) => Demonstrator::new(task, self.skill, seed).map_err(|error| error.to_string()),
        };
        let (phones, renderer) = (self.phones.clone(), self.renderer.clone());
        Box::new(Session {
            phones,
            renderer,
            demonstrator,
            device: context.device.unwrap_or_default(),
        })
    }

    fn version(&self) -> PolicyVersion {
        0
    }
}

struct Session {
    phones: PhoneAccess,
    renderer: Arc<dyn Renderer>,
    demonstrator: Result<Demonstrator, String>,
    device: String,
}

#[async_trait]
impl SamplerSession for Session {
    async fn sample(&mut self, _prompt: &Prompt, _params: &SamplingParams) -> Result<Completion, Fault> {
        let fault = |message: String| Fault::new(FaultKind::Sampler, "demonstrate", message);
        let demonstrator = self.demonstrator.as_mut().map_err(|message| fault(message.clone()))?;
        let action = self.phones.with_phone(&self.device, |phone| demonstrator.next(phone));
        let action = action.ok_or_else(|| fault(format!("no simulated phone {}", self.device)))?;
        let tokens = self.renderer.encode_reply(&to_reply(&action));
        let count = tokens.len();
        Ok(Completion {
            tokens,
            logprobs: vec![0.0; count],
            kept_mass: vec![1.0; count],
            versions: vec![0; count],
            stop: StopReason::Stop,
        })
    }
}
