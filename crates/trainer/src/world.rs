//! Where episodes happen: the simulated phone inside this process, or a GBox service; and the tasks for it.

use crate::interrupt::Interrupt;
use crate::{hint, output};
use anyhow::Result;
use burn::tensor::Device;
use cua_grpo_android::tasks::{Catalogue, ChooseError, InstanceSplit, Split, TemplateTasks};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig, SuccessRequires};
use cua_grpo_core::TaskSource;
use cua_grpo_gbox::{BoxPool, RUN_LABEL};
use cua_grpo_sim::{Phones, PhonesConfig, Roster, WithExpert, rehearse, too_long};
use cua_grpo_train::TrainError;
use cua_grpo_train::config::{DeviceSpec, Environment, PhoneKind, PromptStyle, SftConfig, TargetStyle, TrainConfig};
use cua_grpo_train::eval::Venue;
use cua_grpo_train::faults::{Counter, DeviceCounts};
use std::sync::Arc;
use std::time::Duration;

/// What an episode needs besides a policy.
pub struct World {
    /// Makes environments.
    pub factory: Arc<AndroidEnvironmentFactory>,
    /// The phones that it leases.
    pub phones: Phones,
    /// Which box each slot has, for scripted policies.
    pub roster: Roster,
    kind: PhoneKind,
}

/// What a world is made from; a subset of both configurations.
pub struct WorldConfig<'a> {
    /// `sim` or an address.
    pub base_url: &'a str,
    /// Key of the service.
    pub api_key: Option<&'a str>,
    /// Which phone is simulated.
    pub phone: PhoneKind,
    /// Boxes at once.
    pub concurrency: usize,
    /// Most turns.
    pub max_turns: usize,
    /// How places are named.
    pub target: TargetStyle,
    /// How much the prompt says.
    pub prompt_style: PromptStyle,
    /// What a task counts as done by.
    pub success: SuccessRequires,
    /// Whether the state is looked at before and after.
    pub side_effects: bool,
    /// How long a service is waited for.
    pub outage_budget: Duration,
}

impl<'a> WorldConfig<'a> {
    /// The world of a training run.
    pub fn of(config: &'a TrainConfig) -> Self {
        Self {
            base_url: &config.gbox_base_url,
            api_key: config.gbox_api_key.as_ref().map(|key| key.reveal()),
            phone: config.phone,
            concurrency: config.concurrency,
            max_turns: config.max_turns,
            target: config.target,
            prompt_style: config.prompt_style,
            success: config.success_requires,
            side_effects: config.side_effects,
            outage_budget: Duration::from_secs_f64(config.outage_budget),
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

    /// Where what training never sees is played: with the turns of the demonstrator, where it can play here too.
    pub fn unseen(&self, tasks: Arc<TemplateTasks>) -> Venue {
        match self.phones.sim {
            Some(_) => self.venue(Arc::new(WithExpert(tasks, self.kind))),
            None => self.venue(tasks),
        }
    }

    /// Counts the boxes of the pool.
    fn counter(&self) -> Counter {
        let pool = self.phones.pool.clone();
        Arc::new(move || {
            let (stats, outages) = (pool.stats(), pool.client().outages());
            DeviceCounts {
                created: stats.created,
                terminated: stats.terminated,
                create_faults: stats.create_faults,
                terminate_faults: stats.terminate_faults,
                unsure: stats.unsure,
                outages: outages.count,
                outage: outages.waited,
                retries: pool.client().retries(),
            }
        })
    }

    /// Opens phones whose boxes carry `label` (a random one when absent), and ends those that an earlier process with it
    /// has left. Once the end is asked for by `interrupt`, nothing is waited for any more.
    ///
    /// # Errors
    /// When there are no phones to be had.
    pub async fn open(config: WorldConfig<'_>, label: Option<String>, interrupt: &Interrupt) -> Result<Self> {
        let phones = Phones::open(PhonesConfig {
            base_url: config.base_url,
            api_key: config.api_key,
            at_once: config.concurrency,
            label,
            outage_budget: config.outage_budget,
            phone: config.phone.into(),
        })
        .await;
        let phones = phones.map_err(|error| match error.is_mendable() {
            true => TrainError::Usage(error.to_string()).into(),
            false => anyhow::Error::from(error),
        })?;
        let (pool, token) = (phones.pool.clone(), interrupt.token());
        let simulated = phones.sim.is_some();
        if !simulated {
            interrupt.leaves(left_behind(&pool));
        }
        tokio::spawn(async move {
            token.cancelled().await;
            pool.end();
        });
        let environment = EnvConfig {
            style: config.prompt_style,
            targets: config.target,
            max_turns: config.max_turns,
            success: config.success,
            side_effects: config.side_effects,
            phone: config.phone,
            settle: if simulated {
                Duration::ZERO
            } else {
                Duration::from_millis(500)
            },
            ..Default::default()
        };
        let roster = Roster::default();
        let source = roster.watch(Arc::new(phones.pool.clone()));
        Ok(Self {
            factory: Arc::new(AndroidEnvironmentFactory::new(source, environment)),
            phones,
            roster,
            kind: config.phone,
        })
    }

    /// The label of the boxes.
    pub fn label(&self) -> &str {
        &self.phones.pool.config().label
    }

    /// Ends every box of this run. Boxes that may be left are told about: what was computed is not less true for them.
    pub async fn close(self) {
        let pool = self.phones.pool.clone();
        let closed = self.phones.close().await;
        let mut left = Vec::new();
        if let Some(error) = &closed.unknown {
            left.push(format!("it is not known whether boxes of this run are left ({error})"));
        }
        if !closed.left.is_empty() {
            let (count, ids) = (closed.left.len(), closed.left.join(", "));
            left.push(format!("{count} boxes that could not be ended: {ids}"));
        }
        if closed.unborn {
            left.push("a box may still come up whose creation was not answered".to_owned());
        }
        if !left.is_empty() {
            output::warn(format!("{}; {}", left.join("; "), left_behind(&pool)));
        }
    }
}

/// What a user can do about boxes that may be left.
fn left_behind(pool: &BoxPool) -> String {
    let (config, url) = (pool.config(), format!("gbox_base_url={}", pool.client().base_url()));
    format!(
        "they carry the label {RUN_LABEL}={} and end by themselves within {} minutes, or at once with: {}",
        config.label,
        config.expires_in.as_secs() / 60,
        hint::command(&["boxes", "sweep", "--label", &config.label, "--set", &url])
    )
}

/// The built-in templates and those of `files`.
pub fn catalogue(files: &[String]) -> Result<Catalogue, TrainError> {
    Catalogue::with_files(files).map_err(|error| TrainError::Usage(error.to_string()))
}

/// Which tasks are drawn, and for which phone.
#[derive(Clone, Copy)]
pub struct Chosen<'a> {
    files: &'a [String],
    names: &'a [String],
    by: InstanceSplit,
    phone: PhoneKind,
    /// Whether that phone is simulated here.
    here: bool,
}

impl<'a> From<&'a TrainConfig> for Chosen<'a> {
    fn from(config: &'a TrainConfig) -> Self {
        Self {
            files: &config.tasks,
            names: &config.templates,
            by: config.instance_split,
            phone: config.phone,
            here: config.simulated() && config.environment == Environment::Phone,
        }
    }
}

impl<'a> From<&'a SftConfig> for Chosen<'a> {
    fn from(config: &'a SftConfig) -> Self {
        Self {
            files: &config.tasks,
            names: &config.templates,
            by: config.instance_split,
            phone: config.phone,
            here: true,
        }
    }
}

impl Chosen<'_> {
    /// Tries each template on the phone where it is simulated here, and says in words which are chosen, and which of them
    /// take more than `turns`.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when a template is unknown or for another phone, or cannot be set up.
    pub fn tried(self, turns: usize) -> Result<(String, Option<String>), TrainError> {
        let tasks = tasks(
            0,
            Split::Eval,
            Self {
                by: InstanceSplit::Seeds,
                ..self
            },
        )?;
        if self.here {
            rehearse(tasks.templates(), self.phone).map_err(|error| TrainError::Usage(error.to_string()))?;
        }
        let long = match self.here {
            true => too_long(tasks.templates(), self.phone, turns),
            false => Vec::new(),
        };
        let note = long.iter().max_by_key(|(_, taken)| *taken).map(|(id, taken)| {
            let (count, all) = (long.len(), tasks.templates().len());
            format!(
                "note: at {count} of {all} templates an expert takes more than max_turns={turns}, {taken} at {id}: raise it \
                 with --max-turns"
            )
        });
        Ok((catalogue(self.files)?.words(self.names), note))
    }
}

/// Tasks of the named templates: without names those of `files`, and without both all built-in ones.
pub fn tasks<'a>(seed: u64, split: Split, chosen: impl Into<Chosen<'a>>) -> Result<Arc<TemplateTasks>, TrainError> {
    let Chosen {
        files,
        names,
        by,
        phone,
        ..
    } = chosen.into();
    let tasks = catalogue(files)?.tasks(seed, split, names);
    let tasks = tasks.and_then(|tasks| tasks.on(phone)?.apart(by));
    let unusable = |error: ChooseError| TrainError::Usage(error.to_string());
    Ok(Arc::new(tasks.map_err(unusable)?))
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
