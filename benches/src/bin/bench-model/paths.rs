//! The paths of one model against each other: decode, scoring and training by blocks on the card, and the CPU in f32.

use crate::sampled::{self, Apart};
use crate::workload::{self, Workload};
use anyhow::{Result, ensure};
use burn::tensor::{DType, Device, Tensor};
use cua_grpo_core::Row;
use cua_grpo_kernels as kernels;
use cua_grpo_model::lora::{LoraConfig, Targets, attach};
use cua_grpo_model::nn::Slot;
use cua_grpo_model::score::{score_rows, score_rows_by_blocks};
use cua_grpo_model::{Qwen3Vl, Trainable};

/// The largest mean distance of log-probs between two paths in bf16, in nats: the rounding of activations.
const MEAN: f32 = 0.03;
/// The largest relative distance of adapter gradients from those of the CPU in f32: the same, once more.
const GRADIENT: f64 = 0.05;

/// Compares the paths on a small random model.
pub fn run(device: &Device) -> Result<()> {
    let mut config = workload::preset("tiny").unwrap_or_else(|| unreachable!("the preset exists"));
    // Wide enough that the decoder's products of several rows leave their input where it lies, and take it in parts.
    config.text.intermediate_size = 3072;
    let what = Workload::new("tiny", &config, 60, "64x96")?;
    let mut host = Qwen3Vl::init(&config, 3, &Device::flex());
    attach(
        &mut host,
        &LoraConfig::new(8, 16.0, Targets::Pattern("all-linear".to_owned())),
        1,
    )?;
    let mut seed = 1u64;
    // An adapter that does something.
    host.visit_linear(&mut |_, linear| {
        if let Some(pair) = &mut linear.lora {
            seed += 1;
            pair.b = pair.b.random_like(burn::tensor::Distribution::Normal(0.0, 0.02));
        }
    });
    let rows: Vec<Row> = [60, 40]
        .iter()
        .enumerate()
        .map(|(number, &text)| what.row(text, number))
        .collect();
    let rows: Vec<&Row> = rows.iter().collect();
    let (want, want_gradients) = scores_and_gradients(&host, &what, &rows)?;
    for &dtype in crate::check::formats(device) {
        let mut card = host.clone();
        move_to(&mut card, device, dtype);
        let plain = kernels::host(score_rows(&card, &what.images, &rows, 1.0)?.logprobs);
        let (blocks, gradients) = scores_and_gradients(&card, &what, &rows)?;
        let (apart, by_blocks) = (mean_distance(&plain, &want), mean_distance(&plain, &blocks));
        let gradient = relative(&gradients, &want_gradients);
        eprintln!(
            "{dtype:?}: log-probs card - CPU {apart:.2e}, blocks - whole {by_blocks:.2e} (mean); gradients {gradient:.2e}"
        );
        println!(
            "{}",
            serde_json::json!({"check": "paths", "dtype": format!("{dtype:?}"), "logprobs_card_cpu": apart,
                "logprobs_blocks_whole": by_blocks, "gradients_card_cpu": gradient})
        );
        let (mean, bound) = if dtype == DType::F32 {
            (1e-5, 1e-4)
        } else {
            (MEAN, GRADIENT)
        };
        ensure!(
            apart < mean && by_blocks < mean && gradient < bound,
            "the paths differ by more than {mean} or {bound}"
        );
    }
    if *device == Device::flex() {
        return turns(&host, device, &what);
    }
    for (four, batch) in [
        (false, 1),
        (false, 3),
        (false, 12),
        (true, 1),
        (true, 2),
        (true, 8),
        (true, 9),
        (true, 40),
        (true, 70),
    ] {
        decode(&host, device, &what, four, batch)?;
    }
    turns(&host, device, &what)
}

/// Three turns of conversations that come and go, with adapters in f32, as rollouts have them.
fn turns(host: &Qwen3Vl, device: &Device, what: &Workload) -> Result<()> {
    let mut model = host.clone();
    let on_cpu = *device == Device::flex();
    if !on_cpu {
        move_to(&mut model, device, DType::BF16);
        model.visit_linear(&mut |_, linear| {
            if let Some(pair) = &mut linear.lora {
                let f32 = |factor: &Tensor<2>| factor.clone().cast(DType::F32);
                (pair.a, pair.b) = (f32(&pair.a), f32(&pair.b));
            }
        });
    }
    let Apart { mean, largest, tokens } = sampled::apart(&model, what, &[&[0, 1, 2], &[3, 1, 2], &[2, 1]])?;
    eprintln!("log-probs of {tokens} tokens of three turns, engine - scoring: mean {mean:.2e}, largest {largest:.2e}");
    println!(
        "{}",
        serde_json::json!({"check": "turns", "tokens": tokens, "mean": mean, "largest": largest})
    );
    let bound = if on_cpu { 1e-4 } else { MEAN };
    ensure!(
        tokens > 40 && mean < bound && largest < 10.0 * bound,
        "engine and scoring differ by more than {bound}"
    );
    Ok(())
}

/// Tokens that the decoder sampled are scored again by the training path.
#[cfg(feature = "cuda")]
fn decode(host: &Qwen3Vl, device: &Device, what: &Workload, four: bool, batch: usize) -> Result<()> {
    use cua_grpo_kernels::cuda::{Decoder, RowStart};
    use cua_grpo_model::batch::{Batch, Prefix};
    use cua_grpo_model::generate::Prefill;

    let new_tokens = 24;
    let mut model = host.clone();
    move_to(&mut model, device, DType::BF16);
    if four {
        workload::four_bits(&mut model);
    }
    let (prompts, spans, last) = what.prompts(batch, device)?;
    let length = what.tokens_of(what.text);
    let mut decoder = Decoder::new(model.decode_model()?, batch, 256, new_tokens)?;
    let assembled = Batch::assemble(&model, &prompts, &Prefix::default())?;
    let mut cache = Prefill {
        decoder: &mut decoder,
        spans: &spans,
    };
    let hidden = assembled.hidden_at(&model, Some(&mut cache), last);
    let temperatures = [1.0, 0.7, 0.0];
    let starts: Vec<RowStart> = (0..batch)
        .map(|row| RowStart {
            length,
            position: assembled.positions[row].next - 1,
            temperature: temperatures[row % 3],
            top_k: 0,
            top_p: 0.95,
            seed: 7,
            max_new_tokens: new_tokens,
        })
        .collect();
    decoder.start(&starts, &[], 0, &hidden)?;
    decoder.run(new_tokens - 1)?;
    let history = decoder.history()?;
    let mut worst = 0.0f32;
    let mut sum = 0.0;
    for row in 0..batch {
        let mut scored = what.row(what.text, row);
        scored.trained.fill(false);
        scored.tokens.extend(&history.tokens[row]);
        scored.trained.resize(scored.tokens.len(), true);
        scored.logprobs.resize(scored.tokens.len(), 0.0);
        scored.versions.resize(scored.tokens.len(), 0);
        let again = kernels::host(score_rows(&model, &what.images, &[&scored], 1.0)?.logprobs);
        ensure!(
            again.len() == new_tokens,
            "row {row}: {} tokens were sampled",
            again.len()
        );
        for (a, b) in again.iter().zip(&history.plain_logprobs[row]) {
            ensure!((a - b).is_finite(), "row {row}: a log-prob is no number");
            worst = worst.max((a - b).abs());
            sum += (a - b).abs() / (batch * new_tokens) as f32;
        }
    }
    let weights = if four { "NF4" } else { "BF16" };
    eprintln!("{weights}: log-probs decode of {batch} rows - training path: mean {sum:.2e}, largest {worst:.2e}");
    println!(
        "{}",
        serde_json::json!({"check": "decode", "weights": weights, "rows": batch, "mean": sum, "largest": worst})
    );
    ensure!(
        sum < MEAN && worst < 10.0 * MEAN,
        "decode and training path differ by more than {MEAN} in the mean"
    );
    Ok(())
}

#[cfg(not(feature = "cuda"))]
fn decode(_: &Qwen3Vl, _: &Device, _: &Workload, _: bool, _: usize) -> Result<()> {
    Ok(())
}

/// Log-probs and all adapter gradients of their mean, by blocks.
fn scores_and_gradients(model: &Qwen3Vl, what: &Workload, rows: &[&Row]) -> Result<(Vec<f32>, Vec<f32>)> {
    let (scores, tape) = score_rows_by_blocks(model, &what.images, rows, 1.0)?;
    let grad = scores.logprobs.ones_like() / 100.0;
    let mut leaves = model.trainable(Trainable::Adapter);
    let mut gradients = tape.backward(&mut leaves, grad);
    let mut all = Vec::new();
    leaves.visit_trainable(Trainable::Adapter, &mut |name, _| {
        all.extend(gradients.take(name).map(kernels::host).unwrap_or_default());
    });
    Ok((kernels::host(scores.logprobs), all))
}

/// Moves every tensor, in `dtype`, as loading would; adapters stay in f32.
fn move_to(model: &mut Qwen3Vl, device: &Device, dtype: DType) {
    model.visit(&mut |_, slot| match slot {
        Slot::Vector(tensor) => *tensor = tensor.clone().to_device(device).cast(dtype),
        Slot::Matrix(tensor) => *tensor = tensor.clone().to_device(device).cast(dtype),
    });
    model.visit_linear(&mut |_, linear| {
        if let Some(pair) = &mut linear.lora {
            pair.a = pair.a.clone().to_device(device);
            pair.b = pair.b.clone().to_device(device);
        }
    });
    #[cfg(feature = "cuda")]
    if *device != Device::flex() {
        // As a loaded model has them.
        model.join_projections();
    }
}

fn mean_distance(a: &[f32], b: &[f32]) -> f32 {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
    if a.len() == b.len() {
        sum / a.len().max(1) as f32
    } else {
        f32::NAN
    }
}

fn relative(a: &[f32], b: &[f32]) -> f64 {
    let apart: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let size: f64 = b.iter().map(|b| f64::from(*b).powi(2)).sum();
    if a.len() == b.len() {
        (apart / size).sqrt()
    } else {
        f64::NAN
    }
}
