//! Adapters of the fixtures.

use super::{folder, json, model, values};
use cua_grpo_model::lora::{LoraConfig, load_adapter};
use cua_grpo_model::nn::Slot;
use cua_grpo_model::{Qwen3Vl, Trainable};
use std::collections::BTreeMap;

/// The model of a fixture with its adapter.
pub fn adapted(set: &str) -> (Qwen3Vl, LoraConfig) {
    let mut model = model(set);
    let config = load_adapter(&mut model, &folder(set).join("adapter")).unwrap();
    (model, config)
}

/// Values of the factors, under `MODULE.lora_A` and `MODULE.lora_B`.
pub fn factors(model: &mut Qwen3Vl) -> BTreeMap<String, Vec<f32>> {
    let mut all = BTreeMap::new();
    model.visit_trainable(Trainable::Adapter, &mut |name, slot| {
        let Slot::Matrix(tensor) = slot else {
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
