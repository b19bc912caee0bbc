//! Adapters against PEFT: logits, merged weights, gradients of two losses.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use burn::tensor::Tensor;
use common::adapters::*;
use common::*;
use cua_grpo_core::Row;
use cua_grpo_model::lora::{LoraConfig, Targets, attach};
use cua_grpo_model::nn::ParamMut;
use cua_grpo_model::processor::Pixels;
use cua_grpo_model::score::{score_rows, score_rows_by_blocks, score_rows_by_blocks_with, score_rows_with};
use cua_grpo_model::{Qwen3Vl, Trainable};
use std::collections::BTreeMap;

/// Absolute tolerance of adapted logits: preset b's adapter has scale 8 and logits several times as large.
const LOGITS: [(&str, f32); 2] = [("a", 1e-4), ("b", 5e-4)];
/// Tolerance of a gradient, relative to the largest entry of its tensor (or to 1e-2 where that is smaller). Preset b
/// saturates the attention of its first vision block: there single precision alone costs 4e-4 on either side of the
/// gradient in double precision (found by finite differences), everywhere else 2e-4 suffices.
const GRADIENT: [(&str, f32); 2] = [("a", 2e-5), ("b", 1e-3)];
/// Relative tolerance of the norm of all gradients.
const NORM: [(&str, f64); 2] = [("a", 1e-5), ("b", 5e-5)];

fn check_last_logits(model: &Qwen3Vl, set: &str, tolerance: f32, what: &str) {
    let golden = Golden::open(set, "lora");
    for case in ["text_only", "one_image"] {
        let logits = logits(model, &[row(set, case)]).remove(0);
        let got = logits[logits.len() - 12..].concat();
        close(
            &got,
            &golden.floats(&format!("{case}.logits")),
            tolerance,
            &format!("{set} {case}, {what}"),
        );
    }
}

#[test]
fn adapted_logits_and_vision_features() {
    for (set, tolerance) in LOGITS {
        let (mut model, config) = adapted(set);
        assert!((config.scaling() - json(set, "lora.json")["scaling"].as_f64().unwrap()).abs() < 1e-12);
        let names: Vec<String> = factors(&mut model).into_keys().collect();
        let want: Vec<String> = modules(set)
            .iter()
            .flat_map(|m| [format!("{m}.lora_A"), format!("{m}.lora_B")])
            .collect();
        assert_eq!(names, want, "{set}: adapted modules");
        check_last_logits(&model, set, tolerance, "adapter on");
        let pixels = images(set).pixels(&image(set, "img0.png")).unwrap();
        let pixels: [&Pixels; 1] = [&pixels];
        let merged = values(model.visual.forward(&pixels).merged);
        close(
            &merged,
            &Golden::open(set, "lora").floats("one_image.merged"),
            tolerance,
            &format!("{set} merged"),
        );
    }
}

#[test]
fn without_its_adapter_the_policy_is_the_reference() {
    for set in SETS {
        let rows = [row(set, "one_image")];
        assert_eq!(
            logits(&adapted(set).0.without_adapter(), &rows),
            logits(&model(set), &rows)
        );
        let mut fresh = model(set);
        let config = LoraConfig::new(3, 6.0, Targets::Pattern("all-linear".into()));
        attach(&mut fresh, &config, 1).unwrap();
        assert_eq!(
            logits(&fresh, &rows),
            logits(&model(set), &rows),
            "{set}: a fresh adapter changes nothing"
        );
        for (name, values) in factors(&mut fresh) {
            assert_eq!(
                values.iter().all(|&value| value == 0.0),
                name.ends_with("lora_B"),
                "{name}"
            );
            let bound = (3.0 / values.len() as f32).sqrt(); // A is [r, in], uniform within 1/sqrt(in)
            assert!(
                name.ends_with("lora_B") || values.iter().all(|value| value.abs() <= bound),
                "{name}"
            );
        }
    }
}

#[test]
fn merged_weights_and_their_logits() {
    for (set, tolerance) in LOGITS {
        let (mut model, _) = adapted(set);
        model.merge();
        check_last_logits(&model, set, tolerance, "merged");
        let golden = Golden::open(set, "lora_merged");
        let mut left = golden.names();
        model.visit_mut(&mut |name, slot| {
            if let (ParamMut::Matrix(tensor), true) = (slot, left.iter().any(|wanted| wanted == name)) {
                close(
                    &values(tensor.clone()),
                    &golden.floats(name),
                    1e-5,
                    &format!("{set} {name}"),
                );
                left.retain(|wanted| wanted != name);
            }
        });
        assert!(left.is_empty(), "{set}: {left:?}");
        assert!(factors(&mut model).is_empty());
    }
}

/// Loss and gradients of the loss that `loss` makes of the log-probs `[rows, completion]` of `rows`.
fn gradients(
    model: &Qwen3Vl,
    set: &str,
    rows: &[Row],
    loss: impl Fn(Tensor<2>) -> Tensor<1>,
) -> (f32, BTreeMap<String, Vec<f32>>) {
    let mut model = model.trainable(Trainable::Adapter);
    let scores = score_rows(&model, &images(set), &rows.iter().collect::<Vec<_>>(), 1.0).unwrap();
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

/// Gradients of a bonus for entropy beside the log-probs are the same by the whole graph and by blocks.
#[test]
fn gradients_of_entropies_are_the_same_by_blocks() {
    let set = SETS[0];
    let (model, rows) = (adapted(set).0, [completion_row(set, "one_image")]);
    let rows: Vec<&Row> = rows.iter().collect();
    let loss = |logprobs: Tensor<2>, entropies: Tensor<2>| logprobs.mean().neg() - entropies.mean() * 0.5;

    let mut whole = model.trainable(Trainable::Adapter);
    let scores = score_rows_with(&whole, &images(set), &rows, 1.0, true).unwrap();
    let found = loss(scores.logprobs, scores.entropies).backward();
    let mut want = BTreeMap::new();
    whole.visit_trainable_mut(Trainable::Adapter, &mut |name, slot| {
        if let ParamMut::Matrix(tensor) = slot {
            want.insert(name.to_owned(), values(tensor.grad(&found).unwrap()));
        }
    });

    let (scores, tape) =
        score_rows_by_blocks_with(&model, &images(set), &rows, 1.0, true, cua_grpo_kernels::Kept::here).unwrap();
    let [logprobs, entropies] = [scores.logprobs, scores.entropies].map(|tensor| tensor.autodiff().require_grad());
    let found = loss(logprobs.clone(), entropies.clone()).backward();
    let [of_logprobs, of_entropies] = [logprobs, entropies].map(|leaf| leaf.grad(&found).unwrap());
    let mut blocks = model.trainable(Trainable::Adapter);
    let mut got = tape.backward_with(&mut blocks, of_logprobs, Some(of_entropies));
    for (name, want) in want {
        let size = want.iter().fold(1e-3f32, |size, g| size.max(g.abs()));
        close(&values(got.take(&name).unwrap()), &want, 1e-3 * size, &name);
    }
}

/// The same gradients by [`score_rows_by_blocks`]: the loss is differentiated alone, then the blocks.
fn gradients_by_blocks(
    model: &Qwen3Vl,
    set: &str,
    rows: &[Row],
    loss: impl Fn(Tensor<2>) -> Tensor<1>,
) -> (f32, BTreeMap<String, Vec<f32>>) {
    let (scores, tape) = score_rows_by_blocks(model, &images(set), &rows.iter().collect::<Vec<_>>(), 1.0).unwrap();
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

fn of<T: Copy>(table: [(&str, T); 2], set: &str) -> T {
    table.into_iter().find(|(name, _)| *name == set).unwrap().1
}

fn check_gradients(set: &str, tag: &str, (loss, got): &(f32, BTreeMap<String, Vec<f32>>)) {
    let (numbers, golden) = (json(set, "lora.json"), Golden::open(set, "lora_grads"));
    let want = numbers[format!("loss_{tag}")].as_f64().unwrap();
    assert!(
        (f64::from(*loss) - want).abs() < 5e-5,
        "{set} {tag}: loss {loss}, expected {want}"
    );
    let norm = got
        .values()
        .flatten()
        .map(|&g| f64::from(g).powi(2))
        .sum::<f64>()
        .sqrt();
    let want = numbers[format!("grad_norm_{tag}")].as_f64().unwrap();
    assert!(
        (norm / want - 1.0).abs() < of(NORM, set),
        "{set} {tag}: norm {norm}, expected {want}"
    );
    let prefix = format!("{tag}.");
    let names: Vec<String> = golden
        .names()
        .into_iter()
        .filter(|name| name.starts_with(&prefix))
        .collect();
    assert!(
        names.len() >= 40,
        "{set} {tag}: only {} tensors to compare",
        names.len()
    );
    for name in names {
        let (got, want) = (&got[&name[prefix.len()..]], golden.floats(&name));
        let size = want.iter().fold(1e-2f32, |size, g| size.max(g.abs()));
        close(got, &want, of(GRADIENT, set) * size, &format!("{set} {name}"));
    }
}

#[test]
fn gradients_of_cross_entropy() {
    for set in SETS {
        let rows = [completion_row(set, "one_image")];
        let got = gradients(&adapted(set).0, set, &rows, |logprobs| logprobs.mean().neg());
        assert_eq!(got.1.len(), 2 * modules(set).len());
        check_gradients(set, "ce", &got);
        let got = gradients_by_blocks(&adapted(set).0, set, &rows, |logprobs| logprobs.mean().neg());
        check_gradients(set, "ce", &got);
    }
}

#[test]
fn gradients_of_a_policy_loss_on_a_padded_batch() {
    for set in SETS {
        let numbers = json(set, "lora.json");
        let advantages: Vec<f32> = serde_json::from_value(numbers["adv"].clone()).unwrap();
        let rows = BATCH.map(|case| completion_row(set, case));
        let trained: usize = rows.iter().map(Row::trained_tokens).sum();
        let model = adapted(set).0;

        let golden = Golden::open(set, "lora");
        let (want, mask) = (golden.floats("pg.logprobs"), golden.floats("pg.mask"));
        let want: Vec<f32> = want
            .iter()
            .zip(&mask)
            .filter(|(_, mask)| **mask > 0.0)
            .map(|(value, _)| *value)
            .collect();
        let scores = score_rows(&model, &images(set), &rows.iter().collect::<Vec<_>>(), 1.0).unwrap();
        let longest = scores.logprobs.dims()[1];
        let flat = values(scores.logprobs);
        let got = (0..3).flat_map(|row| flat[row * longest..row * longest + rows[row].trained_tokens()].to_vec());
        close(&got.collect::<Vec<_>>(), &want, 3e-4, &format!("{set}: log-probs"));

        let loss = |logprobs: Tensor<2>| {
            // Log-probs beyond the last trained token are 0 and add nothing.
            let weights = Tensor::<2>::from_floats([[advantages[0]], [advantages[1]], [advantages[2]]], &device());
            (logprobs * weights).sum().neg() / trained as f32
        };
        check_gradients(set, "pg", &gradients(&model, set, &rows, loss));
        check_gradients(set, "pg", &gradients_by_blocks(&model, set, &rows, loss));
    }
}
