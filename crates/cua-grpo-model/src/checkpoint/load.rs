//! Loading a model: every tensor by name, wrong ones listed with what was expected and what was found.

use super::{HostTensor, TensorFiles};
use crate::nn::Slot;
use crate::{ModelConfig, ModelError, Qwen3Vl};
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

/// Loads the checkpoint folder `dir`.
///
/// Extra tensors are ignored (a tied checkpoint may still hold its head). Names without the middle part
/// (`model.layers.*`, `visual.*`), as older tools write them, are accepted.
///
/// # Errors
/// [`ModelError::Tensors`] lists every tensor that is missing or has another shape.
pub fn load_model(dir: &Path, device: &Device) -> Result<Qwen3Vl, ModelError> {
    let config = ModelConfig::load(dir)?;
    let files = TensorFiles::open(dir)?;
    let mut model = Qwen3Vl::init(&config, 0, device);
    let mut problems = Vec::new();
    let mut failure = None;
    model.visit(&mut |name, slot| {
        let mut fill = |expected: Vec<usize>| -> Option<Vec<f32>> {
            let found = match find(&files, name) {
                Ok(found) => found,
                Err(error) => {
                    failure.get_or_insert(error);
                    return None;
                }
            };
            let Some((shape, values)) = found else {
                problems.push(format!("{name}: expected shape {expected:?}, found no such tensor"));
                return None;
            };
            // The patch convolution is stored with its kernel axes apart.
            let flat = [shape.first().copied().unwrap_or(0), shape.iter().skip(1).product()];
            if shape != expected && (!name.ends_with("patch_embed.proj.weight") || flat[..] != expected[..]) {
                problems.push(format!("{name}: expected shape {expected:?}, found {shape:?}"));
                return None;
            }
            Some(values)
        };
        match slot {
            Slot::Vector(tensor) => {
                let shape = tensor.dims();
                if let Some(values) = fill(shape.to_vec()) {
                    *tensor = Tensor::from_data(TensorData::new(values, shape), device);
                }
            }
            Slot::Matrix(tensor) => {
                let shape = tensor.dims();
                if let Some(values) = fill(shape.to_vec()) {
                    *tensor = Tensor::from_data(TensorData::new(values, shape), device);
                }
            }
        }
    });
    match (failure, problems.is_empty()) {
        (Some(error), _) => Err(error),
        (None, false) => Err(ModelError::Tensors(problems)),
        (None, true) => Ok(model),
    }
}

/// The tensor under its released name or an older one.
fn find(files: &TensorFiles, name: &str) -> Result<Option<HostTensor>, ModelError> {
    let older = [
        name.replacen("model.language_model.", "model.", 1),
        name.replacen("model.visual.", "visual.", 1),
        name.replacen("model.language_model.", "language_model.model.", 1),
    ];
    for candidate in std::iter::once(name).chain(older.iter().map(String::as_str)) {
        if let Some(found) = files.get(candidate)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
