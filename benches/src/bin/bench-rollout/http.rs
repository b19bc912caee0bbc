//! Episodes on simulated phones over HTTP, played by the scripted expert: speed of everything but the model, by a clock.

use anyhow::Result;
use clap::Args;
use cua_grpo_android::tasks::{Split, TemplateTasks};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig};
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{Task, TaskSource, VerifiedSuccess};
use cua_grpo_gbox::{BoxPool, ClientConfig, GboxClient, PoolConfig};
use cua_grpo_rollout::{CancellationToken, GroupRequest, RolloutConfig, RolloutEngine};
use cua_grpo_sim::{Latency, Roster, ScriptedPolicy, SimConfig, SimServer, Skill};
use std::sync::Arc;
use std::time::Duration;

/// What is measured.
#[derive(Args)]
pub struct Http {
    /// Episodes of each measurement
    #[arg(long, default_value_t = 200)]
    episodes: usize,
    /// Episodes at once
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    concurrency: Vec<usize>,
    /// Milliseconds that every request takes on top
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Seed of the tasks
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Measures each concurrency and prints it.
pub fn run(arguments: &Http) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    eprintln!(
        "{:>11}  {:>10}  {:>8}  {:>14}  {:>8}",
        "concurrency", "episodes/s", "turns/s", "ms a turn (env)", "verified"
    );
    for &concurrency in &arguments.concurrency {
        let line = runtime.block_on(measure(arguments, concurrency))?;
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

async fn measure(arguments: &Http, concurrency: usize) -> Result<serde_json::Value> {
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
    let roster = Roster::default();
    let sampler = ScriptedPolicy {
        phones: sim.phones(),
        roster: roster.clone(),
        renderer: Arc::new(ByteRenderer),
        tasks: tasks.iter().map(|task| (task.id.clone(), task.clone())).collect(),
        skill: Skill::default(),
        seed: 0,
    };
    let config = RolloutConfig {
        concurrency,
        lockstep: false,
        max_turns: 20,
        max_context_tokens: 1 << 20,
        ..Default::default()
    };
    let engine = RolloutEngine::new(
        Arc::new(AndroidEnvironmentFactory::new(
            roster.watch(Arc::new(pool)),
            environment,
        )),
        Arc::new(ByteRenderer),
        Arc::new(sampler),
        Arc::new(VerifiedSuccess),
        config,
    )?;
    let requests = tasks
        .into_iter()
        .map(|task| GroupRequest { task, group_size: 1 })
        .collect();
    let stats = engine.collect(requests, 0, CancellationToken::new()).await?.stats;
    sim.shutdown().await;
    Ok(serde_json::json!({
        "bench": "rollout-http",
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
