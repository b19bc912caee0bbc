//! The plan of one run: its sizes, its memory, and how far it could grow.

use super::turns::Turns;
use crate::config::TrainConfig;
use crate::error::TrainError;
use cua_grpo_model::memory::{Available, Component, Demand, Fit, Load, Memory, ModelSizes, Phase};
use cua_grpo_model::{ModelConfig, ParameterCount};
use serde::Serialize;

/// What is known before a run.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Name of the model.
    pub model: String,
    /// Where its sizes are from.
    pub sizes_from: String,
    /// Where tensors live.
    pub device: String,
    /// Where the keys are from that were not given.
    pub keys_from: String,
    /// How the weights are stored.
    pub weights_in: String,
    /// Weights by component.
    pub parameters: Parameters,
    /// What is done at once.
    pub load: Load,
    /// Memory by component.
    pub components: Vec<Component>,
    /// Bytes that are needed at once.
    pub peak_bytes: u64,
    /// Bytes that are needed at once with the weights in four bits; `None` when they are already.
    pub four_bits_bytes: Option<u64>,
    /// The peak with `activation_offloading`, where that is something else.
    pub offloaded_bytes: Option<u64>,
    /// Pinned memory of the host, with `activation_offloading`.
    pub host_bytes: u64,
    /// Bytes of `trainer score` on a conversation of 64 tokens.
    pub score_bytes: u64,
    /// Memory of the device; `None` when it is not known.
    pub available: Option<Available>,
    /// Why it is not known.
    pub unknown: Option<String>,
    /// How far the run could grow in what is free.
    pub fit: Option<Fit>,
    /// How many turns its context holds.
    pub turns: Option<Turns>,
    /// The settings nearest to those asked for with which it fits; empty where none do, or where nothing is known.
    pub settings: Vec<Setting>,
    /// The plan with those settings.
    pub fitted: Option<Box<Plan>>,
}

/// A key with the value to paste.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// Its value, as YAML.
    pub value: String,
    /// What was asked for, where that is another value.
    pub instead_of: Option<String>,
}

/// Weights by component.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parameters {
    /// All of them, the adapter not counted.
    pub total: u64,
    /// The vision tower.
    pub vision: u64,
    /// The token embedding.
    pub embedding: u64,
    /// Attention of the decoder.
    pub attention: u64,
    /// MLPs of the decoder: dense ones, experts and routers.
    pub mlp: u64,
    /// Norms of the decoder.
    pub norms: u64,
    /// The output head; 0 when it is the embedding.
    pub head: u64,
    /// Those that one token goes through.
    pub active: u64,
    /// Those that are trained.
    pub trainable: u64,
}

/// Tokens of the conversation that [`Plan::score_bytes`] is for.
pub(super) const SCORED: u64 = 64;

impl Plan {
    /// The plan of `config` for a model of the sizes `model`, which are from `sizes_from`, against `memory` GiB instead of
    /// what the device has when given.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when an adapter target matches nothing.
    pub fn of(
        config: &TrainConfig,
        model: &ModelConfig,
        sizes_from: String,
        memory: Option<f64>,
    ) -> Result<Self, TrainError> {
        let lora = config.use_lora.then(|| config.lora());
        let sizes = ModelSizes::of(model, lora.as_ref()).map_err(|error| TrainError::Usage(error.to_string()))?;
        let placement = config.placement();
        let storage = Memory::of(&placement).offloading(config.activation_offloading);
        let demand = demand(config);
        let load = demand.load();
        let process = storage.process();
        let found = match memory {
            Some(gib) => Ok(Available::of_flag(gib)),
            None => Available::of_device(config.device),
        };
        let (available, unknown) = match found {
            Ok(available) => (Some(available), None),
            Err(reason) => (None, Some(reason)),
        };
        let fit = available.map(|available| Fit::of(&storage, &sizes, &demand, available.free));
        Ok(Self {
            model: config.model_name.clone(),
            sizes_from,
            device: config.device.to_string(),
            keys_from: String::new(),
            weights_in: if config.load_in_4bit {
                format!("4 bits (NF4), {}", config.dtype.config_name())
            } else {
                config.dtype.config_name().to_owned()
            },
            parameters: parameters(&sizes.count, sizes.adapter),
            load,
            components: storage.components(&sizes, &load),
            peak_bytes: storage.peak(&sizes, &load) + process,
            four_bits_bytes: (!storage.four_bits).then(|| {
                let storage = Memory {
                    four_bits: true,
                    ..storage
                };
                storage.peak(&sizes, &load) + process
            }),
            offloaded_bytes: (storage.offloading(true) != storage)
                .then(|| storage.offloading(true).peak(&sizes, &load) + process),
            host_bytes: storage.host(&sizes, &load),
            score_bytes: storage.weights(&sizes) + storage.scoring(&sizes, SCORED) + process,
            available,
            unknown,
            fit,
            turns: None,
            settings: Vec::new(),
            fitted: None,
        })
    }

    /// Sum of what is alive in `phase`, in bytes.
    pub fn phase(&self, phase: Phase) -> u64 {
        let lines = self.components.iter();
        lines
            .filter(|line| self.load.beside || line.phase == phase || line.phase == Phase::Always)
            .map(|line| line.bytes)
            .sum()
    }
}

fn parameters(count: &ParameterCount, trainable: u64) -> Parameters {
    Parameters {
        total: count.total(),
        vision: count.vision(),
        embedding: count.embedding,
        attention: count.attention,
        mlp: count.mlp + count.experts + count.routers,
        norms: count.norms,
        head: count.head,
        active: count.active(),
        trainable,
    }
}

/// What `config` asks for.
fn demand(config: &TrainConfig) -> Demand {
    Demand {
        episodes: (config.batch_size * config.num_rollouts * config.gradient_accumulation_steps) as u64,
        concurrency: config.concurrency as u64,
        context: config.context_limit() as u64,
        turns: config.max_turns as u64,
        cuts: (1..config.max_turns).contains(&(2 * config.keep_screenshots)),
        reply: config.max_new_tokens as u64,
        micro_batch: config.micro_batch_tokens as u64,
        ahead: config.max_staleness as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, WeightDtype, load};

    fn plan_of(config: &TrainConfig, memory: Option<f64>) -> Plan {
        let model = ModelConfig::preset("2b").unwrap();
        Plan::of(config, &model, String::new(), memory).unwrap()
    }

    #[test]
    fn what_fits_fits_and_one_more_does_not() {
        let mut config: TrainConfig = load(&Sources::default()).unwrap();
        config.model_name = "2b".into();
        config.dtype = WeightDtype::Bf16;
        let plan = plan_of(&config, Some(64.0));
        let (total, free) = (plan.parameters.total, plan.available.unwrap().free);
        assert_eq!((total, free), (2_127_532_032, 64 << 30));
        let fit = plan.fit.unwrap();
        assert!(
            fit.max_conversations > 1 && fit.context > 1 && fit.micro_batch > 2048,
            "{fit:?}"
        );
        let needs = |change: &dyn Fn(&mut TrainConfig), phase| {
            let mut config = config.clone();
            change(&mut config);
            let process = Memory::of(&config.placement()).process();
            plan_of(&config, None).phase(phase) + process
        };
        for extra in [0, 1] {
            let found = [
                needs(
                    &|config| {
                        config.concurrency = fit.max_conversations as usize + extra;
                        config.batch_size = config.concurrency;
                    },
                    Phase::Sampling,
                ),
                needs(
                    &|config| config.micro_batch_tokens = fit.micro_batch as usize + extra,
                    Phase::Updating,
                ),
            ];
            assert!(
                found.iter().all(|&bytes| (bytes <= free) == (extra == 0)),
                "{extra} {found:?}"
            );
        }
        let none = plan_of(&config, Some(1.0)).fit.unwrap();
        assert!(!none.fits);
        assert_eq!((none.max_conversations, none.context, none.micro_batch), (0, 0, 0));
    }
}
