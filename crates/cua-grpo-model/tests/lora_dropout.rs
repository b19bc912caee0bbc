//! Dropout of the adapter's input: seeded, of the adapter alone, and nowhere but in the copy that is trained.
//!
//! Mistakes that were made on purpose to see these tests fail: the base map reads the dropped input too; kept entries
//! are not scaled up; one mask for all modules; the mask drawn anew in every pass.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use burn::tensor::{Distribution, Tensor};
use common::adapters::*;
use common::*;
use cua_grpo_model::lora::{LoraConfig, Targets, attach};
use cua_grpo_model::nn::{Dropout, Initializer, LinearConfig, LoraPair};
use cua_grpo_model::score::score_rows;
use cua_grpo_model::{Qwen3Vl, Trainable};

#[test]
fn a_mask_drops_the_fraction_and_keeps_the_expectation() {
    for rate in [0.1, 0.5, 0.9] {
        let dropout = Dropout { rate, seed: 3 };
        let mask = values(dropout.mask([200, 300], &device()));
        let kept = (1.0 / (1.0 - rate)) as f32;
        assert!(mask.iter().all(|&value| value == 0.0 || value == kept));
        let dropped = mask.iter().filter(|&&value| value == 0.0).count() as f64 / 60_000.0;
        let deviation = (rate * (1.0 - rate) / 60_000.0).sqrt();
        assert!((dropped - rate).abs() < 4.0 * deviation, "{rate}: {dropped}");
        // The rows that were there keep their mask when more come.
        assert_eq!(mask[..150 * 300], values(dropout.mask([150, 300], &device())));
        assert_ne!(mask, values(Dropout { rate, seed: 4 }.mask([200, 300], &device())));
    }
}

#[test]
fn only_the_update_reads_the_dropped_input() {
    let device = device();
    let mut init = Initializer::new(1, &device);
    let mut linear = LinearConfig::new(24, 16, true).init(&mut init);
    let x = Tensor::<2>::random([10, 24], Distribution::Normal(0.0, 1.0), &device);
    let plain = linear.forward(x.clone());
    let (a, b) = (init.normal([4, 24], 0.3), init.normal([16, 4], 0.3));
    let dropout = Dropout { rate: 0.4, seed: 9 };
    linear.lora = Some(LoraPair {
        a: a.clone(),
        b: b.clone(),
        scaling: 1.7,
        dropout: Some(dropout),
    });
    let dropped = x.clone() * dropout.mask([10, 24], &device);
    let want = plain + dropped.matmul(a.transpose()).matmul(b.transpose()) * 1.7;
    close(
        &values(linear.forward(x)),
        &values(want),
        1e-5,
        "a linear map with dropout",
    );
}

#[test]
fn passes_repeat_by_seed_and_the_policy_itself_drops_nothing() {
    let (model, _) = adapted("a");
    let rows = [row("a", "one_image")];
    let plain = logits(&model, &rows);
    let dropping = model.with_dropout(0.3, 7);
    let first = logits(&dropping, &rows);
    assert_ne!(first, plain);
    assert_eq!(first, logits(&dropping, &rows), "a second pass");
    assert_eq!(first, logits(&model.with_dropout(0.3, 7), &rows), "a second copy");
    assert_ne!(first, logits(&model.with_dropout(0.3, 8), &rows), "another seed");
    assert_eq!(plain, logits(&model.with_dropout(0.0, 7), &rows), "a rate of 0");
    assert_eq!(plain, logits(&model, &rows), "the model that was copied");
    assert_eq!(
        logits(&dropping.without_adapter(), &rows),
        logits(&common::model("a"), &rows),
        "the reference"
    );
    // While B is zero the update is, whatever it reads.
    let mut fresh = common::model("a");
    attach(
        &mut fresh,
        &LoraConfig::new(3, 6.0, Targets::Pattern("all-linear".into())),
        1,
    )
    .unwrap();
    assert_eq!(
        logits(&fresh.with_dropout(0.5, 1), &rows),
        logits(&common::model("a"), &rows)
    );
}

#[test]
fn every_module_has_a_mask_of_its_own() {
    let (model, _) = adapted("a");
    let mut seeds = Vec::new();
    model.with_dropout(0.3, 7).visit_linear_mut(&mut |_, linear| {
        seeds.extend(linear.lora.iter().filter_map(|pair| pair.dropout).map(|d| d.seed))
    });
    let count = seeds.len();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!((count, seeds.len()), (50, 50));
}

/// Loss and its derivative along one direction of one factor.
fn loss(model: &Qwen3Vl) -> f32 {
    let row = completion_row("a", "one_image");
    let scores = score_rows(model, &images("a"), &[&row], 1.0).unwrap();
    values(scores.logprobs.mean().neg())[0]
}

#[test]
fn gradients_are_those_of_the_pass_with_its_mask() {
    let (model, _) = adapted("a");
    let mut trained = model.trainable(Trainable::Adapter).with_dropout(0.3, 7);
    let row = completion_row("a", "one_image");
    let scores = score_rows(&trained, &images("a"), &[&row], 1.0).unwrap();
    let gradients = scores.logprobs.mean().neg().backward();
    let target = "model.language_model.layers.2.mlp.up_proj";
    let mut slope = None;
    trained.visit_linear_mut(&mut |path, linear| {
        if let (true, Some(pair)) = (path == target, &linear.lora) {
            slope = Some(values(pair.a.grad(&gradients).unwrap().powf_scalar(2.0).sum())[0]);
        }
    });
    // Moves A along its own gradient, by a central difference.
    let step = 2e-2;
    let moved = |sign: f32| {
        let mut copy = model.with_dropout(0.3, 7);
        let mut gradient = None;
        trained.clone().visit_linear_mut(&mut |path, linear| {
            if let (true, Some(pair)) = (path == target, &linear.lora) {
                gradient = pair.a.grad(&gradients);
            }
        });
        copy.visit_linear_mut(&mut |path, linear| {
            if let (true, Some(pair)) = (path == target, &mut linear.lora) {
                pair.a = pair.a.clone() + gradient.clone().unwrap() * (sign * step);
            }
        });
        loss(&copy)
    };
    let (slope, measured) = (slope.unwrap(), (moved(1.0) - moved(-1.0)) / (2.0 * step));
    assert!(
        slope > 0.0 && (measured / slope - 1.0).abs() < 0.05,
        "gradient {slope}, difference {measured}"
    );
}
