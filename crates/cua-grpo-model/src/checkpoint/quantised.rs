//! Linear weights in four bits: read from a bitsandbytes checkpoint, or rounded when a dense one is loaded.

use super::TensorFiles;
use super::files::find;
use super::skip::Skip;
use crate::config::read::parse;
use crate::nn::{Weight, join};
use crate::{ModelError, Qwen3Vl};
use burn::tensor::Device;
use cua_grpo_kernels::{BLOCK, CODE, Nf4, Scales, dequantise_scales};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// How a dense checkpoint is rounded to four bits when it is loaded.
///
/// Every linear map of both towers is, whatever its size; the head, embeddings, norms and the patch convolution are
/// not. A checkpoint that is in four bits already stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nf4Options {
    /// Round the scales to eight bits too. It saves nothing here, where scales are held in f32, but gives the weights
    /// that an adapter meets when a QLoRA setup loads the same base.
    pub double_quant: bool,
    /// Modules to leave alone, as in `llm_int8_skip_modules`; those of the checkpoint's `config.json` are added.
    pub skip_modules: Vec<String>,
}

impl Default for Nf4Options {
    fn default() -> Self {
        Self {
            double_quant: true,
            skip_modules: Vec::new(),
        }
    }
}

/// What stands behind the dot of `X.weight.quant_state.bitsandbytes__nf4`.
const STATE: &str = "quant_state.bitsandbytes__";

/// What bitsandbytes stores about a weight, as JSON in a tensor of bytes.
#[derive(Debug, Deserialize)]
struct QuantState {
    quant_type: String,
    blocksize: usize,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_offset: Option<f32>,
}

/// Makes a placeholder of every weight of `model` that is in four bits in the files, or is to be rounded to them.
///
/// # Errors
/// When the checkpoint is quantised in a way that is not understood, or an entry of the list of modules to leave alone
/// is no regular expression.
pub(super) fn mark(
    model: &mut Qwen3Vl,
    files: &TensorFiles,
    dir: &Path,
    options: Option<&Nf4Options>,
    device: &Device,
) -> Result<(), ModelError> {
    let config = quantization_config(dir)?;
    let listed = config.as_ref().and_then(|config| config.get("llm_int8_skip_modules"));
    let listed: Vec<String> = listed
        .and_then(|list| serde_json::from_value(list.clone()).ok())
        .unwrap_or_default();
    let given = options.map(|options| &options.skip_modules[..]).unwrap_or_default();
    let skip = Skip::new(given.iter().chain(&listed).map(String::as_str))?;
    let round = options.is_some() && !files.names().any(|name| name.contains(STATE));
    model.visit_linear_mut(&mut |path, linear| {
        let stored = find(files, &join(path, "weight")).is_some_and(|name| is_stored(files, &name));
        if stored || round && !skip.covers(path) {
            linear.weight = Weight::Nf4(Nf4::placeholder(linear.dims(), device));
        }
    });
    Ok(())
}

/// The `quantization_config` of `config.json`, of the whole file or of its `text_config`.
fn quantization_config(dir: &Path) -> Result<Option<Value>, ModelError> {
    let path = dir.join("config.json");
    let text = crate::plain_text::read(&path).map_err(ModelError::io("read", &path))?;
    let json = parse(&text).map_err(|error| ModelError::format(&path, error))?;
    let Some((place, config)) = crate::config::quantization(&json) else {
        return Ok(None);
    };
    let refuse = |found: String| {
        Err(ModelError::format(
            &path,
            format!(
                "{place}quantization_config: expected bitsandbytes with load_in_4bit and bnb_4bit_quant_type \"nf4\", found \
                 {found}; load the checkpoint that it was made from"
            ),
        ))
    };
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    match text("quant_method") {
        Some(method) if !method.starts_with("bitsandbytes") => return refuse(format!("quant_method \"{method}\"")),
        _ => {}
    }
    if config.get("load_in_8bit").and_then(Value::as_bool) == Some(true) {
        return refuse("load_in_8bit".to_owned());
    }
    let four = config.get("load_in_4bit").and_then(Value::as_bool) == Some(true);
    match text("bnb_4bit_quant_type") {
        Some("nf4") => Ok(Some(config.clone())),
        Some(kind) if four => refuse(format!("bnb_4bit_quant_type \"{kind}\"")),
        None if four => refuse("no bnb_4bit_quant_type, which is \"fp4\" then".to_owned()),
        _ => Ok(Some(config.clone())),
    }
}

/// Whether the tensor `name` of the files is in four bits.
fn is_stored(files: &TensorFiles, name: &str) -> bool {
    let prefix = format!("{name}.{STATE}");
    files.names_with(&prefix).next().is_some()
}

/// The names of the tensors that describe the tensor `name`.
pub(super) fn companions(files: &TensorFiles, name: &str) -> Vec<String> {
    let prefix = format!("{name}.");
    files.names_with(&prefix).map(str::to_owned).collect()
}

/// The shape of the matrix that the tensor `name` of the files stands for; `None` when it is stored as itself.
///
/// # Errors
/// When it is in another four-bit format than NF4, or its description cannot be read.
pub(super) fn stored_shape(files: &TensorFiles, name: &str) -> Result<Option<Vec<usize>>, ModelError> {
    Ok(state(files, name)?.map(|state| state.shape))
}

/// The weight in four bits that is stored as the tensor `name`; `None` when it is stored dense.
///
/// # Errors
/// When its parts do not fit each other or the shape.
pub(super) fn read_stored(
    files: &TensorFiles,
    name: &str,
    shape: [usize; 2],
    device: &Device,
) -> Result<Option<Nf4>, ModelError> {
    let Some(state) = state(files, name)? else {
        return Ok(None);
    };
    let wrong = |message: String| ModelError::Tensors(vec![format!("{name}: {message}")]);
    if !state.blocksize.is_multiple_of(BLOCK) || state.blocksize == 0 {
        let found = state.blocksize;
        return Err(wrong(format!(
            "expected a blocksize that {BLOCK} divides, found {found}"
        )));
    }
    let map = floats(files, &format!("{name}.quant_map"))?;
    if map.len() != CODE.len() || map.iter().zip(CODE).any(|(found, code)| (found - code).abs() > 1e-6) {
        return Err(wrong(
            "expected the values of NF4 in quant_map, found others".to_owned(),
        ));
    }
    let absmax = format!("{name}.absmax");
    let scales = match (state.nested_blocksize, state.nested_offset) {
        (Some(block), Some(offset)) => {
            let scales = Scales {
                codes: files.read_bytes(&absmax)?,
                absmax: floats(files, &format!("{name}.nested_absmax"))?,
                offset,
            };
            let map = floats(files, &format!("{name}.nested_quant_map"))?;
            if block == 0 || scales.absmax.len() != scales.codes.len().div_ceil(block) || map.len() != 256 {
                return Err(wrong(format!(
                    "expected 256 values in nested_quant_map and {} in nested_absmax, found {} and {}",
                    scales.codes.len().div_ceil(block.max(1)),
                    map.len(),
                    scales.absmax.len()
                )));
            }
            dequantise_scales(&scales, &map, block)
        }
        _ => floats(files, &absmax)?,
    };
    // A larger block is some of ours with one scale.
    let repeat = state.blocksize / BLOCK;
    let blocks = (shape[0] * shape[1]).div_ceil(BLOCK);
    let scales: Vec<f32> = if repeat == 1 {
        scales
    } else {
        let spread = scales.iter().flat_map(|&scale| std::iter::repeat_n(scale, repeat));
        spread.take(blocks).collect()
    };
    let weight = Nf4::new(files.read_bytes(name)?, scales, shape, device);
    weight.map(Some).map_err(|error| wrong(error.to_string()))
}

/// A weight in four bits: as it is stored, or rounded where it is stored dense.
///
/// # Errors
/// As [`read_stored`]; when a value to be rounded is not finite.
pub(super) fn read(
    files: &TensorFiles,
    name: &str,
    shape: [usize; 2],
    double_quant: bool,
    device: &Device,
) -> Result<Nf4, ModelError> {
    if let Some(weight) = read_stored(files, name, shape, device)? {
        return Ok(weight);
    }
    Nf4::quantise(&floats(files, name)?, shape, double_quant, device)
        .map_err(|error| ModelError::Tensors(vec![format!("{name}: {error}")]))
}

/// The description of a weight in four bits.
fn state(files: &TensorFiles, name: &str) -> Result<Option<QuantState>, ModelError> {
    let prefix = format!("{name}.{STATE}");
    let Some(key) = files.names_with(&prefix).next().map(str::to_owned) else {
        return Ok(None);
    };
    let wrong = |message: String| ModelError::Tensors(vec![format!("{key}: {message}")]);
    let state: QuantState =
        serde_json::from_slice(&files.read_bytes(&key)?).map_err(|error| wrong(error.to_string()))?;
    if state.quant_type == "nf4" {
        Ok(Some(state))
    } else {
        let found = state.quant_type;
        Err(wrong(format!(
            "expected quant_type nf4, found {found}; load the checkpoint that it was made from"
        )))
    }
}

fn floats(files: &TensorFiles, name: &str) -> Result<Vec<f32>, ModelError> {
    match files.get(name)? {
        Some((_, values)) => Ok(values),
        None => Err(ModelError::Tensors(vec![format!("{name}: found no such tensor")])),
    }
}
