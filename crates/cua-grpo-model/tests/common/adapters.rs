//! Adapters of the fixtures.

use super::{folder, json, model, values};
use cua_grpo_model::lora::{LoraConfig, load_adapter};
use cua_grpo_model::nn::ParamMut;
use cua_grpo_model::{Qwen3Vl, Trainable};
use std::collections::BTreeMap;

/// The model of a fixture with its adapter.
pub fn adapted(set: &str) -> (Qwen3Vl, LoraConfig) {
    let mut model = model(set);
    let config = load_adapter(&mut model, &folder(set).join("adapter")).unwrap();
    (model, config)
}

/// A copy of the adapter of fixture a whose keys are renamed, or left out.
pub fn renamed(rename: impl Fn(usize, &str) -> Option<String>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source = folder("a").join("adapter");
    let config = source.join("adapter_config.json");
    std::fs::copy(config, dir.path().join("adapter_config.json")).unwrap();
    let bytes = std::fs::read(source.join("adapter_model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let all = file.tensors().into_iter().enumerate();
    let all = all.filter_map(|(number, (name, view))| Some((rename(number, &name)?, view)));
    let bytes = safetensors::serialize(all.collect::<Vec<_>>(), None).unwrap();
    std::fs::write(dir.path().join("adapter_model.safetensors"), bytes).unwrap();
    dir
}

/// Values of the factors, under `MODULE.lora_A` and `MODULE.lora_B`.
pub fn factors(model: &mut Qwen3Vl) -> BTreeMap<String, Vec<f32>> {
    let mut all = BTreeMap::new();
    model.visit_trainable_mut(Trainable::Adapter, &mut |name, slot| {
        let ParamMut::Matrix(tensor) = slot else {
            panic!("{name}: a factor is a matrix")
        };
        all.insert(name.strip_suffix(".weight").unwrap().to_owned(), values(tensor.clone()));
    });
    all
}

/// Paths of the modules that PEFT adapted, sorted.
pub fn modules(set: &str) -> Vec<String> {
    let mut modules: Vec<String> = serde_json::from_value(json(set, "lora.json")["modules"].clone()).unwrap();
    modules.sort();
    modules
}
