//! One training step of the learner that runs use: forward by blocks, backward by blocks, clipping, AdamW on the
//! adapters of both towers.

use crate::limits;
use crate::workload::Workload;
use anyhow::{Result, bail, ensure};
use cua_grpo_algo::AdamWConfig;
use cua_grpo_core::Row;
use cua_grpo_model::lora::{LoraConfig, Targets, attach};
use cua_grpo_model::{Policy, Qwen3Vl, Trainable};
use cua_grpo_train::learner::Learner;
use std::time::Instant;

/// Attaches fresh adapters of rank `rank` to every linear map of both towers.
pub fn adapters(model: &mut Qwen3Vl, rank: usize) -> Result<()> {
    let config = LoraConfig::new(rank, 2.0 * rank as f64, Targets::Pattern("all-linear".to_owned()));
    attach(model, &config, 1)?;
    Ok(())
}

/// Measures each shape `ROWSxTEXT`, with the inputs of blocks in the memory of the host where they are to `offload`: the
/// median of `steps` after one that is not counted.
pub fn measure(model: &Qwen3Vl, what: &Workload, shapes: &[String], offload: bool, steps: usize) -> Result<()> {
    let mut policy = Policy::new(model.clone(), what.images.clone());
    policy.offload_activations(offload);
    let mut learner = Learner::new(policy, Trainable::Adapter, AdamWConfig::default(), 1.0)?;
    for shape in shapes {
        let sides = shape.split_once('x').map(|(rows, text)| (rows.parse(), text.parse()));
        let Some((Ok(rows), Ok(text))) = sides else {
            bail!("--train-shapes {shape}: expected ROWSxTEXT, as 4x2048");
        };
        one(&mut learner, what, rows, text, steps)?;
    }
    Ok(())
}

fn one(learner: &mut Learner, what: &Workload, count: usize, text: usize, steps: usize) -> Result<()> {
    let device = learner.policy.model().device();
    let rows: Vec<Row> = (0..count).map(|number| what.row(text, number)).collect();
    let rows: Vec<&Row> = rows.iter().collect();
    let mut seconds = Vec::new();
    for _ in 0..=steps {
        device.sync()?;
        let start = Instant::now();
        let (scores, tape) = learner.policy.score_by_blocks(&rows, 1.0)?;
        // The loss -mean(exp(l - l')) has the gradient -1/n at every log-prob, where l' is l as a constant.
        let total = rows.iter().map(|row| row.trained_tokens()).sum::<usize>();
        let grad = scores.logprobs.zeros_like() - 1.0 / total as f32;
        let mut leaves = learner.differentiable();
        let gradient = learner.gradient_by_blocks(&mut leaves, tape, grad, None)?;
        ensure!(learner.update(gradient, 1e-5)?.is_some(), "the gradient is not finite");
        device.sync()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let step = seconds[seconds.len() / 2];
    let tokens = what.tokens_of(text);
    let patches = what.image_tokens() * 4;
    // Forward, recomputation, and the input gradients: the frozen weights need none of their own.
    let flops = 3.0 * limits::forward_flops(&what.config, count, tokens, patches, tokens);
    let share = flops / limits::FLOPS_PER_S / step;
    let (used, speed) = (limits::used_gib(&device), (count * tokens) as f64 / step);
    eprintln!(
        "train   {count:>3} x {tokens:>5} tokens  {step:>8.3} s  {speed:>8.0} tok/s  {used:>6.1} GiB  {share:.2} of the limit"
    );
    println!(
        "{}",
        serde_json::json!({"mode": "train", "preset": what.preset, "rows": count, "tokens": count * tokens, "step_s": step,
            "tok_s": speed, "used_gib": used, "flops": flops, "share_of_limit": share})
    );
    Ok(())
}
