//! Turns of conversations through the generation engine, as rollouts have them: each adds a screenshot and samples.

use crate::limits;
use crate::workload::Workload;
use anyhow::Result;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::generate::{Generator, Request};
use std::time::Instant;

/// Measures `turns` turns of `batch` conversations with `new_tokens` sampled in each; the first round of all turns only
/// compiles, plans and allocates.
pub fn measure(model: &Qwen3Vl, what: &Workload, batch: usize, new_tokens: usize, turns: usize) -> Result<()> {
    let prompt = what.tokens_of(what.text);
    let context = turns * (prompt + new_tokens) + 1;
    let mut generator = Generator::new(model.clone(), 0, what.images.clone(), Vec::new(), context);
    let mut seconds = Vec::new();
    for round in 0..2u64 {
        let sessions = (0..batch as u64).map(|row| round * batch as u64 + row);
        sessions.clone().for_each(|session| generator.open(session));
        seconds.clear();
        for turn in 0..turns {
            let requests: Vec<Request> = sessions
                .clone()
                .map(|session| what.request(session, session as usize + 1000 * turn, new_tokens))
                .collect();
            let start = Instant::now();
            generator.generate(&requests)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        sessions.for_each(|session| generator.close(session));
    }
    let total: f64 = seconds.iter().sum();
    let (fed, drawn) = (batch * turns * prompt, batch * turns * new_tokens);
    let used = limits::used_gib(&model.device());
    let each: Vec<String> = seconds.iter().map(|seconds| format!("{seconds:.3}")).collect();
    eprintln!(
        "turns   {batch:>3} x {turns} of {prompt} + {new_tokens} tokens  {} s  {:.0} tok/s drawn, {:.0} tok/s drawn and fed  {used:>6.1} GiB",
        each.join(" "),
        drawn as f64 / total,
        (fed + drawn) as f64 / total,
    );
    println!(
        "{}",
        serde_json::json!({"mode": "turns", "preset": what.preset, "batch": batch, "turns": turns, "prompt_tokens": prompt,
            "new_tokens": new_tokens, "turn_s": seconds, "tok_s": drawn as f64 / total, "used_gib": used})
    );
    Ok(())
}
