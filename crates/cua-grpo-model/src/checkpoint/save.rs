//! Writing checkpoints: a file appears under its name only when it is whole.

use crate::nn::Slot;
use crate::{ModelError, Qwen3Vl};
use burn::tensor::{Tensor, TensorData};
use half::bf16;
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::path::Path;

/// A tensor as bytes, ready to be written.
pub struct TensorBytes {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl TensorBytes {
    /// f32 values.
    pub fn f32(shape: Vec<usize>, values: &[f32]) -> Self {
        Self {
            dtype: Dtype::F32,
            shape,
            bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    /// Values rounded to bf16.
    pub fn bf16(shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values
            .iter()
            .flat_map(|&value| bf16::from_f32(value).to_le_bytes())
            .collect();
        Self {
            dtype: Dtype::BF16,
            shape,
            bytes,
        }
    }
}

impl View for &TensorBytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes tensors, with the `format: pt` mark that Python readers look for. Written beside and renamed when whole.
///
/// # Errors
/// When the file cannot be written.
pub fn write_safetensors(path: &Path, tensors: &[(String, TensorBytes)]) -> Result<(), ModelError> {
    let views = tensors.iter().map(|(name, tensor)| (name.clone(), tensor));
    let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
    let bytes = safetensors::serialize(views, metadata).map_err(|error| ModelError::format(path, error))?;
    let partial = path.with_extension("safetensors.partial");
    std::fs::write(&partial, bytes).map_err(ModelError::io("write", &partial))?;
    std::fs::rename(&partial, path).map_err(ModelError::io("write", path))
}

/// Writes `model.safetensors` and `config.json` into `dir`; bf16 halves the size of f32.
///
/// # Errors
/// When a file cannot be written.
pub fn save_model(model: &mut Qwen3Vl, dir: &Path, in_bf16: bool, bos: u32, eos: u32) -> Result<(), ModelError> {
    std::fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
    let vision = model.config.vision.clone();
    let mut tensors = Vec::new();
    model.visit(&mut |name, slot| {
        let (mut shape, values) = match slot {
            Slot::Vector(tensor) => (tensor.dims().to_vec(), host(tensor.clone())),
            Slot::Matrix(tensor) => (tensor.dims().to_vec(), host(tensor.clone())),
        };
        if name.ends_with("patch_embed.proj.weight") {
            let side = vision.patch_size;
            shape = vec![shape[0], vision.in_channels, vision.temporal_patch_size, side, side];
        }
        let tensor = if in_bf16 {
            TensorBytes::bf16(shape, &values)
        } else {
            TensorBytes::f32(shape, &values)
        };
        tensors.push((name.to_owned(), tensor));
    });
    write_safetensors(&dir.join("model.safetensors"), &tensors)?;
    let path = dir.join("config.json");
    let mut json = model.config.to_json(bos, eos);
    json["text_config"]["dtype"] = if in_bf16 { "bfloat16" } else { "float32" }.into();
    std::fs::write(&path, format!("{json:#}\n")).map_err(ModelError::io("write", &path))
}

/// The values of a float tensor on the host.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data: TensorData = tensor.without_autodiff().into_data().convert::<f32>();
    data.try_to_vec::<f32>()
        .unwrap_or_else(|error| unreachable!("data was converted to f32: {error:?}"))
}
