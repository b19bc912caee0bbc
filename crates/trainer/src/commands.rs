//! The short subcommands: `eval` measures a policy, `sim` serves the phone.

use crate::assemble::{self, Loaded};
use crate::cli::SimArgs;
use crate::config::TrainConfig;
use crate::eval::{Evaluation, evaluate_with};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::world::{World, WorldConfig};
use anyhow::{Context, Result};
use cua_grpo_model::lora::load_adapter;
use cua_grpo_rollout::Event;
use cua_grpo_sim::{Faults, Latency, SimConfig, SimServer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Greedy episodes on unseen task instances; a line a template on standard error, the figures as JSON on standard
/// output.
pub async fn eval(config: &TrainConfig, adapter: Option<&Path>) -> Result<()> {
    let Loaded { mut policy, renderer } = assemble::load(config)?;
    if let Some(folder) = adapter {
        load_adapter(policy.model_mut(), folder).with_context(|| format!("--adapter {}", folder.display()))?;
    }
    let world = World::open(WorldConfig::of(config)).await?;
    let evaluation = Evaluation::of(config);
    let progress = Progress::new(0, 0);
    let (shown, verbose) = (progress.clone(), config.verbose);
    let reward = crate::reward::reward(config.reward, config.seed);
    let result = evaluate_with(
        &evaluation,
        &world,
        renderer,
        &policy,
        0,
        Arc::clone(&reward),
        move |now| {
            shown.episodes("evaluation", now.stats.episodes, now.stats.slots, now.stats.successes);
            match &now.event {
                Event::Episode {
                    task, reward, turns, ..
                } if verbose => {
                    shown.line(format!("{task}  reward {reward}  {turns} turns"));
                }
                Event::Turn { task, turn, action, .. } if verbose => {
                    shown.line(format!("{task}  turn {}: {action}", turn + 1));
                }
                _ => {}
            }
        },
    )
    .await;
    progress.finish();
    world.close().await?;
    let result = result?;
    eprint!("{}", result.by_template());
    eprintln!(
        "{:.1} % of {} unseen tasks solved, {:.1} % claimed, {:.1} turns an episode",
        100.0 * result.event.success_rate,
        result.event.episodes,
        100.0 * result.event.claimed_success_rate,
        result.event.turns_mean
    );
    let line = serde_json::to_string(&crate::metrics::Event::Eval(result.event))?;
    crate::output::line(&line)
}

/// Serves simulated phones until Ctrl-C.
pub async fn sim(arguments: &SimArgs) -> Result<()> {
    let config = SimConfig {
        bind: arguments.bind,
        api_key: arguments.api_key.clone(),
        quota: arguments.quota,
        latency: Latency {
            request: Duration::from_millis(arguments.latency_ms),
            ..Default::default()
        },
        faults: Faults {
            unavailable: arguments.fault_rate,
            seed: arguments.seed,
            ..Default::default()
        },
    };
    let server = SimServer::start(config).await.with_context(|| {
        format!(
            "cannot serve on {}; choose another address with --bind, port 0 takes a free one",
            arguments.bind
        )
    })?;
    eprintln!("simulated phones at {}", server.base_url());
    eprintln!(
        "use them with: trainer --set gbox_base_url={} --set gbox_api_key=any",
        server.base_url()
    );
    eprintln!(
        "or from the official SDK: GBOX_CLIENT_BASE_URL={} GBOX_API_KEY=any",
        server.base_url()
    );
    let mut interrupted = Interrupt::listen().token();
    while !*interrupted.borrow() {
        interrupted.changed().await.context("the Ctrl-C listener ended")?;
    }
    server.shutdown().await;
    Ok(())
}
