//! Adapter files as PEFT writes and reads them: `adapter_model.safetensors` and `adapter_config.json`.

use super::attach::LoraConfig;
use crate::checkpoint::{TensorBytes, TensorFiles, write_safetensors};
use crate::nn::LoraPair;
use crate::{ModelError, Qwen3Vl};
use burn::tensor::{Tensor, TensorData};
use std::path::Path;

/// What PEFT puts before each module path.
const PREFIX: &str = "base_model.model.";

/// Writes the adapter of `model` into `dir`. `base` names the base model for whoever loads the adapter.
///
/// # Errors
/// When a file cannot be written.
pub fn save_adapter(model: &mut Qwen3Vl, config: &LoraConfig, base: &str, dir: &Path) -> Result<(), ModelError> {
    std::fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
    let mut tensors = Vec::new();
    let mut modules = Vec::new();
    model.visit_linear(&mut |path, linear| {
        let Some(pair) = &linear.lora else { return };
        modules.push(path.to_owned());
        for (factor, tensor) in [("lora_A", &pair.a), ("lora_B", &pair.b)] {
            let values = crate::checkpoint::host(tensor.clone());
            let shape = tensor.dims().to_vec();
            tensors.push((
                format!("{PREFIX}{path}.{factor}.weight"),
                TensorBytes::f32(shape, &values),
            ));
        }
    });
    write_safetensors(&dir.join("adapter_model.safetensors"), &tensors)?;
    // The full paths: exact, and free of PEFT's suffix matching (a bare `proj` would match the patch convolution).
    let json = serde_json::json!({
        "auto_mapping": null,
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": 0.0,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": config.r,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": modules,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": config.use_rslora,
    });
    let path = dir.join("adapter_config.json");
    std::fs::write(&path, format!("{json:#}\n")).map_err(ModelError::io("write", &path))
}

/// Loads the adapter folder `dir` onto `model`, replacing any adapter there. Returns its configuration.
///
/// # Errors
/// When a file is missing, the adapter is of a kind that is not understood (DoRA, embeddings, saved modules), or a
/// tensor belongs to no module or has another shape: nothing is dropped.
pub fn load_adapter(model: &mut Qwen3Vl, dir: &Path) -> Result<LoraConfig, ModelError> {
    let path = dir.join("adapter_config.json");
    let text = std::fs::read_to_string(&path).map_err(ModelError::io("read", &path))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| ModelError::format(&path, error))?;
    let config: LoraConfig = serde_json::from_value(json.clone()).map_err(|error| ModelError::format(&path, error))?;
    if json.get("peft_type").and_then(serde_json::Value::as_str) != Some("LORA") {
        return Err(ModelError::format(&path, "peft_type: expected \"LORA\""));
    }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias"] {
        if json.get(key).and_then(serde_json::Value::as_bool) == Some(true) {
            return Err(ModelError::format(
                &path,
                format!("{key} is not supported; export the adapter without it"),
            ));
        }
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if json
            .get(key)
            .and_then(serde_json::Value::as_object)
            .is_some_and(|pattern| !pattern.is_empty())
        {
            return Err(ModelError::format(
                &path,
                format!("{key}: one rank and alpha for all modules is expected"),
            ));
        }
    }
    let file = dir.join("adapter_model.safetensors");
    let files = TensorFiles::open_files(vec![file.clone()])?;
    let device = model.device();
    let mut left: Vec<String> = files.names().map(str::to_owned).collect();
    let mut problems = Vec::new();
    let mut failure = None;
    model.visit_linear(&mut |path, linear| {
        linear.lora = None;
        let [d_output, d_input] = linear.dims();
        let mut factor = |name: &str, shape: [usize; 2]| -> Option<Tensor<2>> {
            let key = format!("{PREFIX}{path}.{name}.weight");
            match files.get(&key) {
                Err(error) => {
                    failure.get_or_insert(error);
                    None
                }
                Ok(None) => None,
                Ok(Some((found, values))) => {
                    left.retain(|name| *name != key);
                    if found != shape {
                        problems.push(format!("{key}: expected shape {shape:?}, found {found:?}"));
                        return None;
                    }
                    Some(Tensor::from_data(TensorData::new(values, shape), &device))
                }
            }
        };
        let (a, b) = (
            factor("lora_A", [config.r, d_input]),
            factor("lora_B", [d_output, config.r]),
        );
        if let (Some(a), Some(b)) = (a, b) {
            linear.lora = Some(LoraPair {
                a,
                b,
                scaling: config.scaling(),
            });
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    problems.extend(
        left.into_iter()
            .map(|name| format!("{name}: belongs to no linear module of the model")),
    );
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ModelError::Tensors(problems))
    }
}
