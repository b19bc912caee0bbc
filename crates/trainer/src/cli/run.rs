//! Flags of the subcommands that run from a configuration: `train`, `eval`, `plan`, `sft`.
//!
//! Numbers are kept as text here: the table of keys reads them, so that kinds, bounds and messages are in one place.

use super::given::Given;
use clap::Args;
use cua_grpo_train::TrainError;
use cua_grpo_train::config::{
    ConfigError, Configuration, Flag, Resolved, SftConfig, Sources, TrainConfig, read_yaml, resolve_over,
    resolve_process,
};
use cua_grpo_train::measured::Measured;
use cua_grpo_train::resume::ResumePoint;
use std::path::PathBuf;

/// Flags that `train` and `eval` share.
#[derive(Debug, Default, Args)]
pub struct SharedArgs {
    /// YAML file with the configuration; without it the quickstart's holds
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// `starter`, a folder in the Hugging Face layout, or a name on the Hub
    #[arg(long, value_name = "NAME")]
    pub model_name: Option<String>,
    /// Keep the frozen weights in 4 bits (NF4)
    #[arg(long, conflicts_with = "no_4bit")]
    pub load_in_4bit: bool,
    /// Keep the frozen weights as `dtype` says
    #[arg(long = "no-4bit")]
    pub no_4bit: bool,
    /// Most turns of an episode
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub max_turns: Option<String>,
    /// The run folder
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub seed: Option<String>,
    /// cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Show every episode
    #[arg(long, short)]
    pub verbose: bool,
    /// Set any key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Flags of `train`.
#[derive(Debug, Default, Args)]
pub struct TrainArgs {
    /// Flags shared with `eval`.
    #[command(flatten)]
    pub shared: SharedArgs,
    /// Go on from a checkpoint, or from the newest one of a run folder, with that run's configuration
    #[arg(long, value_name = "CHECKPOINT")]
    pub resume: Option<PathBuf>,
    /// Train low-rank adapters
    #[arg(long, conflicts_with = "no_lora")]
    pub use_lora: bool,
    /// Train all weights (comes later)
    #[arg(long)]
    pub no_lora: bool,
    /// Rank of the adapters
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    pub lora_r: Option<String>,
    /// Adapters are scaled by alpha / rank
    #[arg(long, value_name = "A", allow_hyphen_values = true)]
    pub lora_alpha: Option<String>,
    /// Tasks of one step
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub batch_size: Option<String>,
    /// Episodes of one task
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub num_rollouts: Option<String>,
    /// Steps of the run
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub max_steps: Option<String>,
    /// Peak learning rate
    #[arg(long, value_name = "LR", allow_hyphen_values = true)]
    pub learning_rate: Option<String>,
    /// Weight of the KL divergence from the reference
    #[arg(long, value_name = "B", allow_hyphen_values = true)]
    pub beta: Option<String>,
    /// Sampling temperature of training episodes
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub temperature: Option<String>,
    /// Evaluate every N steps; 0 only before the first and after the last
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub eval_steps: Option<String>,
    /// Save a checkpoint every N steps; 0 only after the last
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub save_steps: Option<String>,
    /// Log to Weights & Biases (comes later)
    #[arg(long)]
    pub wandb: bool,
    /// Project on Weights & Biases (comes later)
    #[arg(long, value_name = "P")]
    pub wandb_project: Option<String>,
}

/// Flags of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Flags shared with `train`.
    #[command(flatten)]
    pub shared: SharedArgs,
    /// A run folder, or best_model, final or a checkpoint of one, whose configuration and base then hold; or any adapter
    /// folder; without it the model alone is measured
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Number of episodes
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub episodes: Option<String>,
}

/// Flags of `plan`: those of `train`, and its own.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Flags of the run.
    #[command(flatten)]
    pub train: TrainArgs,
    /// Memory to plan for, in place of what this machine has free
    #[arg(long, value_name = "GIB", allow_hyphen_values = true)]
    pub memory: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `sft`.
#[derive(Debug, Args)]
pub struct SftArgs {
    /// YAML file with the configuration; without it that of the starter model holds
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder that receives the model
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<String>,
    /// Steps of the run, in place of epochs
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub max_steps: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub seed: Option<String>,
    /// cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Show every evaluation episode
    #[arg(long, short)]
    pub verbose: bool,
    /// Set any key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl SharedArgs {
    fn given(&self) -> Given {
        Given::default()
            .value("model_name", &self.model_name)
            .switch(self.load_in_4bit, "load_in_4bit", true, "--load-in-4bit")
            .switch(self.no_4bit, "load_in_4bit", false, "--no-4bit")
            .value("max_turns", &self.max_turns)
            .value("output_dir", &self.output_dir)
            .value("seed", &self.seed)
            .value("device", &self.device)
            .switch(self.verbose, "verbose", true, "--verbose")
    }
}

impl TrainArgs {
    /// The resolved configuration, and where to go on when `--resume` is given: then the file is the `config.yaml` of
    /// that run unless `--config` names another, and the run folder stays the same unless `--output-dir` is given.
    pub fn load(&self) -> Result<(Resolved<TrainConfig>, Option<ResumePoint>), TrainError> {
        let resume = self.resume.as_deref().map(ResumePoint::find).transpose()?;
        let mut file = self.shared.config.clone();
        let mut flags = Vec::new();
        if let Some(point) = &resume {
            let (own, note) = point.config_file();
            if let Some(note) = note.filter(|_| file.is_none()) {
                crate::output::warn(note);
            }
            if file.is_none() {
                // Defaults in its place would be another run.
                read_yaml::<TrainConfig>(&own)?;
            }
            file = file.or(Some(own));
            let value = point.run_dir.display().to_string();
            flags.push(Flag {
                key: "output_dir".into(),
                value,
                flag: "--resume".into(),
            });
        }
        flags.extend(self.flags()?);
        Ok((resolve_process(file, flags)?, resume))
    }

    /// The keys that were set by flags; `--set` wins over named flags.
    pub fn flags(&self) -> Result<Vec<Flag>, ConfigError> {
        let wandb = self.wandb || self.wandb_project.is_some();
        let flag = if self.wandb { "--wandb" } else { "--wandb-project" };
        self.shared
            .given()
            .switch(self.use_lora, "use_lora", true, "--use-lora")
            .switch(self.no_lora, "use_lora", false, "--no-lora")
            .value("lora_r", &self.lora_r)
            .value("lora_alpha", &self.lora_alpha)
            .value("batch_size", &self.batch_size)
            .value("num_rollouts", &self.num_rollouts)
            .value("max_steps", &self.max_steps)
            .value("learning_rate", &self.learning_rate)
            .value("beta", &self.beta)
            .value("temperature", &self.temperature)
            .value("eval_steps", &self.eval_steps)
            .value("save_steps", &self.save_steps)
            .switch(wandb, "enable_wandb", true, flag)
            .value("wandb_project", &self.wandb_project)
            .assignments(&self.shared.set)
    }
}

/// Name and text of the file whose keys hold where a plan names another model than the starter and no file.
const FOR_RELEASED: (&str, &str) = (
    "configs/grpo_single_gpu.yaml",
    include_str!("../../../../configs/grpo_single_gpu.yaml"),
);

impl PlanArgs {
    /// The configuration to plan, and where its keys are from that were not given: a file, the quickstart, or, when only
    /// another model than the starter is named, what someone would run it with.
    pub fn load(&self) -> Result<(Resolved<TrainConfig>, String), TrainError> {
        let shared = &self.train.shared;
        if self.train.resume.is_none() && shared.config.is_none() {
            let sources = Sources::process(None, self.train.flags()?);
            let named = sources.text_of::<TrainConfig>("model_name");
            if named.is_some_and(|name| name != cua_grpo_train::config::STARTER) {
                let (name, text) = FOR_RELEASED;
                return Ok((resolve_over(&sources, name, text)?, format!("built-in {name}")));
            }
        }
        let (resolved, resume) = self.train.load()?;
        let file = shared
            .config
            .clone()
            .or(resume.map(|point| point.run_dir.join("config.yaml")));
        let from = file.map_or_else(
            || format!("built-in {}", TrainConfig::BUILT_IN_NAME),
            |file| file.display().to_string(),
        );
        Ok((resolved, from))
    }
}

impl EvalArgs {
    /// What is measured, and how.
    pub fn load(&self) -> Result<Measured, TrainError> {
        let given = self.shared.given().named("eval_episodes", &self.episodes, "--episodes");
        let flags = given.assignments(&self.shared.set)?;
        Measured::resolve(self.adapter.as_deref(), self.shared.config.clone(), flags)
    }
}

impl SftArgs {
    /// The resolved configuration.
    pub fn load(&self) -> Result<Resolved<SftConfig>, TrainError> {
        let given = Given::default()
            .value("output_dir", &self.output_dir)
            .value("max_steps", &self.max_steps)
            .value("seed", &self.seed)
            .value("device", &self.device)
            .switch(self.verbose, "verbose", true, "--verbose");
        Ok(resolve_process(self.config.clone(), given.assignments(&self.set)?)?)
    }
}
