//! Saving a model in shards: one tensor on the host at a time, and files that appear under their names when all are whole.

use super::experts::{ExpertLayout, ExpertPart, transposed};
use super::stream::{Finished, Planned, TensorWriter};
use super::{INDEX_FILE, SINGLE_FILE, WeightDtype};
use crate::nn::Param;
use crate::{ModelError, Qwen3Vl};
use burn::tensor::{DType, TensorData};
use std::collections::BTreeMap;
use std::path::Path;

/// How a model is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveOptions {
    /// Format of the tensors; `None` is the format that the embedding is held in.
    pub dtype: Option<WeightDtype>,
    /// Largest size of the tensors of a shard in bytes. A tensor that is larger has a shard to itself.
    pub max_shard_bytes: u64,
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self {
            dtype: None,
            max_shard_bytes: 5_000_000_000,
        }
    }
}

impl SaveOptions {
    /// Tensors in the format `dtype`, in shards of at most 5 GB.
    pub fn new(dtype: WeightDtype) -> Self {
        Self {
            dtype: Some(dtype),
            ..Self::default()
        }
    }
}

/// What goes into one file.
#[derive(Default)]
struct Shard {
    /// The tensors, in the order in which they are visited.
    tensors: Vec<Planned>,
    /// How many visits fill them: the experts of a layer are visited one by one and stored as one tensor.
    visits: usize,
}

/// Writes the weights and `config.json` into `dir`. Weights in four bits are written as the values that they stand for.
///
/// # Errors
/// When a file cannot be written.
pub fn save_model(model: &Qwen3Vl, dir: &Path, options: &SaveOptions, bos: u32, eos: u32) -> Result<(), ModelError> {
    let dtype = save_weights(model, dir, options)?;
    let path = dir.join("config.json");
    let mut json = model.config.to_json(bos, eos);
    json["text_config"]["dtype"] = dtype.config_name().into();
    std::fs::write(&path, format!("{json:#}\n")).map_err(ModelError::io("write", &path))
}

/// Writes the weights into `dir`: `model.safetensors`, or shards and their index when they are larger than a shard may be.
/// Weights that the folder held before are removed. Returns the format that was written.
///
/// # Errors
/// When a file cannot be written. What the folder held before is then still there.
pub fn save_weights(model: &Qwen3Vl, dir: &Path, options: &SaveOptions) -> Result<WeightDtype, ModelError> {
    std::fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
    let dtype = options.dtype.unwrap_or_else(|| held(model));
    let shards = plan(model, dtype, options.max_shard_bytes);
    let count = shards.len();
    let file_name = |number: usize| match count {
        1 => SINGLE_FILE.to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
    };
    let mut writing = Writing {
        dir,
        shards: &shards,
        current: None,
        finished: Vec::new(),
        left: 0,
    };
    let mut result = Ok(());
    let layout = ExpertLayout::released(model.config.family());
    model.visit(&mut |name, param| {
        if result.is_ok() {
            let data = match ExpertPart::of(name) {
                Some(_) if layout == ExpertLayout::InOut => transposed(data(param)),
                _ => data(param),
            };
            result = writing.append(&data, format_of(name, dtype), &file_name);
        }
    });
    model.visit_nf4(&mut |name, weight| {
        if result.is_ok() {
            result = writing.append(&weight.dequantise().into_data(), format_of(name, dtype), &file_name);
        }
    });
    result?;
    let finished = writing.finish()?;
    remove_weights(dir)?;
    for file in finished {
        file.rename()?;
    }
    if count > 1 {
        write_index(dir, &shards, &file_name)?;
    }
    Ok(dtype)
}

/// Shards in progress.
struct Writing<'a> {
    dir: &'a Path,
    shards: &'a [Shard],
    current: Option<TensorWriter>,
    finished: Vec<Finished>,
    /// Visits that the current shard still waits for.
    left: usize,
}

impl Writing<'_> {
    fn append(
        &mut self,
        data: &TensorData,
        dtype: WeightDtype,
        file_name: &impl Fn(usize) -> String,
    ) -> Result<(), ModelError> {
        let mut writer = match self.current.take() {
            Some(writer) => writer,
            None => {
                let number = self.finished.len();
                let shard = &self.shards[number];
                self.left = shard.visits;
                TensorWriter::create(&self.dir.join(file_name(number)), &shard.tensors)?
            }
        };
        writer.append(data, dtype)?;
        self.left -= 1;
        if self.left == 0 {
            self.finished.push(writer.finish()?);
        } else {
            self.current = Some(writer);
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Finished>, ModelError> {
        match self.current {
            None => Ok(self.finished),
            Some(_) => unreachable!("the plan and the writing visit the same tensors"),
        }
    }
}

/// Divides the tensors, in the order of the visit.
fn plan(model: &Qwen3Vl, dtype: WeightDtype, limit: u64) -> Vec<Shard> {
    let vision = model.config.vision.clone();
    let layout = ExpertLayout::released(model.config.family());
    let experts = model.config.text.moe.as_ref().map_or(0, |moe| moe.num_experts);
    let mut shards = vec![Shard::default()];
    let mut used = 0;
    let mut place = |name: &str, mut shape: Vec<usize>| {
        let mut name = name.to_owned();
        if name.ends_with("patch_embed.proj.weight") {
            let side = vision.patch_size;
            shape = vec![shape[0], vision.in_channels, vision.temporal_patch_size, side, side];
        }
        if name.ends_with(".conv1d.weight") {
            shape = vec![shape[0], 1, shape[1]];
        }
        if let Some(part) = ExpertPart::of(&name) {
            if part.index > 0 {
                if let Some(shard) = shards.last_mut() {
                    shard.visits += 1;
                }
                return;
            }
            name = part.tensor;
            shape = match layout {
                ExpertLayout::InOut => vec![experts, shape[1], shape[0]],
                ExpertLayout::OutIn => vec![experts, shape[0], shape[1]],
            };
        }
        let dtype = format_of(&name, dtype);
        let bytes = (shape.iter().product::<usize>() * dtype.size()) as u64;
        if used > 0 && used + bytes > limit {
            shards.push(Shard::default());
            used = 0;
        }
        used += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.tensors.push((name, shape, dtype));
            shard.visits += 1;
        }
    };
    model.visit(&mut |name, param| place(name, param.dims()));
    model.visit_nf4(&mut |name, weight| place(name, weight.dims().to_vec()));
    shards
}

/// Removes the weights, the index first, so that a reader never follows it to shards of another save.
fn remove_weights(dir: &Path) -> Result<(), ModelError> {
    let mut old = vec![dir.join(INDEX_FILE)];
    for entry in std::fs::read_dir(dir).map_err(ModelError::io("read", dir))? {
        let path = entry.map_err(ModelError::io("read", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let shard = name.starts_with("model-") && name.contains("-of-") && name.ends_with(".safetensors");
        if shard || name == SINGLE_FILE {
            old.push(path);
        }
    }
    for path in old {
        if path.exists() {
            std::fs::remove_file(&path).map_err(ModelError::io("remove", &path))?;
        }
    }
    Ok(())
}

fn write_index(dir: &Path, shards: &[Shard], file_name: &impl Fn(usize) -> String) -> Result<(), ModelError> {
    let tensors = || {
        let numbered = shards.iter().enumerate();
        numbered.flat_map(|(number, shard)| shard.tensors.iter().map(move |tensor| (number, tensor)))
    };
    let values = |shape: &[usize]| shape.iter().product::<usize>();
    let count: usize = tensors().map(|(_, (_, shape, _))| values(shape)).sum();
    let bytes: usize = tensors()
        .map(|(_, (_, shape, dtype))| values(shape) * dtype.size())
        .sum();
    let map: BTreeMap<&str, String> = tensors()
        .map(|(number, (name, ..))| (name.as_str(), file_name(number)))
        .collect();
    let json = serde_json::json!({
        "metadata": {"total_parameters": count, "total_size": bytes},
        "weight_map": map,
    });
    let path = dir.join(INDEX_FILE);
    let partial = path.with_extension("json.partial");
    std::fs::write(&partial, format!("{json:#}\n")).map_err(ModelError::io("write", &partial))?;
    std::fs::rename(&partial, &path).map_err(ModelError::io("write", &path))
}

/// The format that the tensor `name` is written in, where others are in `dtype`: what decides how long a recurrent layer
/// remembers stays f32, as in the released checkpoints.
fn format_of(name: &str, dtype: WeightDtype) -> WeightDtype {
    if name.ends_with(".linear_attn.A_log") || name.ends_with(".linear_attn.norm.weight") {
        WeightDtype::F32
    } else {
        dtype
    }
}

/// The format that the embedding is held in.
fn held(model: &Qwen3Vl) -> WeightDtype {
    match model.language_model.embed_tokens.dtype() {
        DType::BF16 => WeightDtype::Bf16,
        _ => WeightDtype::F32,
    }
}

/// The values of a tensor of the model, in the format it is held in.
fn data(param: Param<'_>) -> TensorData {
    match param {
        Param::Vector(tensor) => tensor.clone().without_autodiff().into_data(),
        Param::Matrix(tensor) => tensor.clone().without_autodiff().into_data(),
    }
}
