//! Attaching a fresh adapter.

use super::targets::{Targets, matched_modules};
use crate::nn::{Initializer, LoraPair};
use crate::{ModelError, Qwen3Vl};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Hyperparameters of an adapter, with PEFT's key names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// The update is scaled by `alpha / r` (or `alpha / sqrt(r)`).
    pub lora_alpha: f64,
    /// Scale by the square root of the rank (rsLoRA).
    #[serde(default)]
    pub use_rslora: bool,
    /// Modules to attach to.
    pub target_modules: Targets,
}

impl LoraConfig {
    /// The factor of the update.
    pub fn scaling(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

/// Attaches a fresh adapter: `A` uniform in `±1/sqrt(in)` (Kaiming with a = sqrt 5), `B` zero, so the policy starts
/// as the reference. Returns the module paths.
///
/// # Errors
/// When the rank is 0 or a target matches nothing.
pub fn attach(model: &mut Qwen3Vl, config: &LoraConfig, seed: u64) -> Result<Vec<String>, ModelError> {
    if config.r == 0 {
        return Err(ModelError::Config(
            "lora_r: expected a rank of at least 1, got 0".to_owned(),
        ));
    }
    let modules = matched_modules(model, &config.target_modules)?;
    let device = model.device();
    let mut init = Initializer::new(seed, &device);
    model.visit_linear(&mut |path, linear| {
        linear.lora = modules.iter().any(|module| module == path).then(|| {
            let [d_output, d_input] = linear.dims();
            LoraPair {
                a: init.uniform([config.r, d_input], (d_input as f32).powf(-0.5)),
                b: Tensor::zeros([d_output, config.r], &device),
                scaling: config.scaling(),
            }
        });
    });
    Ok(modules)
}
