//! Where episodes happen: the simulated phone inside this process, or a GBox service; and the tasks for it.

use crate::output;
use anyhow::{Context, Result};
use burn::tensor::Device;
use cua_grpo_android::tasks::{Split, TemplateTasks};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig};
use cua_grpo_core::TaskSource;
use cua_grpo_gbox::{BoxPool, ClientConfig, GboxClient, GboxError, PoolConfig, RUN_LABEL};
use cua_grpo_sim::{Roster, SimConfig, SimServer};
use cua_grpo_train::config::{DeviceSpec, PromptStyle, Target, TrainConfig};
use cua_grpo_train::eval::Venue;
use cua_grpo_train::faults::{Counter, DeviceCounts};
use cua_grpo_train::{Mendable, TrainError};
use std::sync::Arc;
use std::time::Duration;

/// What an episode needs besides a policy.
pub struct World {
    /// Makes environments.
    pub factory: Arc<AndroidEnvironmentFactory>,
    /// The boxes that it leases.
    pub pool: BoxPool,
    /// Which box each slot has, for scripted policies.
    pub roster: Roster,
    /// The phones, when they are simulated here.
    pub sim: Option<SimServer>,
}

/// What a world is made from; a subset of both configurations.
pub struct WorldConfig<'a> {
    /// `sim` or an address.
    pub base_url: &'a str,
    /// Key of the service.
    pub api_key: Option<&'a str>,
    /// Boxes at once.
    pub concurrency: usize,
    /// Most turns.
    pub max_turns: usize,
    /// How places are named.
    pub target: Target,
    /// How much the prompt says.
    pub prompt_style: PromptStyle,
}

impl<'a> WorldConfig<'a> {
    /// The world of a training run.
    pub fn of(config: &'a TrainConfig) -> Self {
        Self {
            base_url: &config.gbox_base_url,
            api_key: config.gbox_api_key.as_ref().map(|key| key.reveal()),
            concurrency: config.concurrency,
            max_turns: config.max_turns,
            target: config.target,
            prompt_style: config.prompt_style,
        }
    }
}

impl World {
    /// Where episodes of `tasks` are played.
    pub fn venue(&self, tasks: Arc<dyn TaskSource>) -> Venue {
        Venue {
            factory: self.factory.clone(),
            tasks,
            counter: self.counter(),
        }
    }

    /// Counts the boxes of the pool.
    fn counter(&self) -> Counter {
        let pool = self.pool.clone();
        Arc::new(move || {
            let stats = pool.stats();
            DeviceCounts {
                created: stats.created,
                terminated: stats.terminated,
                create_faults: stats.create_faults,
                terminate_faults: stats.terminate_faults,
                retries: pool.client().retries(),
            }
        })
    }

    /// Starts the simulated phone or connects to the service, and checks that boxes can be had.
    pub async fn open(config: WorldConfig<'_>) -> Result<Self> {
        let simulated = config.base_url == "sim";
        let (sim, client) = if simulated {
            let sim = SimServer::start(SimConfig {
                quota: config.concurrency,
                ..Default::default()
            })
            .await?;
            let client = ClientConfig::new("sim").at(sim.base_url());
            (Some(sim), client)
        } else {
            let Some(key) = config.api_key else {
                return Err(TrainError::Usage(format!(
                    "no key for {}: set GBOX_API_KEY, or use the simulated phone with --set gbox_base_url=sim",
                    config.base_url
                ))
                .into());
            };
            (None, ClientConfig::new(key).at(config.base_url))
        };
        let address = client.base_url.clone();
        let pool = PoolConfig {
            quota: config.concurrency,
            ..Default::default()
        };
        let pool = BoxPool::new(GboxClient::new(client)?, pool)?;
        let reached = pool.preflight().await;
        let what = || format!("cannot use the GBox service at {address}; check gbox_base_url and GBOX_API_KEY");
        match reached {
            // A refused key is the user's to mend, a service that does not answer is not.
            Err(error @ GboxError::Unauthorized { .. }) => Err(error).mendable(what())?,
            other => other.with_context(what)?,
        }
        let environment = EnvConfig {
            style: config.prompt_style.into(),
            targets: config.target.into(),
            max_turns: config.max_turns,
            settle: if simulated {
                Duration::ZERO
            } else {
                Duration::from_millis(500)
            },
            ..Default::default()
        };
        let roster = Roster::default();
        let source = roster.watch(Arc::new(pool.clone()));
        Ok(Self {
            factory: Arc::new(AndroidEnvironmentFactory::new(source, environment)),
            pool,
            roster,
            sim,
        })
    }

    /// Ends every box of this run. Boxes that may be left are told about: what was computed is not less true for them.
    pub async fn close(self) {
        let pool = &self.pool;
        let mut swept = pool.close().await;
        let faults = pool.stats().terminate_faults;
        if faults > 0 && swept.is_ok() {
            // What could not be terminated before, once more.
            swept = pool.sweep(pool.run_label()).await;
        }
        let left = match swept {
            Err(error) => Some(format!("it is not known whether boxes of this run are left: {error}")),
            Ok(_) => match pool.stats().terminate_faults - faults {
                0 => None,
                count => Some(format!("{count} boxes could not be terminated")),
            },
        };
        if let Some(left) = left {
            output::warn(format!(
                "{left}; boxes with the label {RUN_LABEL}={} end by themselves within {} minutes",
                pool.run_label(),
                PoolConfig::default().expires_in.as_secs() / 60
            ));
        }
        if let Some(sim) = self.sim {
            sim.shutdown().await;
        }
    }
}

/// Tasks of the named templates (all when none is named).
pub fn tasks(seed: u64, split: Split, templates: &[String]) -> Result<Arc<TemplateTasks>> {
    let tasks = if templates.is_empty() {
        TemplateTasks::new(seed, split)
    } else {
        TemplateTasks::with_templates(seed, split, templates).map_err(|error| TrainError::Usage(error.to_string()))?
    };
    Ok(Arc::new(tasks))
}

/// The device that a configuration names.
pub fn device(spec: DeviceSpec) -> Result<Device> {
    let lacking = || {
        TrainError::Usage(format!(
            "device {spec} needs a binary with GPU support: build with `cargo run --release -p trainer --features cuda`, or use --device cpu"
        ))
    };
    Ok(spec.open().ok_or_else(lacking)?)
}
