//! Prefill and decode: on a card through its decoder, on a CPU through the generation engine.

use crate::limits;
use crate::workload::Workload;
use anyhow::Result;
use burn::tensor::Device;
use cua_grpo_model::Qwen3Vl;

/// What one measurement found.
struct Figures {
    prefill_s: f64,
    /// Seconds of the vision tower alone, which the prefill holds too.
    vision_s: Option<f64>,
    /// Seconds of all steps after the first token, and their number.
    decode: Option<(f64, usize)>,
}

/// Measures `batch` conversations: the prefill, and the decode of `new_tokens` tokens where that is not 0.
pub fn measure(model: &Qwen3Vl, what: &Workload, batch: usize, new_tokens: usize) -> Result<()> {
    let device = model.device();
    let figures = if device == Device::flex() {
        on_cpu(model, what, batch, new_tokens)?
    } else {
        on_card(model, what, batch, new_tokens)?
    };
    let (prompt, patches) = (what.tokens_of(what.text), what.image_tokens() * 4);
    let used = limits::used_gib(&device);
    let flops = limits::forward_flops(&what.config, batch, prompt, patches, 1);
    let (seconds, speed) = (figures.prefill_s, (batch * prompt) as f64 / figures.prefill_s);
    let share = flops / limits::FLOPS_PER_S / seconds;
    eprintln!(
        "prefill {batch:>3} x {prompt:>5} tokens  {seconds:>8.3} s  {speed:>8.0} tok/s  {used:>6.1} GiB  {share:.2} of the limit, vision {:.3} s",
        figures.vision_s.unwrap_or_default()
    );
    println!(
        "{}",
        serde_json::json!({"mode": "prefill", "preset": what.preset, "batch": batch, "prompt_tokens": prompt,
            "prefill_s": seconds, "vision_s": figures.vision_s, "tok_s": speed, "used_gib": used, "flops": flops, "share_of_limit": share})
    );
    let Some((seconds, steps)) = figures.decode else {
        return Ok(());
    };
    let (step, speed) = (seconds / steps as f64, (batch * steps) as f64 / seconds);
    let bits = what.weight_bits;
    let limit = limits::decode_step_s(&what.config, batch, prompt + new_tokens / 2, bits);
    let share = limit / step;
    eprintln!(
        "decode  {batch:>3} x {new_tokens:>5} tokens  {:>8.2} ms {speed:>8.1} tok/s  {used:>6.1} GiB  {share:.2} of the limit",
        step * 1e3
    );
    println!(
        "{}",
        serde_json::json!({"mode": "decode", "preset": what.preset, "batch": batch, "new_tokens": new_tokens,
            "ms_per_step": step * 1e3, "tok_s": speed, "used_gib": used, "limit_ms": limit * 1e3, "share_of_limit": share})
    );
    Ok(())
}

#[cfg(feature = "cuda")]
fn on_card(model: &Qwen3Vl, what: &Workload, batch: usize, new_tokens: usize) -> Result<Figures> {
    use cua_grpo_kernels::cuda::{Decoder, RowStart};
    use cua_grpo_model::batch::{Batch, Prefix};
    use cua_grpo_model::generate::Prefill;
    use cua_grpo_model::text::KvCache;
    use std::time::Instant;

    let device = model.device();
    let (prompts, spans, last) = what.prompts(batch, &device)?;
    let prompt = what.tokens_of(what.text);
    let history = new_tokens.max(1);
    let max_len = (prompt + history + 1).next_multiple_of(64);
    let mut decoder = match new_tokens {
        0 => None,
        _ => Some(Decoder::new(model.decode_model()?, batch, max_len, history)?),
    };
    let mut figures = None;
    // The first round compiles kernels, makes plans and captures the graph.
    for _ in 0..3 {
        device.sync()?;
        let start = Instant::now();
        let images: Vec<_> = prompts
            .iter()
            .flat_map(|prompt| prompt.pixels.iter().map(AsRef::as_ref))
            .collect();
        drop(model.visual.forward(&images));
        device.sync()?;
        let vision_s = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let assembled = Batch::assemble(model, &prompts, &Prefix::default())?;
        let mut cache = decoder.as_mut().map(|decoder| Prefill {
            decoder,
            spans: &spans,
            copies: &[],
        });
        let cache = cache.as_mut().map(|cache| cache as &mut dyn KvCache);
        let hidden = assembled.hidden_at(model, cache, last.clone());
        let starts: Vec<RowStart> = (0..batch)
            .map(|row| RowStart {
                length: prompt,
                position: assembled.positions[row].next - 1,
                temperature: 0.7,
                top_k: 0,
                top_p: 0.9,
                seed: row as u64,
                drawn: 0,
                max_new_tokens: history,
            })
            .collect();
        if let Some(decoder) = &mut decoder {
            decoder.start(&starts, &[], 0, &hidden)?;
        }
        device.sync()?;
        let prefill_s = start.elapsed().as_secs_f64();
        let decode = match &mut decoder {
            None => None,
            Some(decoder) => {
                decoder.run(1)?;
                decoder.active()?;
                let start = Instant::now();
                decoder.run(new_tokens - 2)?;
                decoder.active()?;
                let seconds = start.elapsed().as_secs_f64();
                let sampled = decoder.history()?.tokens;
                anyhow::ensure!(sampled.iter().all(|row| row.len() == new_tokens), "a row stopped early");
                Some((seconds, new_tokens - 2))
            }
        };
        figures = Some(Figures {
            vision_s: Some(vision_s),
            prefill_s,
            decode,
        });
    }
    figures.ok_or_else(|| anyhow::anyhow!("no round was run"))
}

#[cfg(not(feature = "cuda"))]
fn on_card(_: &Qwen3Vl, _: &Workload, _: usize, _: usize) -> Result<Figures> {
    anyhow::bail!("build with `--features cuda` to measure on a card")
}

fn on_cpu(model: &Qwen3Vl, what: &Workload, batch: usize, new_tokens: usize) -> Result<Figures> {
    use cua_grpo_model::generate::{Generator, Request};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Instant;

    // When the last token of the first round was drawn.
    let drawn = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&drawn);
    let observer = Box::new(move |_, _| {
        times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Instant::now())
    });
    let generator = Generator::new(model.clone(), 0, what.images.clone(), Vec::new(), 1 << 20);
    let mut generator = generator.observed(observer);
    let requests: Vec<Request> = (0..batch as u64)
        .map(|session| what.request(session, session as usize, new_tokens))
        .collect();
    for request in &requests {
        generator.open(request.session);
    }
    let start = Instant::now();
    generator.generate(&requests)?;
    let seconds = start.elapsed().as_secs_f64();
    let drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
    let first = drawn
        .get(batch - 1)
        .ok_or_else(|| anyhow::anyhow!("a row drew no token"))?;
    let prefill_s = first.duration_since(start).as_secs_f64();
    let decode = (new_tokens > 1).then(|| (seconds - prefill_s, new_tokens - 1));
    Ok(Figures {
        prefill_s,
        vision_s: None,
        decode,
    })
}
