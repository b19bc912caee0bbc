//! Flags of the subcommands that run from a configuration: `train`, `eval`, `plan`, `sft`.

use super::given::Given;
use super::measured::Measured;
use crate::config::{ConfigError, Flag, SftConfig, TrainConfig, load_process, read_yaml};
use crate::error::CliError;
use crate::resume::ResumePoint;
use clap::Args;
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
    #[arg(long, value_name = "N")]
    pub max_turns: Option<usize>,
    /// The run folder
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
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
    #[arg(long, value_name = "R")]
    pub lora_r: Option<usize>,
    /// Adapters are scaled by alpha / rank
    #[arg(long, value_name = "A")]
    pub lora_alpha: Option<f64>,
    /// Tasks of one step
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Episodes of one task
    #[arg(long, value_name = "N")]
    pub num_rollouts: Option<usize>,
    /// Steps of the run
    #[arg(long, value_name = "N")]
    pub max_steps: Option<usize>,
    /// Peak learning rate
    #[arg(long, value_name = "LR")]
    pub learning_rate: Option<f64>,
    /// Weight of the KL divergence from the reference
    #[arg(long, value_name = "B")]
    pub beta: Option<f64>,
    /// Sampling temperature of training episodes
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Evaluate every N steps; 0 only before the first and after the last
    #[arg(long, value_name = "N")]
    pub eval_steps: Option<usize>,
    /// Save a checkpoint every N steps; 0 only after the last
    #[arg(long, value_name = "N")]
    pub save_steps: Option<usize>,
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
    #[arg(long, value_name = "N")]
    pub episodes: Option<usize>,
}

/// Flags of `plan`: those of `train`, and its own.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Flags of the run.
    #[command(flatten)]
    pub train: TrainArgs,
    /// Memory to plan for, in place of what this machine has free
    #[arg(long, value_name = "GIB")]
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
    #[arg(long, value_name = "N")]
    pub max_steps: Option<usize>,
    /// Seed of everything random
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
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
    pub fn load(&self) -> Result<(TrainConfig, Option<ResumePoint>), CliError> {
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
        Ok((load_process(file, flags)?, resume))
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

impl EvalArgs {
    /// What is measured, and how.
    pub fn load(&self) -> Result<Measured, CliError> {
        let given = self.shared.given().value("eval_episodes", &self.episodes);
        let flags = given.assignments(&self.shared.set)?;
        Measured::resolve(self.adapter.as_deref(), self.shared.config.clone(), flags)
    }
}

impl SftArgs {
    /// The resolved configuration.
    pub fn load(&self) -> Result<SftConfig, CliError> {
        let given = Given::default()
            .value("output_dir", &self.output_dir)
            .value("max_steps", &self.max_steps)
            .value("seed", &self.seed)
            .value("device", &self.device)
            .switch(self.verbose, "verbose", true, "--verbose");
        Ok(load_process(self.config.clone(), given.assignments(&self.set)?)?)
    }
}
