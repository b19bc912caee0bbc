//! The mixture of experts against transformers: logits, generation, gradients, both layouts of the experts' tensors.
//!
//! The fixture `moe` has a dense layer between two sparse ones and was made by `fixtures/moe/make_moe.py`; transformers
//! 4.57.6 and 5.23.0 agree on its logits.
//!
//! Mistakes that were made on purpose, one at a time, each seen to fail a test here: probabilities not scaled to sum 1;
//! gate and up exchanged; one expert too many; a sigmoid for the softmax; the least probable experts; outputs put back
//! without the experts' starts; no gradient through the router (the gradient test alone); the experts' matrices not
//! transposed on loading, or on saving; a square matrix always taken for the older layout; the router held in bf16.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use burn::tensor::DType;
use common::sessions::*;
use common::*;
use cua_grpo_model::checkpoint::{
    LoadOptions, Nf4Options, SaveOptions, TensorFiles, WeightDtype, load_model, save_model,
};
use cua_grpo_model::generate::Request;
use cua_grpo_model::lora::{Targets, matched_modules};
use cua_grpo_model::nn::ParamMut;
use cua_grpo_model::score::score_rows;
use cua_grpo_model::{ModelConfig, Qwen3Vl, Trainable};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;

const SET: &str = "moe";

fn load(dir: &Path) -> Qwen3Vl {
    load_model(dir, &LoadOptions::default(), &device()).unwrap()
}

#[test]
fn logits_equal_those_of_transformers() {
    let model = model(SET);
    for case in BATCH {
        let golden = Golden::open(SET, &format!("forward_{case}"));
        let logits = logits(&model, &[row(SET, case)]).remove(0);
        close(&logits.concat(), &golden.floats("logits"), 1e-4, case);
        let best: Vec<i64> = logits.iter().map(|row| argmax(row)).collect();
        assert_eq!(best, golden.ints("argmax"), "{case}");
    }
}

#[test]
fn a_padded_batch_equals_its_rows() {
    let model = model(SET);
    let rows = BATCH.map(|case| row(SET, case));
    let together = logits(&model, &rows);
    for ((row, together), case) in rows.iter().zip(together).zip(BATCH) {
        let alone = logits(&model, std::slice::from_ref(row)).remove(0);
        close(&together.concat(), &alone.concat(), 1e-5, case);
    }
}

#[test]
fn greedy_tokens_equal_those_of_transformers() {
    let golden = Golden::open(SET, "generate");
    let mut together = generator(SET, model(SET), &[]);
    let request = |session, case| Request {
        session,
        prompt: prompt(SET, case),
        params: greedy(8),
    };
    for (number, case) in BATCH.into_iter().enumerate() {
        together.open(number as u64);
        let mut alone = generator(SET, model(SET), &[]);
        alone.open(0);
        let got = alone.generate(&[request(0, case)]).unwrap().remove(0);
        assert_eq!(got.tokens, golden.ids(&format!("{case}.generated")), "{case} alone");
    }
    let requests: Vec<Request> = (0..).zip(BATCH).map(|(number, case)| request(number, case)).collect();
    for (got, case) in together.generate(&requests).unwrap().iter().zip(BATCH) {
        assert_eq!(
            got.tokens,
            golden.ids(&format!("{case}.generated")),
            "{case} in a batch"
        );
    }
}

#[test]
fn sampled_tokens_have_the_log_probs_that_training_computes() {
    let model = model(SET);
    for turns in conversations(SET) {
        let replies = alone(SET, &model, &turns, &[]);
        let row = row_of(&turns, &replies);
        let want: Vec<f32> = replies.iter().flat_map(|reply| reply.logprobs.clone()).collect();
        // The rows of one temperature only: the scorer has one.
        let temperature = turns[0].params.temperature;
        if turns.iter().all(|turn| turn.params.temperature == temperature) {
            let scores = score_rows(&model, &images(SET), &[&row], temperature).unwrap();
            close(&values(scores.logprobs), &want, RATIO, "log-probs");
        }
    }
}

#[test]
fn gradients_pass_experts_and_router() {
    let golden = Golden::open(SET, "grads");
    let model = model(SET).trainable(Trainable::Everything);
    let row = completion_row(SET, "one_image");
    let scores = score_rows(&model, &images(SET), &[&row], 1.0).unwrap();
    let loss = scores.logprobs.mean().neg();
    close(&values(loss.clone()), &golden.floats("loss"), 2e-5, "loss");
    let gradients = loss.backward();
    let mut got: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    model.clone().visit_mut(&mut |name, slot| {
        let (values, count) = match slot {
            ParamMut::Vector(tensor) => (tensor.grad(&gradients).map(values), tensor.dims()[0]),
            ParamMut::Matrix(tensor) => (tensor.grad(&gradients).map(values), tensor.dims().iter().product()),
        };
        // Experts that no token chose have no gradient. All experts of a layer are one tensor of the file.
        let values = values.unwrap_or_else(|| vec![0.0; count]);
        let name = match name.split_once("_proj.") {
            Some((head, _)) if head.contains(".experts.") => format!("{head}_proj"),
            _ => name.to_owned(),
        };
        got.entry(name).or_default().extend(values);
    });
    let mut compared = 0;
    for name in golden.names().iter().filter(|name| *name != "loss") {
        let want = golden.floats(name);
        let size = want.iter().fold(1e-3f32, |size, value| size.max(value.abs()));
        close(&got[name], &want, 1e-4 * size, name);
        compared += 1;
    }
    assert_eq!(compared, 6);
}

#[test]
fn both_configurations_and_the_written_one_agree() {
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder(SET).join(name)).unwrap();
        ModelConfig::from_json(&serde_json::from_str(&text).unwrap()).unwrap()
    };
    let old = read("config.json");
    assert_eq!(old, read("config.v5.json"));
    assert_eq!(ModelConfig::from_json(&old.to_json(0, 1)).unwrap(), old);
    let sparse: Vec<bool> = (0..3).map(|layer| old.text.is_sparse(layer)).collect();
    assert_eq!(sparse, [true, false, true]);
    assert_eq!(old.parameter_count().total(), model(SET).num_params() as u64);
}

#[test]
fn configurations_that_cannot_work_name_the_key() {
    let text = std::fs::read_to_string(folder(SET).join("config.json")).unwrap();
    let good: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (key, value, expected) in [
        (
            "num_experts_per_tok",
            9.into(),
            "num_experts_per_tok: expected 1 to 8 (the experts), found 9",
        ),
        (
            "decoder_sparse_step",
            0.into(),
            "decoder_sparse_step: expected at least 1",
        ),
        ("norm_topk_prob", false.into(), "norm_topk_prob: expected true"),
        (
            "moe_intermediate_size",
            serde_json::Value::Null,
            "moe_intermediate_size is missing",
        ),
    ] {
        let mut config = good.clone();
        config["text_config"][key] = value;
        let error = ModelConfig::from_json(&config).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn all_linear_is_what_peft_takes_it_for() {
    let golden = json(SET, "modules.json");
    let want: Vec<String> = serde_json::from_value(golden["all-linear"].clone()).unwrap();
    let mut got = matched_modules(&model(SET), &Targets::Pattern("all-linear".into())).unwrap();
    got.sort();
    assert_eq!(got, want);
    // PEFT refuses the router too.
    let error = matched_modules(&model(SET), &Targets::Names(vec!["mlp.gate".into()])).unwrap_err();
    assert!(error.to_string().contains("matches no linear module"), "{error}");
}

/// The checkpoint `source` with the expert tensors changed.
fn changed(source: &Path, change: impl Fn(&str, &[usize], &[u8]) -> (Vec<usize>, Vec<u8>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(source.join("config.json"), dir.path().join("config.json")).unwrap();
    let bytes = std::fs::read(source.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let (shape, data) = match name.contains(".experts.") {
                true => change(&name, view.shape(), view.data()),
                false => (view.shape().to_vec(), view.data().to_vec()),
            };
            (name, view.dtype(), shape, data)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    std::fs::write(
        dir.path().join("model.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
    dir
}

/// Every matrix of `[experts, rows, columns]` values of 2 bytes transposed.
fn swapped(shape: &[usize], data: &[u8]) -> (Vec<usize>, Vec<u8>) {
    let &[experts, rows, columns] = shape else {
        unreachable!("expert tensors have 3 axes")
    };
    let mut out = Vec::with_capacity(data.len());
    for expert in data.chunks_exact(rows * columns * 2) {
        for column in 0..columns {
            for row in 0..rows {
                let at = (row * columns + column) * 2;
                out.extend(&expert[at..at + 2]);
            }
        }
    }
    (vec![experts, columns, rows], out)
}

#[test]
fn experts_load_from_either_layout() {
    let rows = [row(SET, "one_image")];
    let want = logits(&model(SET), &rows);
    let newer = changed(&folder(SET), |_, shape, data| swapped(shape, data));
    assert_eq!(logits(&load(newer.path()), &rows), want);
    // What is saved is in the layout of the released checkpoints, in shards too, and from bf16 weights.
    let dir = tempfile::tempdir().unwrap();
    for (held, max_shard_bytes) in [(WeightDtype::F32, u64::MAX), (WeightDtype::Bf16, 20_000)] {
        let model = load_model(newer.path(), &LoadOptions::new(held), &device()).unwrap();
        let dtype = Some(WeightDtype::Bf16);
        save_model(&model, dir.path(), &SaveOptions { dtype, max_shard_bytes }, 0, 1).unwrap();
        let (got, want) = (
            TensorFiles::open(dir.path()).unwrap(),
            TensorFiles::open(&folder(SET)).unwrap(),
        );
        assert!(got.names().eq(want.names()));
        for name in want.names() {
            assert_eq!(got.info(name), want.info(name), "{name}");
            assert!(
                got.read_bytes(name).unwrap() == want.read_bytes(name).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn the_router_is_held_in_f32() {
    let mut model = load_model(&folder(SET), &LoadOptions::new(WeightDtype::Bf16), &device()).unwrap();
    let mut seen = 0;
    model.visit_mut(&mut |name, slot| {
        if let ParamMut::Matrix(tensor) = slot
            && name.contains(".mlp.")
            && name.contains("language_model.layers.0.")
        {
            let small = name.ends_with("mlp.gate.weight");
            assert_eq!(tensor.dtype(), if small { DType::F32 } else { DType::BF16 }, "{name}");
            seen += 1;
        }
    });
    assert_eq!(seen, 17);
}

#[test]
fn weights_held_in_bf16_and_four_bits_compute() {
    // The file is bf16, so nothing is rounded.
    let rows = BATCH.map(|case| row(SET, case));
    let want: Vec<f32> = logits(&model(SET), &rows).concat().concat();
    let held = load_model(&folder(SET), &LoadOptions::new(WeightDtype::Bf16), &device()).unwrap();
    close(&logits(&held, &rows).concat().concat(), &want, 1e-5, "bf16");
    // Experts and router are no linear modules: as in bitsandbytes, they are not rounded to four bits.
    let options = LoadOptions::quantised(WeightDtype::F32, Nf4Options::default());
    let mut held = load_model(&folder(SET), &options, &device()).unwrap();
    let mut names = Vec::new();
    held.visit_nf4_mut(&mut |name, _| names.push(name.trim_end_matches(".weight").to_owned()));
    names.sort();
    let golden = json(SET, "modules.json");
    let modules: Vec<String> = serde_json::from_value(golden["all-linear"].clone()).unwrap();
    assert_eq!(names, modules);
    let difference = worst(&logits(&held, &rows).concat().concat(), &want);
    assert!(difference > 1e-3 && difference.is_finite(), "{difference}");
}

#[test]
fn experts_of_another_number_or_shape_are_named_once() {
    let dir = changed(&folder(SET), |name, shape, data| {
        if name.contains("layers.0.mlp.experts.down_proj") {
            let size = data.len() / shape[0];
            return (vec![shape[0] - 1, shape[1], shape[2]], data[size..].to_vec());
        }
        (shape.to_vec(), data.to_vec())
    });
    let error = load_model(dir.path(), &LoadOptions::default(), &device()).unwrap_err();
    let error = error.to_string();
    let name = "model.language_model.layers.0.mlp.experts.down_proj";
    assert!(
        error.contains(&format!("{name}: expected shape [8, 24, 32], found [7, 24, 32]")),
        "{error}"
    );
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_square_matrix_is_placed_by_its_neighbour() {
    // Experts half as wide as the residual stream: gate and up together are square.
    let text = std::fs::read_to_string(folder(SET).join("config.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["text_config"]["moe_intermediate_size"] = 16.into();
    let config = ModelConfig::from_json(&json).unwrap();
    let square = Qwen3Vl::init(&config, 3, &device());
    let dir = tempfile::tempdir().unwrap();
    save_model(&square, dir.path(), &SaveOptions::new(WeightDtype::Bf16), 0, 1).unwrap();
    let older = load(dir.path());
    let newer = load(changed(dir.path(), |_, shape, data| swapped(shape, data)).path());
    let rows = [row(SET, "text_only")];
    assert_eq!(logits(&newer, &rows), logits(&older, &rows));
    let difference = worst(&logits(&older, &rows)[0].concat(), &logits(&square, &rows)[0].concat());
    assert!(difference < 0.1, "{difference}");
}
