//! Loading a model: tensor by tensor from the files to the device, wrong ones listed before anything is read.

use super::{TensorFiles, WeightDtype};
use crate::nn::Slot;
use crate::{ModelConfig, ModelError, Qwen3Vl};
use burn::tensor::{Device, Tensor};
use std::collections::BTreeSet;
use std::path::Path;

/// How the weights of a checkpoint are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Format of the matrices: weights of linear maps, embedding, head. Norms, biases, the position table of the vision
    /// tower and routers stay f32: they are small, and enter sums.
    pub dtype: WeightDtype,
}

impl LoadOptions {
    /// Matrices in the format `dtype`.
    pub fn new(dtype: WeightDtype) -> Self {
        Self { dtype }
    }

    /// The format of the tensor of that name and kind.
    fn dtype_of(&self, name: &str, slot: &Slot<'_>) -> WeightDtype {
        match slot {
            Slot::Vector(_) => WeightDtype::F32,
            Slot::Matrix(_) if name.ends_with(".pos_embed.weight") => WeightDtype::F32,
            Slot::Matrix(_) => self.dtype,
        }
    }
}

/// Loads the checkpoint folder `dir`.
///
/// Tensors that the model lacks are logged at debug level and left (a tied checkpoint may still hold its head). Names
/// without the middle part (`model.layers.*`, `visual.*`), as older tools write them, are accepted. The host holds one
/// tensor at a time beside what is on the device.
///
/// # Errors
/// [`ModelError::Tensors`] lists every tensor that is missing or has another shape.
pub fn load_model(dir: &Path, options: &LoadOptions, device: &Device) -> Result<Qwen3Vl, ModelError> {
    let config = ModelConfig::load(dir)?;
    let files = TensorFiles::open(dir)?;
    let mut model = Qwen3Vl::unread(&config, device);
    check_tensors(&mut model, &files, dir)?;
    let mut result = Ok(());
    model.visit(&mut |name, slot| {
        if result.is_ok() {
            result = fill(name, slot, &files, options, device);
        }
    });
    result.map(|()| model)
}

/// Reads one tensor of the model into its place.
fn fill(
    name: &str,
    slot: Slot<'_>,
    files: &TensorFiles,
    options: &LoadOptions,
    device: &Device,
) -> Result<(), ModelError> {
    let stored = find(files, name).unwrap_or_else(|| name.to_owned());
    let dtype = options.dtype_of(name, &slot);
    match slot {
        Slot::Vector(tensor) => {
            let data = files.read(&stored, dtype, &tensor.dims())?;
            *tensor = Tensor::from_data(data, (device, dtype.burn()));
        }
        Slot::Matrix(tensor) => {
            let data = files.read(&stored, dtype, &tensor.dims())?;
            *tensor = Tensor::from_data(data, (device, dtype.burn()));
        }
    }
    Ok(())
}

/// Compares names and shapes of the files with those of the model.
fn check_tensors(model: &mut Qwen3Vl, files: &TensorFiles, dir: &Path) -> Result<(), ModelError> {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    model.visit(&mut |name, slot| {
        let expected = match slot {
            Slot::Vector(tensor) => tensor.dims().to_vec(),
            Slot::Matrix(tensor) => tensor.dims().to_vec(),
        };
        let found = find(files, name).and_then(|stored| {
            let shape = files.info(&stored)?.1;
            used.insert(stored);
            Some(shape)
        });
        let Some(shape) = found else {
            problems.push(format!("{name}: expected shape {expected:?}, found no such tensor"));
            return;
        };
        // The patch convolution is stored with its kernel axes apart.
        let flat = [shape.first().copied().unwrap_or(0), shape.iter().skip(1).product()];
        if shape != expected && (!name.ends_with("patch_embed.proj.weight") || flat[..] != expected[..]) {
            problems.push(format!("{name}: expected shape {expected:?}, found {shape:?}"));
        }
    });
    if !problems.is_empty() {
        return Err(ModelError::Tensors(problems));
    }
    let tied = model.config.tie_word_embeddings;
    for name in files.names().filter(|name| !used.contains(*name)) {
        if !is_known_extra(name, tied) {
            tracing::debug!(checkpoint = %dir.display(), tensor = name, "not a tensor of this model, left in the file");
        }
    }
    Ok(())
}

/// Tensors that some tools store although they say nothing: the head of a tied model, rotary frequencies.
fn is_known_extra(name: &str, tied: bool) -> bool {
    tied && name.ends_with("lm_head.weight")
        || name.ends_with("rotary_emb.inv_freq")
        || name.ends_with("rotary_pos_emb.inv_freq")
}

/// The name in the files of the model's tensor `name`: the released one or an older one.
fn find(files: &TensorFiles, name: &str) -> Option<String> {
    let candidates = [
        name.to_owned(),
        name.replacen("model.language_model.", "model.", 1),
        name.replacen("model.visual.", "visual.", 1),
        name.replacen("model.language_model.", "language_model.model.", 1),
        format!("language_model.{name}"),
    ];
    candidates.into_iter().find(|candidate| files.info(candidate).is_some())
}
