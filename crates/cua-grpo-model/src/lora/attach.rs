//! Attaching a fresh adapter.

use super::config::LoraConfig;
use super::resolve::resolve;
use crate::nn::{Initializer, LoraPair};
use crate::{ModelError, Qwen3Vl};
use burn::tensor::Tensor;

/// Attaches a fresh adapter: `A` uniform in `±1/sqrt(in)` (Kaiming with a = sqrt 5), `B` zero, so the policy starts
/// as the reference. Returns the module paths.
///
/// # Errors
/// Those of [`resolve()`].
pub fn attach(model: &mut Qwen3Vl, config: &LoraConfig, seed: u64) -> Result<Vec<String>, ModelError> {
    let adapted = resolve(model, config)?;
    let device = model.device();
    let mut init = Initializer::new(seed, &device);
    let mut next = adapted.iter().peekable();
    model.visit_linear_mut(&mut |path, linear| {
        linear.lora = next.next_if(|module| module.path == path).map(|module| {
            let [d_output, d_input] = linear.dims();
            LoraPair {
                a: init.uniform([module.rank, d_input], (d_input as f32).powf(-0.5)),
                b: Tensor::zeros([d_output, module.rank], &device),
                scaling: module.scaling,
                dropout: None,
            }
        });
    });
    Ok(adapted.into_iter().map(|module| module.path).collect())
}
