//! Adapters of Qwen3.5 against PEFT: logits, gradients of three losses by the whole graph and by blocks, names, merging.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use burn::tensor::Tensor;
use common::adapters::*;
use common::*;
use cua_grpo_core::Row;
use cua_grpo_model::lora::{LoraConfig, Targets, attach, load_adapter, matched_modules, save_adapter};
use cua_grpo_model::nn::ParamMut;
use cua_grpo_model::score::{score_rows, score_rows_by_blocks};
use cua_grpo_model::{Qwen3Vl, Trainable};
use std::collections::BTreeMap;

const SET: &str = "qwen35";
/// Absolute tolerance of adapted logits.
const LOGITS: f32 = 1e-3;
/// Tolerance of a gradient, relative to the largest entry of its tensor.
const GRADIENT: f32 = 1e-3;

type Gradients = BTreeMap<String, Vec<f32>>;

fn check_last_logits(model: &Qwen3Vl, tolerance: f32, what: &str) {
    let golden = Golden::open(SET, "lora");
    for case in ["text_only", "one_image", "long"] {
        let logits = logits(model, &[row(SET, case)]).remove(0);
        let got = logits[logits.len() - 12..].concat();
        close(
            &got,
            &golden.floats(&format!("{case}.logits")),
            tolerance,
            &format!("{case}, {what}"),
        );
    }
}

#[test]
fn adapted_logits_and_names() {
    let (mut model, config) = adapted(SET);
    assert_eq!(config.scaling(), 2.0);
    let names: Vec<String> = factors(&mut model).into_keys().collect();
    let want = modules(SET)
        .into_iter()
        .flat_map(|module| [format!("{module}.lora_A"), format!("{module}.lora_B")]);
    assert_eq!(names, want.collect::<Vec<_>>());
    check_last_logits(&model, LOGITS, "adapter on");
    let rows = [row(SET, "one_image")];
    assert_eq!(
        logits(&model.without_adapter(), &rows),
        logits(&common::model(SET), &rows)
    );
    model.merge();
    check_last_logits(&model, 2e-3, "merged");
}

#[test]
fn all_linear_takes_what_peft_takes() {
    let model = model(SET);
    let all = matched_modules(&model, &Targets::Pattern("all-linear".into())).unwrap();
    let of = |end: &str| all.iter().filter(|path| path.ends_with(end)).count();
    for end in ["in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"] {
        assert_eq!(of(&format!("linear_attn.{end}")), 3, "{end}");
    }
    assert_eq!(
        (of("q_proj"), of("conv1d"), of("lm_head"), of("gate_proj")),
        (1, 0, 0, 4)
    );
    let mut fresh = model.clone();
    let config = LoraConfig::new(3, 6.0, Targets::Pattern("all-linear".into()));
    attach(&mut fresh, &config, 1).unwrap();
    let rows = [row(SET, "text_only")];
    assert_eq!(
        logits(&fresh, &rows),
        logits(&model, &rows),
        "a fresh adapter changes nothing"
    );
}

#[test]
fn adapters_are_written_and_read_the_same_and_without_the_middle_of_their_names() {
    let (model, config) = adapted(SET);
    let rows = [row(SET, "text_only")];
    let want = logits(&model, &rows);
    let dir = tempfile::tempdir().unwrap();
    save_adapter(&model, &config, "base", dir.path()).unwrap();
    let mut again = common::model(SET);
    load_adapter(&mut again, dir.path()).unwrap();
    assert_eq!(logits(&again, &rows), want);
    // As the class of the text model alone names them.
    let file = dir.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(folder(SET).join("adapter/adapter_model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let renamed = tensors.tensors().into_iter();
    let renamed = renamed.map(|(name, view)| (name.replacen("model.language_model.", "model.", 1), view));
    std::fs::write(
        &file,
        safetensors::serialize(renamed.collect::<Vec<_>>(), None).unwrap(),
    )
    .unwrap();
    std::fs::copy(
        folder(SET).join("adapter/adapter_config.json"),
        dir.path().join("adapter_config.json"),
    )
    .unwrap();
    let mut text_only = common::model(SET);
    load_adapter(&mut text_only, dir.path()).unwrap();
    assert_eq!(logits(&text_only, &rows), want);
}

fn gradients(model: &Qwen3Vl, rows: &[Row], loss: &dyn Fn(Tensor<2>) -> Tensor<1>) -> (f32, Gradients) {
    let mut model = model.trainable(Trainable::Adapter);
    let scores = score_rows(&model, &images(SET), &rows.iter().collect::<Vec<_>>(), 1.0).unwrap();
    let loss = loss(scores.logprobs);
    let grads = loss.backward();
    let mut all = BTreeMap::new();
    model.visit_trainable_mut(Trainable::Adapter, &mut |name, slot| {
        let ParamMut::Matrix(tensor) = slot else {
            panic!("{name}: a factor is a matrix")
        };
        let grad = tensor.grad(&grads).unwrap_or_else(|| panic!("{name} has no gradient"));
        all.insert(name.strip_suffix(".weight").unwrap().to_owned(), values(grad));
    });
    (values(loss)[0], all)
}

fn by_blocks(model: &Qwen3Vl, rows: &[Row], loss: &dyn Fn(Tensor<2>) -> Tensor<1>) -> (f32, Gradients) {
    let (scores, tape) = score_rows_by_blocks(model, &images(SET), &rows.iter().collect::<Vec<_>>(), 1.0).unwrap();
    let leaf = scores.logprobs.autodiff().require_grad();
    let loss = loss(leaf.clone());
    let grad = leaf.grad(&loss.backward()).unwrap();
    let mut model = model.trainable(Trainable::Adapter);
    let mut gradients = tape.backward(&mut model, grad);
    let mut all = BTreeMap::new();
    model.visit_trainable_mut(Trainable::Adapter, &mut |name, _| {
        let grad = gradients.take(name).unwrap_or_else(|| panic!("{name} has no gradient"));
        all.insert(name.strip_suffix(".weight").unwrap().to_owned(), values(grad));
    });
    (values(loss)[0], all)
}

fn check(tag: &str, rows: &[Row], loss: &dyn Fn(Tensor<2>) -> Tensor<1>) {
    let (numbers, golden) = (json(SET, "lora.json"), Golden::open(SET, "lora_grads"));
    let model = adapted(SET).0;
    for (way, (value, got)) in [
        ("graph", gradients(&model, rows, loss)),
        ("blocks", by_blocks(&model, rows, loss)),
    ] {
        let want = numbers[format!("loss_{tag}")].as_f64().unwrap();
        assert!(
            (f64::from(value) - want).abs() < 1e-4,
            "{tag} {way}: loss {value}, expected {want}"
        );
        assert_eq!(got.len(), 2 * modules(SET).len());
        let prefix = format!("{tag}.");
        let names: Vec<String> = golden
            .names()
            .into_iter()
            .filter(|name| name.starts_with(&prefix))
            .collect();
        assert!(names.len() >= 30, "{tag}: only {} tensors to compare", names.len());
        for name in names {
            let want = golden.floats(&name);
            let size = want.iter().fold(0.0f32, |size, value| size.max(value.abs()));
            close(
                &got[&name[prefix.len()..]],
                &want,
                GRADIENT * size,
                &format!("{name} {way}"),
            );
        }
    }
}

#[test]
fn gradients_of_cross_entropy() {
    check("ce", &[completion_row(SET, "one_image")], &|logprobs| {
        logprobs.mean().neg()
    });
}

#[test]
fn gradients_across_chunks() {
    check("long", &[completion_row(SET, "long")], &|logprobs| {
        logprobs.mean().neg()
    });
}

#[test]
fn gradients_of_a_policy_loss_on_a_padded_batch() {
    let numbers = json(SET, "lora.json");
    let advantages: Vec<f32> = serde_json::from_value(numbers["adv"].clone()).unwrap();
    let rows = BATCH.map(|case| completion_row(SET, case));
    let trained: usize = rows.iter().map(Row::trained_tokens).sum();
    check("pg", &rows, &|logprobs| {
        let weights = Tensor::<2>::from_floats([[advantages[0]], [advantages[1]], [advantages[2]]], &device());
        (logprobs * weights).sum().neg() / trained as f32
    });
}
