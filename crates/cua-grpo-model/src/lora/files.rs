//! Adapter files as PEFT writes and reads them: `adapter_model.safetensors` and `adapter_config.json`.

use super::config::LoraConfig;
use super::keys::{PREFIX, plain_keys, stranger};
use super::resolve::{named, without_adapter};
use crate::checkpoint::{TensorBytes, TensorFiles, write_safetensors};
use crate::config::keys::Neutral::Text;
use crate::config::keys::{Key, Rule, check, shown};
use crate::nn::LoraPair;
use crate::{ModelError, Qwen3Vl};
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The file with the factors.
const TENSORS: &str = "adapter_model.safetensors";

/// Writes the adapter of `model` into `dir`. `base` names the base model for whoever loads the adapter.
///
/// # Errors
/// When a file cannot be written.
pub fn save_adapter(model: &Qwen3Vl, config: &LoraConfig, base: &str, dir: &Path) -> Result<(), ModelError> {
    std::fs::create_dir_all(dir).map_err(ModelError::io("create", dir))?;
    let mut tensors = Vec::new();
    let mut modules = Vec::new();
    model.visit_linear(&mut |path, linear| {
        let Some(pair) = &linear.lora else { return };
        modules.push(path.to_owned());
        for (factor, tensor) in [("lora_A", &pair.a), ("lora_B", &pair.b)] {
            let values = cua_grpo_kernels::host(tensor.clone());
            let shape = tensor.dims().to_vec();
            tensors.push((
                format!("{PREFIX}{path}.{factor}.weight"),
                TensorBytes::f32(shape, &values),
            ));
        }
    });
    write_safetensors(&dir.join(TENSORS), &tensors)?;
    // The full paths: exact, and free of PEFT's suffix matching (a bare `proj` would match the patch convolution). They
    // are those of the chosen layers already; PEFT may shorten long lists to suffixes, to which it would apply
    // `layers_to_transform` once more, so that key stays null.
    let json = serde_json::json!({
        "auto_mapping": null,
        "base_model_name_or_path": base,
        "bias": "none",
        "exclude_modules": config.exclude_modules,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": config.lora_alpha,
        "lora_bias": false,
        "lora_dropout": config.lora_dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": config.r,
        "rank_pattern": config.rank_pattern,
        "alpha_pattern": config.alpha_pattern,
        "target_modules": modules,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": config.use_rslora,
    });
    let path = dir.join("adapter_config.json");
    std::fs::write(&path, format!("{json:#}\n")).map_err(ModelError::io("write", &path))
}

/// Reads `adapter_config.json` of the adapter folder `dir`.
///
/// # Errors
/// When it cannot be read, or the adapter is of a kind that is not understood.
pub fn read_config(dir: &Path) -> Result<LoraConfig, ModelError> {
    let path = dir.join("adapter_config.json");
    let text = crate::plain_text::read(&path).map_err(ModelError::io("read", &path))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| ModelError::format(&path, error))?;
    refuse_other_kinds(&json)
        .and_then(|()| check_types(&json))
        .map_err(|message| ModelError::format(&path, message))?;
    for warning in check("", &json, &[KEYS]).map_err(|message| ModelError::format(&path, message))? {
        // What is off in a version that is newer changes nothing.
        if !warning.contains(" false is not applied") {
            tracing::warn!("{}: {warning}", path.display());
        }
    }
    serde_json::from_value(json).map_err(|error| ModelError::format(&path, error))
}

/// The keys of PEFT's `LoraConfig` (0.21): read here, refused by [`OTHER_KINDS`], or without a say in what a trained
/// adapter computes.
const KEYS: &[Key] = &[
    ("peft_type", Rule::Read),
    ("r", Rule::Read),
    ("lora_alpha", Rule::Read),
    ("use_rslora", Rule::Read),
    ("lora_dropout", Rule::Read),
    ("target_modules", Rule::Read),
    ("exclude_modules", Rule::Read),
    ("layers_to_transform", Rule::Read),
    ("layers_pattern", Rule::Read),
    ("rank_pattern", Rule::Read),
    ("alpha_pattern", Rule::Read),
    ("bias", Rule::Read),
    ("init_lora_weights", Rule::Read),
    ("use_dora", Rule::Read),
    ("fan_in_fan_out", Rule::Read),
    ("lora_bias", Rule::Read),
    ("modules_to_save", Rule::Read),
    ("trainable_token_indices", Rule::Read),
    ("target_parameters", Rule::Read),
    ("layer_replication", Rule::Read),
    ("use_qalora", Rule::Read),
    ("use_bdlora", Rule::Read),
    ("alora_invocation_tokens", Rule::Read),
    ("arrow_config", Rule::Read),
    ("kasa_config", Rule::Read),
    ("monteclora_config", Rule::Read),
    ("velora_config", Rule::Read),
    ("megatron_config", Rule::Read),
    ("megatron_core", Rule::Free),
    (
        "task_type",
        Rule::Only(
            &[Text("CAUSAL_LM"), Text("SEQ_2_SEQ_LM"), Text("FEATURE_EXTRACTION")],
            "a head that classifies is no part of a model that writes; set it to \"CAUSAL_LM\" if the adapter writes text",
        ),
    ),
    ("auto_mapping", Rule::Free),
    ("peft_version", Rule::Free),
    ("base_model_name_or_path", Rule::Free),
    ("revision", Rule::Free),
    ("inference_mode", Rule::Free),
    ("qalora_group_size", Rule::Free),
    ("runtime_config", Rule::Free),
    ("ensure_weight_tying", Rule::Free),
    // How A and B were started.
    ("loftq_config", Rule::Free),
    ("eva_config", Rule::Free),
    ("corda_config", Rule::Free),
    ("lora_ga_config", Rule::Free),
];

/// What changes an adapter's arithmetic and is not understood: the key, and what to do about it.
const OTHER_KINDS: [(&str, &str); 15] = [
    ("use_dora", "merge the adapter with PEFT, or train it without DoRA"),
    ("fan_in_fan_out", "export the adapter with weights as [out, in]"),
    ("lora_bias", "train the adapter with lora_bias false"),
    (
        "modules_to_save",
        "merge the adapter with PEFT, or train it without saved modules",
    ),
    (
        "trainable_token_indices",
        "merge the adapter with PEFT, or train it without new tokens",
    ),
    ("target_parameters", "train the adapter on target_modules alone"),
    ("layer_replication", "merge the adapter with PEFT"),
    ("use_qalora", "train the adapter without QA-LoRA"),
    ("use_bdlora", "merge the adapter with PEFT"),
    ("alora_invocation_tokens", "train the adapter without invocation tokens"),
    ("arrow_config", "merge the adapter with PEFT"),
    ("kasa_config", "merge the adapter with PEFT"),
    ("monteclora_config", "merge the adapter with PEFT"),
    ("velora_config", "merge the adapter with PEFT"),
    ("megatron_config", "export the adapter without Megatron"),
];

fn refuse_other_kinds(json: &Value) -> Result<(), String> {
    let text = |key: &str| json.get(key).and_then(Value::as_str);
    if text("peft_type") != Some("LORA") {
        return Err("peft_type: expected \"LORA\"".to_owned());
    }
    for (key, advice) in OTHER_KINDS {
        let given = match json.get(key) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        };
        if given {
            return Err(format!("{key} is not supported; {advice}"));
        }
    }
    if let Some(bias) = text("bias").filter(|bias| *bias != "none") {
        return Err(format!(
            "bias: expected \"none\", found \"{bias}\"; merge the adapter with PEFT, or train it with bias \"none\""
        ));
    }
    // These take something out of the base weights before training; the rest of `init_lora_weights` only starts A and B.
    let init = text("init_lora_weights").unwrap_or_default();
    if ["pissa", "olora", "corda", "loftq", "lora_ga"]
        .iter()
        .any(|kind| init.starts_with(kind))
    {
        return Err(format!(
            "init_lora_weights: \"{init}\" changes the base weights; convert the adapter with PEFT (path_initial_model_for_weight_conversion)"
        ));
    }
    if let Some(kind) =
        text("init_lora_weights").filter(|kind| !STARTS.iter().any(|start| start.eq_ignore_ascii_case(kind)))
    {
        return Err(format!(
            "init_lora_weights: expected true, false or one of {}, found \"{kind}\"",
            STARTS.join(", ")
        ));
    }
    Ok(())
}

/// How PEFT may start factors, besides those that change the base weights.
const STARTS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

/// That the keys that are read have values of their kinds.
fn check_types(json: &Value) -> Result<(), String> {
    type Fits = fn(&Value) -> bool;
    let texts =
        |value: &Value| value.is_string() || value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let whole: Fits = |value| value.is_u64() || value.as_array().is_some_and(|list| list.iter().all(Value::is_u64));
    let map: Fits = Value::is_object;
    let kinds: [(&str, bool, Fits, &str); 10] = [
        ("r", true, Value::is_u64, "a whole number"),
        ("lora_alpha", true, Value::is_number, "a number"),
        (
            "target_modules",
            true,
            texts,
            "names of modules, a pattern of paths, or \"all-linear\"; write the modules that the adapter was trained on",
        ),
        (
            "exclude_modules",
            false,
            texts,
            "names of modules, or a pattern of paths",
        ),
        ("use_rslora", false, Value::is_boolean, "true or false"),
        ("lora_dropout", false, Value::is_number, "a number"),
        (
            "layers_to_transform",
            false,
            whole,
            "the number of a layer, or a list of them",
        ),
        ("layers_pattern", false, texts, "a name, or a list of names"),
        ("rank_pattern", false, map, "a map from names of modules to ranks"),
        ("alpha_pattern", false, map, "a map from names of modules to alphas"),
    ];
    for (key, needed, fits, expected) in kinds {
        match json.get(key).filter(|value| !value.is_null()) {
            None if needed => {
                let found = if json.get(key).is_some() { "null" } else { "none" };
                return Err(format!("{key}: expected {expected}, found {found}"));
            }
            Some(value) if !fits(value) => return Err(format!("{key}: expected {expected}, found {}", shown(value))),
            _ => {}
        }
    }
    Ok(())
}

/// Loads the adapter folder `dir` onto `model`, replacing any adapter there. Returns its configuration.
///
/// As in PEFT, the configuration says which modules are adapted: tensors of others are left out, and a module without
/// tensors stays as in the base; warnings name them. The keys of tensors may hold PEFT's own name for an adapter, `default`. A key of
/// `rank_pattern` or `alpha_pattern` that matches no adapted module is logged: PEFT ignored it when the adapter was made.
///
/// # Errors
/// When a file is missing, the adapter is of a kind that is not understood (DoRA, embeddings, saved modules, ...), a
/// tensor belongs to no module or has another shape, or one of a pair is missing: nothing is dropped.
pub fn load_adapter(model: &mut Qwen3Vl, dir: &Path) -> Result<LoraConfig, ModelError> {
    let config = read_config(dir)?;
    let ranks = config.ranks()?;
    let file = dir.join(TENSORS);
    let pickled = "adapter_model.bin";
    if !file.exists() && dir.join(pickled).exists() {
        return Err(ModelError::format(
            dir,
            format!(
                "expected {TENSORS}, found {pickled}, which is pickled and not read; convert it once with Python: \
                 safetensors.torch.save_file(torch.load(\"{pickled}\", weights_only=True), \"{TENSORS}\")"
            ),
        ));
    }
    let files = TensorFiles::open_files(vec![file.clone()])?;
    let keys = plain_keys(&files, model.config.family()).map_err(|message| ModelError::format(&file, message))?;
    let device = model.device();
    let named = named(model, &config).map_err(|error| ModelError::format(dir.join("adapter_config.json"), error))?;
    if named.is_empty() {
        // Modules that PEFT adapts, and that take no adapter here.
        let other = |key: &&String| without_adapter(key.split(".lora_").next().unwrap_or_default()).is_some();
        let others: Vec<String> = keys.values().filter(other).map(|key| stranger(key)).collect();
        if !others.is_empty() {
            return Err(ModelError::Tensors(others));
        }
        return Err(ModelError::format(
            dir.join("adapter_config.json"),
            "target_modules, exclude_modules and layers_to_transform leave no module of this model, so nothing of the \
             adapter would be applied; PEFT stops there too",
        ));
    }
    let mut left: BTreeSet<&String> = keys.values().collect();
    let (mut not_named, mut without) = (Vec::new(), Vec::new());
    let (mut problems, mut not_finite) = (Vec::new(), Vec::new());
    let mut failure = None;
    let mut adapted = Vec::new();
    model.visit_linear_mut(&mut |path, linear| {
        linear.lora = None;
        if !named.contains(path) {
            for factor in ["lora_A", "lora_B"] {
                let key = keys.get(&format!("{PREFIX}{path}.{factor}.weight"));
                if key.is_some_and(|key| left.remove(key)) && not_named.last().is_none_or(|last| last != path) {
                    not_named.push(path.to_owned());
                }
            }
            return;
        }
        let [d_output, d_input] = linear.dims();
        let (rank, scaling) = ranks.of(path);
        let mut factor = |name: &str, shape: [usize; 2]| -> Option<Tensor<2>> {
            let key = keys.get(&format!("{PREFIX}{path}.{name}.weight"))?;
            match files.get(key) {
                Err(error) => {
                    failure.get_or_insert(error);
                    None
                }
                Ok(None) => None,
                Ok(Some((found, values))) => {
                    left.remove(key);
                    if found != shape {
                        problems.push(format!("{key}: expected shape {shape:?}, found {found:?}"));
                        return None;
                    }
                    let odd = values.iter().filter(|value| !value.is_finite()).count();
                    if odd > 0 {
                        not_finite.push(format!("{key} ({odd} of {})", values.len()));
                    }
                    Some(Tensor::from_data(TensorData::new(values, shape), &device))
                }
            }
        };
        let (a, b) = (factor("lora_A", [rank, d_input]), factor("lora_B", [d_output, rank]));
        match (a, b) {
            (Some(a), Some(b)) => {
                adapted.push(path.to_owned());
                linear.lora = Some(LoraPair {
                    a,
                    b,
                    scaling,
                    dropout: None,
                });
            }
            (None, None) => without.push(path.to_owned()),
            (a, _) => {
                let (there, missing) = if a.is_some() { ("A", "B") } else { ("B", "A") };
                problems.push(format!(
                    "{PREFIX}{path}.lora_{missing}.weight: expected beside lora_{there}, found no fitting tensor"
                ));
            }
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    problems.extend(left.into_iter().map(|name| stranger(name)));
    ranks.check()?;
    if !problems.is_empty() {
        return Err(ModelError::Tensors(problems));
    }
    let list = |paths: &[String]| match paths {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => String::new(),
    };
    if !not_finite.is_empty() {
        return Err(ModelError::format(
            &file,
            format!(
                "expected numbers, found infinite ones or NaN in {} tensors: {}; the training that wrote them diverged, or \
                 the file is damaged: take an earlier checkpoint, or another adapter",
                not_finite.len(),
                list(&not_finite)
            ),
        ));
    }
    if !not_named.is_empty() {
        tracing::warn!(
            "{}: tensors of modules that target_modules, exclude_modules or layers_to_transform leave out are not applied, as in PEFT: {}",
            dir.display(),
            list(&not_named)
        );
    }
    if !without.is_empty() {
        tracing::warn!(
            "{}: modules that target_modules names have no tensors and stay as in the base, as in PEFT: {}; is the file whole?",
            dir.display(),
            list(&without)
        );
    }
    for key in ranks.unmatched(&adapted) {
        tracing::warn!(
            "{}: {key} matches no adapted module, so it has no effect",
            dir.display()
        );
    }
    Ok(config)
}
