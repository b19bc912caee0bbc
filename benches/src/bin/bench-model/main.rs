//! Speed and memory of the model with random weights: decode, prefill, and one training step.
//!
//! Run with `cargo xtask bench-model --preset 8b --device cuda:0 --dtype bf16 --mode all`. A line of JSON for each
//! measurement on standard output, a table on standard error. The shapes and the meaning of the figures are those of
//! the usual yardstick for transformers and PEFT: a prompt of 512 text tokens and one screenshot, 128 new tokens,
//! one training step with adapters on both towers. That the kernels are right is what the tests named `card` are for.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the JSON lines are the output, the table is for the reader"
)]

mod beside;
mod decode;
mod limits;
mod train;
mod turns;
mod workload;

use anyhow::{Result, anyhow, bail};
use burn::tensor::{DType, Device};
use clap::{Parser, ValueEnum};
use cua_grpo_model::placement::DeviceSpec;
use std::sync::Arc;
use workload::Workload;

/// Speed and memory of the model with random weights.
#[derive(Parser)]
struct Arguments {
    /// Sizes of the released models: 2b, 4b, 8b, 32b; or tiny
    #[arg(long, default_value = "tiny")]
    preset: String,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Number format of weights and activations; the CPU computes in f32
    #[arg(long, default_value = "bf16", value_parser = ["bf16", "f32"])]
    dtype: String,
    /// Keep the weights of linear maps in four bits (NF4)
    #[arg(long)]
    load_in_4bit: bool,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Mode::All)]
    mode: Mode,
    /// Conversations at once
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    batch: Vec<usize>,
    /// Text tokens of a prompt
    #[arg(long, default_value_t = 512)]
    prompt_text: usize,
    /// Width and height of the screenshot in pixels
    #[arg(long, default_value = "544x1216")]
    image: String,
    /// Tokens to sample
    #[arg(long, default_value_t = 128)]
    new_tokens: usize,
    /// Rank of the adapters on every linear map; 0 measures prefill and decode without, and training at rank 16
    #[arg(long, default_value_t = 0)]
    lora_rank: usize,
    /// Training shapes: rows x text tokens
    #[arg(long, value_delimiter = ',', default_values = ["1x7000", "4x2048"])]
    train_shapes: Vec<String>,
    /// Steps of a training shape that are measured, after one that is not
    #[arg(long, default_value_t = 3)]
    train_steps: usize,
    /// Keep the inputs of blocks in the host's memory until the backward pass of training
    #[arg(long)]
    activation_offloading: bool,
    /// Turns of a conversation, for `--mode turns`
    #[arg(long, default_value_t = 4)]
    turns: usize,
    /// For `--mode async`: text tokens of a turn after the first
    #[arg(long, default_value_t = 64)]
    turn_text: usize,
    /// For `--mode async`: most updates between sampling and training
    #[arg(long, default_value_t = 2)]
    max_staleness: u64,
    /// For `--mode async`: steps that are measured, after one that is not
    #[arg(long, default_value_t = 6)]
    steps: usize,
    /// For `--mode async`: seconds after which rollouts end with the steps they have by then
    #[arg(long, default_value_t = f64::INFINITY)]
    most_seconds: f64,
    /// For `--mode async`: what is measured, so that two cards can share the work; `updates` needs `rollouts`
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rollouts,updates,both")]
    phases: Vec<beside::Phase>,
    /// For `--mode async`: how much faster phones are than rented ones
    #[arg(long, default_value_t = 1.0)]
    haste: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Decode,
    Prefill,
    Train,
    /// Rollouts on phones that take their time, updates, and both at once; not part of all
    Async,
    /// Several turns of each conversation through the generation engine, as rollouts have them.
    Turns,
    All,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let device = device(&arguments.device)?;
    let Some(config) = workload::preset(&arguments.preset) else {
        bail!("--preset {}: expected 2b, 4b, 8b, 32b or tiny", arguments.preset);
    };
    let on_cpu = device == Device::flex();
    let dtype = if arguments.dtype == "f32" || on_cpu {
        DType::F32
    } else {
        DType::BF16
    };
    let mut model = workload::random(&config, &device, dtype, arguments.load_in_4bit);
    if arguments.lora_rank > 0 {
        train::adapters(&mut model, arguments.lora_rank)?;
    }
    device.sync()?;
    let weights = limits::used_gib(&device);
    let mut what = Workload::new(&arguments.preset, &config, arguments.prompt_text, &arguments.image)?;
    what.weight_bits = match (arguments.load_in_4bit, dtype) {
        // A code of four bits, and a scale in f32 for each 64.
        (true, _) => 4.5,
        (false, DType::F32) => 32.0,
        (false, _) => 16.0,
    };
    eprintln!(
        "{} on {}, {}{}: {:.3} G parameters, {weights:.1} GiB after loading",
        arguments.preset,
        arguments.device,
        if dtype == DType::F32 { "f32" } else { "bf16" },
        if arguments.load_in_4bit {
            " with NF4 weights"
        } else {
            ""
        },
        config.parameter_count().total() as f64 / 1e9,
    );
    if arguments.mode == Mode::Async {
        if arguments.lora_rank == 0 {
            train::adapters(&mut model, 16)?;
        }
        let pace = beside::Pace {
            turns: arguments.turns,
            turn_text: arguments.turn_text,
            new_tokens: arguments.new_tokens,
            max_staleness: arguments.max_staleness,
            steps: arguments.steps,
            haste: arguments.haste,
            most_seconds: arguments.most_seconds,
            phases: arguments.phases,
        };
        return beside::measure(&model, &Arc::new(what), &arguments.batch, &pace);
    }
    for &batch in &arguments.batch {
        let mode = arguments.mode;
        let decode = matches!(mode, Mode::Decode | Mode::All);
        if decode || mode == Mode::Prefill {
            decode::measure(&model, &what, batch, if decode { arguments.new_tokens } else { 0 })?;
        }
        if matches!(mode, Mode::Turns | Mode::All) {
            turns::measure(&model, &what, batch, arguments.new_tokens, arguments.turns)?;
        }
    }
    if matches!(arguments.mode, Mode::Train | Mode::All) {
        if arguments.lora_rank == 0 {
            train::adapters(&mut model, 16)?;
        }
        let (shapes, offload) = (&arguments.train_shapes, arguments.activation_offloading);
        train::measure(&model, &what, shapes, offload, arguments.train_steps)?;
    }
    Ok(())
}

fn device(text: &str) -> Result<Device> {
    let spec: DeviceSpec = text.parse().map_err(|error| anyhow!("--device: {error}"))?;
    spec.open()
        .ok_or_else(|| anyhow!("--device {spec}: build with `--features cuda`"))
}
