//! What the generation engine reports of the tokens it samples, against what scoring finds for the same tokens.

use crate::workload::{self, Workload};
use anyhow::{Result, ensure};
use burn::tensor::{DType, Device};
use cua_grpo_core::{Prompt, Row, SamplingParams};
use cua_grpo_kernels as kernels;
use cua_grpo_model::generate::{Generator, Request};
use cua_grpo_model::score::score_rows;
use cua_grpo_model::{ModelConfig, Qwen3Vl};

/// The temperature of the tokens.
const TEMPERATURE: f32 = 0.8;

/// The largest mean distance in bf16 on a card, in nats: rounding of up to 64 layers; a mistake in a path costs whole nats.
const PRESET: f32 = 0.1;

/// Distances of log-probs, in nats.
#[derive(Debug, Clone, Copy)]
pub struct Apart {
    pub mean: f32,
    pub largest: f32,
    /// Tokens compared.
    pub tokens: usize,
}

/// Runs turns of conversations of different lengths, each turn with the sessions that it lists, and scores the rows. A
/// session that is not listed again is closed, and after each turn the engine is given its weights anew, as rollouts do.
pub fn apart(model: &Qwen3Vl, what: &Workload, turns: &[&[u64]]) -> Result<Apart> {
    let sessions = turns
        .iter()
        .copied()
        .flatten()
        .max()
        .map_or(0, |last| *last as usize + 1);
    let mut generator = Generator::new(model.clone(), 1, what.images.clone(), vec![3], 400);
    let mut rows = vec![Row::default(); sessions];
    for (turn, &sessions) in turns.iter().enumerate() {
        for &session in sessions {
            if rows[session as usize].tokens.is_empty() {
                generator.open(session);
            }
        }
        let request = |&session: &u64| Request {
            session,
            prompt: Prompt {
                tokens: what.tokens(30 + 7 * session as usize, session as usize + 10 * turn),
                images: vec![what.image.clone()],
            },
            params: SamplingParams {
                temperature: TEMPERATURE,
                top_p: 1.0,
                top_k: 0,
                max_new_tokens: 9 + 4 * session as usize,
                seed: session + 100 * turn as u64,
            },
        };
        let requests: Vec<Request> = sessions.iter().map(request).collect();
        let completions = generator.generate(&requests)?;
        for (request, completion) in requests.iter().zip(&completions) {
            let row = &mut rows[request.session as usize];
            row.push_prompt(&request.prompt);
            row.push_completion(completion);
        }
        let next = turns.get(turn + 1).copied().unwrap_or_default();
        for &session in sessions.iter().filter(|session| !next.contains(session)) {
            generator.close(session);
        }
        generator.set_model(model.clone(), turn as u64 + 2);
    }
    let (mut sum, mut tokens, mut largest) = (0.0, 0, 0.0f32);
    for row in &rows {
        let again = kernels::host(score_rows(model, &what.images, &[row], TEMPERATURE)?.logprobs);
        let sampled = row.logprobs.iter().zip(&row.trained).filter(|(_, trained)| **trained);
        for (a, (b, _)) in again.iter().zip(sampled) {
            ensure!((a - b).is_finite(), "a log-prob is no number");
            largest = largest.max((a - b).abs());
            (sum, tokens) = (sum + (a - b).abs(), tokens + 1);
        }
    }
    ensure!(tokens > 0, "no token was sampled");
    let mean = sum / tokens as f32;
    Ok(Apart { mean, largest, tokens })
}

/// One forward pass of a released size against the same model by another path: a random model in bf16 samples two
/// replies token by token over its cache, and scoring computes them again as whole rows. On the CPU bf16 is how the
/// weights are stored, and arithmetic is in f32.
pub fn preset(name: &str, config: &ModelConfig, device: &Device) -> Result<()> {
    let on_cpu = *device == Device::flex();
    let model = workload::random(config, device, DType::BF16, false);
    let what = Workload::new(name, config, 60, "64x96")?;
    let Apart { mean, largest, tokens } = apart(&model, &what, &[&[0, 1]])?;
    let bound = if on_cpu { 1e-4 } else { PRESET };
    eprintln!("{name} in bf16: log-probs of {tokens} tokens, engine - scoring: mean {mean:.2e}, largest {largest:.2e}");
    println!(
        "{}",
        serde_json::json!({"check": "preset", "preset": name, "tokens": tokens, "mean": mean, "largest": largest})
    );
    ensure!(mean < bound, "two paths of {name} differ by more than {bound} nats");
    Ok(())
}
