//! Loading a model: tensor by tensor from the files to the device, wrong ones listed before anything is read.

use super::experts::{ExpertLayout, ExpertPart, transposed};
use super::extras;
use super::files::find;
use super::{LoadOptions, TensorFiles, WeightDtype, quantised, room};
use crate::memory::machine::Available;
use crate::nn::ParamMut;
use crate::{Family, ModelConfig, ModelError, Qwen3Vl};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeSet;
use std::path::Path;

/// Loads the checkpoint folder `dir`.
///
/// Names without the middle part (`model.layers.*`, `visual.*`), as older tools write them, are accepted. Tensors of no
/// part of the model are left, with a warning. Where the configuration ties the head to the embedding and the files hold a
/// head with other values, that head counts, with a warning, and the model's configuration says so, as in transformers 5.
/// The host holds one tensor at a time beside what is on the device.
///
/// # Errors
/// [`ModelError::Tensors`] lists every tensor that is missing or has another shape, and those that belong to a module of
/// the model but have no place in it. [`ModelError::Memory`] comes before anything is read when the weights are to lie in the
/// memory of this machine and take more than is free.
pub fn load_model(dir: &Path, options: &LoadOptions, device: &Device) -> Result<Qwen3Vl, ModelError> {
    let host = device.clone().without_autodiff() == Device::flex();
    let available = host.then(|| Available::of_host().ok()).flatten();
    load_within(dir, options, device, available.as_ref())
}

/// As [`load_model`] on a device that has `available`, where that is known.
pub(crate) fn load_within(
    dir: &Path,
    options: &LoadOptions,
    device: &Device,
    available: Option<&Available>,
) -> Result<Qwen3Vl, ModelError> {
    let mut config = ModelConfig::load(dir)?;
    let mut files = TensorFiles::open(dir)?;
    if config.tie_word_embeddings {
        config.tie_word_embeddings = is_tied(&mut files, dir)?;
    }
    let mut model = Qwen3Vl::unread(&config, device);
    quantised::mark(&mut model, &files, dir, options.nf4.as_ref(), device)?;
    check_tensors(&model, &files, dir)?;
    if let Some(available) = available {
        room::check(&model, options, dir, available)?;
    }
    let mut result = Ok(());
    let family = config.family();
    model.visit_mut(&mut |name, param| {
        if result.is_ok() {
            result = fill(name, param, &files, options, (device, family));
        }
    });
    let double_quant = options.nf4.as_ref().is_some_and(|nf4| nf4.double_quant);
    model.visit_nf4_mut(&mut |name, weight| {
        if result.is_ok() {
            let stored = find(&files, name).unwrap_or_else(|| name.to_owned());
            result = quantised::read(&files, &stored, weight.shape, double_quant, device).map(|read| *weight = read);
        }
    });
    result.map(|()| model)
}

/// Reads one tensor of the model into its place.
fn fill(
    name: &str,
    param: ParamMut<'_>,
    files: &TensorFiles,
    options: &LoadOptions,
    (device, family): (&Device, Family),
) -> Result<(), ModelError> {
    let dtype = options.dtype_of(name, &param.as_ref());
    let stored = find(files, name).unwrap_or_else(|| name.to_owned());
    match (param, ExpertPart::of(name)) {
        (ParamMut::Matrix(tensor), Some(part)) => {
            let data = read_expert(files, &part, dtype, tensor.dims(), family)?;
            *tensor = Tensor::from_data(data, (device, dtype.burn()));
        }
        (ParamMut::Vector(tensor), _) => {
            let data = files.read(&stored, dtype, &tensor.dims())?;
            *tensor = Tensor::from_data(data, (device, dtype.burn()));
        }
        (ParamMut::Matrix(tensor), None) => {
            // What is no linear map of the towers (a head) is held dense even where the file has it in four bits.
            *tensor = match quantised::read_stored(files, &stored, tensor.dims(), device)? {
                Some(weight) => weight.dequantise().cast(dtype.burn()),
                None => {
                    let data = files.read(&stored, dtype, &tensor.dims())?;
                    Tensor::from_data(data, (device, dtype.burn()))
                }
            };
        }
    }
    Ok(())
}

/// The matrix `[out, in]` of one expert.
fn read_expert(
    files: &TensorFiles,
    part: &ExpertPart,
    dtype: WeightDtype,
    shape: [usize; 2],
    family: Family,
) -> Result<TensorData, ModelError> {
    let stored = find(files, &part.tensor).unwrap_or_else(|| part.tensor.clone());
    let data = files.read_part(&stored, part.index, dtype)?;
    let experts = files.info(&stored).and_then(|(_, shape)| shape.first().copied());
    match ExpertLayout::find(files, &stored, experts.unwrap_or(0), shape, family) {
        Some(ExpertLayout::InOut) => Ok(transposed(data)),
        _ => Ok(data),
    }
}

/// Compares names and shapes of the files with those of the model.
fn check_tensors(model: &Qwen3Vl, files: &TensorFiles, dir: &Path) -> Result<(), ModelError> {
    let experts = model.config.text.moe.as_ref().map_or(0, |moe| moe.num_experts);
    let family = model.config.family();
    let mut problems = Vec::new();
    let (mut used, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    let mut failure = Ok(());
    let mut check = |name: &str, shape: Vec<usize>| {
        let (name, expected) = match (ExpertPart::of(name), &shape[..]) {
            // All experts of a layer are one tensor.
            (Some(part), _) if part.index > 0 => return,
            (Some(part), &[out, input]) => (part.tensor, vec![experts, input, out]),
            _ => (name.to_owned(), shape),
        };
        wanted.insert(name.clone());
        let Some(stored) = find(files, &name) else {
            problems.push(format!("{name}: expected shape {expected:?}, found no such tensor"));
            return;
        };
        let found = match quantised::stored_shape(files, &stored) {
            Ok(Some(shape)) => {
                used.extend(quantised::companions(files, &stored));
                shape
            }
            Ok(None) => files.info(&stored).map_or_else(Vec::new, |(_, shape)| shape.to_vec()),
            Err(error) => {
                failure = Err(error);
                expected.clone()
            }
        };
        let mut apart = None;
        let fits = match expected[..] {
            [experts, input, out] => ExpertLayout::find(files, &stored, experts, [out, input], family).is_some(),
            // Convolutions are stored with the axes of their kernels apart, in this order and no other: a file with channels
            // last has as many values.
            [rows, _] if name.ends_with("patch_embed.proj.weight") => {
                let vision = &model.config.vision;
                let (frames, side) = (vision.temporal_patch_size, vision.patch_size);
                apart = Some(vec![rows, vision.in_channels, frames, side, side]);
                apart.as_ref() == Some(&found)
            }
            [rows, width] if name.ends_with(".conv1d.weight") => {
                apart = Some(vec![rows, 1, width]);
                apart.as_ref() == Some(&found)
            }
            _ => found == expected,
        };
        if !fits {
            let expected = apart.unwrap_or(expected);
            problems.push(format!("{name}: expected shape {expected:?}, found {found:?}"));
        }
        used.insert(stored);
    };
    model.visit(&mut |name, param| check(name, param.dims()));
    model.visit_nf4(&mut |name, weight| check(name, weight.dims().to_vec()));
    failure?;
    if !problems.is_empty() {
        return Err(ModelError::Tensors(problems));
    }
    if model.config.tie_word_embeddings {
        used.extend(find(files, HEAD));
    }
    extras::check(files, &used, &wanted, &model.config, dir)
}

/// The names of head and embedding.
const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.language_model.embed_tokens.weight";

/// Whether head and embedding are one matrix in the files of a model that is configured so. Where only the head is stored,
/// it is the embedding too.
fn is_tied(files: &mut TensorFiles, dir: &Path) -> Result<bool, ModelError> {
    let Some(head) = find(files, HEAD) else {
        return Ok(true);
    };
    let Some(embedding) = find(files, EMBEDDING) else {
        files.alias(&head, EMBEDDING);
        return Ok(true);
    };
    let tied = files.equal(&embedding, &head)?;
    if !tied {
        tracing::warn!(
            "{}: tie_word_embeddings is true, but {head} differs from {embedding}: the stored head counts; set \
             tie_word_embeddings to false in config.json",
            dir.display()
        );
    }
    Ok(tied)
}
