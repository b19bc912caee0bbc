//! Whole models with narrow weights (bf16, four bits) against the dense f32 model of the same values: logits, gradients
//! of adapters, generation, merging and saving.
//!
//! Mistakes that were made on purpose, one at a time, to see a test fail: weights in four bits not saved; updates merged
//! in bf16.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use burn::tensor::{DType, Tensor};
use common::sessions::*;
use common::*;
use cua_grpo_core::Row;
use cua_grpo_model::checkpoint::{LoadOptions, Nf4Options, SaveOptions, WeightDtype, load_model, save_model};
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::nn::{ParamMut, Weight};
use cua_grpo_model::score::score_rows;
use cua_grpo_model::{Qwen3Vl, Trainable};
use std::collections::BTreeMap;

const BF16: LoadOptions = LoadOptions {
    dtype: WeightDtype::Bf16,
    nf4: None,
};

fn four_bits() -> LoadOptions {
    LoadOptions::quantised(WeightDtype::F32, Nf4Options::default())
}

fn load(set: &str, options: &LoadOptions) -> Qwen3Vl {
    load_model(&folder(set), options, &device()).unwrap()
}

/// The same values, all of them in f32.
fn widened(model: &Qwen3Vl) -> Qwen3Vl {
    let mut model = model.clone();
    model.visit_linear_mut(&mut |_, linear| linear.weight = Weight::Dense(linear.weight.dense()));
    model.visit_mut(&mut |_, slot| {
        if let ParamMut::Matrix(tensor) = slot {
            *tensor = tensor.clone().cast(DType::F32);
        }
    });
    model
}

/// The narrow models of a fixture, the widened ones, and how far their logits may be apart.
fn pairs(set: &str) -> [(&'static str, Qwen3Vl, Qwen3Vl, f32); 3] {
    let both = LoadOptions::quantised(WeightDtype::Bf16, Nf4Options::default());
    [
        ("bf16", BF16, 1e-5),
        ("nf4", four_bits(), 1e-4),
        ("nf4 and bf16", both, 1e-4),
    ]
    .map(|(name, options, tolerance)| {
        let model = load(set, &options);
        let wide = widened(&model);
        (name, model, wide, tolerance)
    })
}

#[test]
fn logits_are_those_of_the_widened_model() {
    for set in SETS {
        let plain = logits(&model(set), &[row(set, "one_image")]);
        for (name, narrow, wide, tolerance) in pairs(set) {
            for case in ["text_only", "one_image", "video"] {
                let rows = [row(set, case)];
                let (got, want) = (logits(&narrow, &rows), logits(&wide, &rows));
                close(
                    &got[0].concat(),
                    &want[0].concat(),
                    tolerance,
                    &format!("{set} {name} {case}"),
                );
            }
            let got = logits(&narrow, &[row(set, "one_image")]);
            let change = worst(&got[0].concat(), &plain[0].concat());
            assert!(change > 1e-3, "{set} {name}: rounding changes logits, by {change} only");
        }
    }
}

#[test]
fn bf16_models_are_the_f32_ones_rounded() {
    for set in SETS {
        let mut rounded = model(set);
        rounded.visit_mut(&mut |name, slot| {
            if let (ParamMut::Matrix(tensor), false) = (slot, name.ends_with("pos_embed.weight")) {
                *tensor = tensor.clone().cast(DType::BF16).cast(DType::F32);
            }
        });
        let stored = load(set, &BF16);
        assert_eq!(stored.head().dtype(), DType::BF16);
        for case in ["text_only", "two_images"] {
            let rows = [row(set, case)];
            let (got, want) = (logits(&stored, &rows), logits(&rounded, &rows));
            let (got, want) = (got[0].concat(), want[0].concat());
            let size = want.iter().fold(1.0f32, |size, logit| size.max(logit.abs()));
            close(&got, &want, 1e-5 * size, &format!("{set} {case}"));
        }
    }
}

/// Log-probs of the fixture's completions, and the gradients of their mean.
fn gradients(model: &Qwen3Vl, set: &str) -> (Vec<f32>, Vec<(String, Vec<f32>)>) {
    let mut model = model.clone();
    load_adapter(&mut model, &folder(set).join("adapter")).unwrap();
    let mut model = model.trainable(Trainable::Adapter);
    let rows = BATCH.map(|case| completion_row(set, case));
    let scores = score_rows(&model, &images(set), &rows.iter().collect::<Vec<&Row>>(), 1.0).unwrap();
    let gradients = scores.logprobs.clone().mean().backward();
    let mut all = Vec::new();
    model.visit_trainable_mut(Trainable::Adapter, &mut |name, slot| {
        let ParamMut::Matrix(tensor) = slot else {
            panic!("{name}: a factor is a matrix")
        };
        let gradient: Tensor<2> = tensor
            .grad(&gradients)
            .unwrap_or_else(|| panic!("{name} has no gradient"));
        all.push((name.to_owned(), values(gradient)));
    });
    (values(scores.logprobs), all)
}

#[test]
fn gradients_of_adapters_are_those_over_the_widened_model() {
    for set in SETS {
        for (what, narrow, wide, _) in pairs(set) {
            let ((logprobs, got), (want_logprobs, want)) = (gradients(&narrow, set), gradients(&wide, set));
            close(&logprobs, &want_logprobs, 3e-4, &format!("{set} {what}: log-probs"));
            assert!(
                got.len() >= 40 && got.len() == want.len(),
                "{set} {what}: {} tensors",
                got.len()
            );
            let mut moved = 0;
            for ((name, got), (_, want)) in got.iter().zip(&want) {
                let size = want.iter().fold(1e-2f32, |size, g| size.max(g.abs()));
                close(got, want, 1e-3 * size, &format!("{set} {what} {name}"));
                moved += usize::from(got.iter().any(|&g| g != 0.0));
            }
            assert!(moved * 2 > got.len(), "{set} {what}: only {moved} gradients are not 0");
        }
    }
}

#[test]
fn sampled_log_probs_are_those_of_the_scorer() {
    for set in SETS {
        for (what, narrow, ..) in pairs(set) {
            for turns in conversations(set).iter().take(2) {
                let replies = alone(set, &narrow, turns, &[]);
                let row = row_of(turns, &replies);
                let scores = score_rows(&narrow, &images(set), &[&row], turns[0].params.temperature).unwrap();
                let sampled: Vec<f32> = replies.iter().flat_map(|reply| reply.logprobs.clone()).collect();
                close(&sampled, &values(scores.logprobs), 3e-5, &format!("{set} {what}"));
            }
        }
    }
}

#[test]
fn saved_models_hold_what_the_weights_stand_for() {
    for set in SETS {
        for (what, narrow, wide, _) in pairs(set) {
            let dir = tempfile::tempdir().unwrap();
            // Small shards: weights in four bits are planned and written as the others are.
            let options = SaveOptions {
                dtype: Some(WeightDtype::F32),
                max_shard_bytes: 200_000,
            };
            save_model(&narrow, dir.path(), &options, 480, 482).unwrap();
            let again = load_model(dir.path(), &LoadOptions::default(), &device()).unwrap();
            let rows = [row(set, "one_image")];
            assert_eq!(logits(&again, &rows), logits(&wide, &rows), "{set} {what}");
        }
    }
}

#[test]
fn merging_adds_the_update_to_what_the_weight_stands_for() {
    for set in SETS {
        for (what, narrow, wide, _) in pairs(set) {
            let merged = |model: &Qwen3Vl| {
                let mut model = model.clone();
                load_adapter(&mut model, &folder(set).join("adapter")).unwrap();
                model.merge();
                let mut matrices = BTreeMap::new();
                model.visit_mut(&mut |name, slot| {
                    if let ParamMut::Matrix(tensor) = slot {
                        matrices.insert(name.to_owned(), tensor.clone());
                    }
                });
                matrices
            };
            let (got, mut want) = (merged(&narrow), merged(&wide));
            let adapted = adapters::modules(set)
                .into_iter()
                .map(|module| format!("{module}.weight"));
            for name in adapted {
                // What is summed in f32 is rounded to bf16 again where the weight was; four bits become f32.
                let dtype = if what == "bf16" {
                    DType::BF16
                } else {
                    got[&name].dtype()
                };
                let want = want.remove(&name).unwrap().cast(dtype).into_data();
                assert!(got[&name].clone().into_data() == want, "{set} {what}: {name}");
                assert!(
                    !what.contains("nf4") || dtype == DType::F32,
                    "{set} {what}: {name} is in {dtype:?}"
                );
            }
        }
    }
}

#[test]
fn training_everything_leaves_four_bit_weights_out() {
    let mut model = load("a", &four_bits()).trainable(Trainable::Everything);
    let mut names = Vec::new();
    model.visit_trainable_mut(Trainable::Everything, &mut |name, _| names.push(name.to_owned()));
    assert!(names.iter().all(|name| !name.ends_with("_proj.weight")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("norm.weight")));
}
