//! Speed of everything but the model: episodes on simulated phones over HTTP, played by the scripted expert.
//!
//! Run with `cargo xtask bench-rollout --episodes 200 --concurrency 1,8,32 --latency-ms 0`. A line of JSON for each
//! concurrency on standard output: episodes and turns a second, and the mean seconds of a turn in the environment.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the JSON lines are the output, the table is for the reader"
)]

use anyhow::Result;
use clap::Parser;
use cua_grpo_core::testing::{ByteRenderer, ScriptedSampler};
use cua_grpo_core::{Fault, FaultKind, SessionContext, Task, TaskSource, VerifiedSuccess};
use cua_grpo_gbox::action::to_reply;
use cua_grpo_gbox::tasks::{Split, TemplateTasks};
use cua_grpo_gbox::{BoxPool, ClientConfig, EnvConfig, GboxClient, GboxEnvironmentFactory, PoolConfig};
use cua_grpo_rollout::{GroupRequest, RolloutConfig, RolloutEngine, never_cancelled};
use cua_grpo_sim::{Demonstrator, Latency, PhoneAccess, SimConfig, SimServer, Skill};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Speed of the rollout engine and the simulated phone.
#[derive(Parser)]
struct Arguments {
    /// Episodes of each measurement
    #[arg(long, default_value_t = 200)]
    episodes: usize,
    /// Episodes at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    concurrency: Vec<usize>,
    /// Milliseconds that every request takes on top
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Seed of the tasks
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    eprintln!(
        "{:>11}  {:>10}  {:>8}  {:>14}  {:>8}",
        "concurrency", "episodes/s", "turns/s", "ms a turn (env)", "verified"
    );
    for &concurrency in &arguments.concurrency {
        let line = runtime.block_on(measure(&arguments, concurrency))?;
        eprintln!(
            "{concurrency:>11}  {:>10.1}  {:>8.1}  {:>14.2}  {:>8}",
            line["episodes_per_s"].as_f64().unwrap_or_default(),
            line["turns_per_s"].as_f64().unwrap_or_default(),
            line["env_ms_per_turn"].as_f64().unwrap_or_default(),
            line["verified"]
        );
        println!("{line}");
    }
    Ok(())
}

async fn measure(arguments: &Arguments, concurrency: usize) -> Result<serde_json::Value> {
    let latency = Latency {
        request: Duration::from_millis(arguments.latency_ms),
        ..Default::default()
    };
    let sim = SimServer::start(SimConfig {
        quota: concurrency,
        latency,
        ..Default::default()
    })
    .await?;
    let client = GboxClient::new(ClientConfig::new("bench").at(sim.base_url()))?;
    let pool = BoxPool::new(
        client,
        PoolConfig {
            quota: concurrency,
            ..Default::default()
        },
    )?;
    let environment = EnvConfig {
        settle: Duration::ZERO,
        ..Default::default()
    };
    let source = TemplateTasks::new(arguments.seed, Split::Train);
    let tasks: Vec<Task> = (0..arguments.episodes as u64)
        .map(|cursor| source.task(cursor))
        .collect();
    let experts: HashMap<String, Demonstrator> = tasks
        .iter()
        .map(|task| Ok((task.id.clone(), Demonstrator::new(task, Skill::default(), 0)?)))
        .collect::<Result<_>>()?;
    let experts = Mutex::new(experts);
    let phones = sim.phones();
    let sampler = ScriptedSampler::new(move |context: &SessionContext, _turn| next_reply(context, &experts, &phones));
    let config = RolloutConfig {
        concurrency,
        lockstep: false,
        max_turns: 20,
        max_context_tokens: 1 << 20,
        ..Default::default()
    };
    let engine = RolloutEngine::new(
        Arc::new(GboxEnvironmentFactory::new(pool, environment)),
        Arc::new(ByteRenderer),
        Arc::new(sampler),
        Arc::new(VerifiedSuccess),
        config,
    )?;
    let requests = tasks
        .into_iter()
        .map(|task| GroupRequest { task, group_size: 1 })
        .collect();
    let stats = engine.collect(requests, 0, never_cancelled()).await?.stats;
    sim.shutdown().await;
    Ok(serde_json::json!({
        "bench": "rollout",
        "concurrency": concurrency,
        "latency_ms": arguments.latency_ms,
        "episodes": stats.episodes,
        "verified": stats.successes,
        "faults": stats.faults.total(),
        "turns": stats.turns,
        "seconds": stats.seconds,
        "episodes_per_s": stats.episodes as f64 / stats.seconds,
        "turns_per_s": stats.turns as f64 / stats.seconds,
        "env_ms_per_turn": 1e3 * stats.step_seconds / stats.turns.max(1) as f64,
    }))
}

/// What the expert says next on the phone of this session.
fn next_reply(
    context: &SessionContext,
    experts: &Mutex<HashMap<String, Demonstrator>>,
    phones: &PhoneAccess,
) -> Result<String, Fault> {
    let fault = |message: &str| Fault::new(FaultKind::Sampler, "demonstrate", message);
    let device = context
        .device
        .as_deref()
        .ok_or_else(|| fault("the environment names no device"))?;
    let mut experts = experts.lock().unwrap_or_else(PoisonError::into_inner);
    let expert = experts.get_mut(&context.task).ok_or_else(|| fault("an unknown task"))?;
    let action = phones
        .with_phone(device, |phone| expert.next(phone))
        .ok_or_else(|| fault("no such phone"))?;
    Ok(to_reply(&action))
}
