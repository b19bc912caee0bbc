//! The command line: subcommands, their flags, and which exit code an error has.

use crate::config::{ConfigError, Flag, SftConfig, TrainConfig, load_process};
use crate::error::CliError;
use crate::resume::ResumePoint;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// GRPO training of a computer-use agent on an Android phone, real or simulated.
///
/// Without arguments the quickstart runs: a tiny Qwen3-VL learns on a simulated phone, on the CPU, with no account
/// and no network. Values come from flags, then environment variables (upper-case key names), then the file of
/// --config, then the defaults. docs/CONFIG.md lists every key.
#[derive(Debug, Parser)]
#[command(
    name = "trainer",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// What to do; `train` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `train`, which may be given without its name.
    #[command(flatten)]
    pub train: TrainArgs,
}

impl Cli {
    /// The command, with `train` filled in when none was named.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Train(Box::new(self.train)))
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train with GRPO (the default)
    Train(Box<TrainArgs>),
    /// Measure a policy: greedy episodes on task instances that training never sees
    Eval(Box<EvalArgs>),
    /// Make a starter model by imitation of scripted demonstrations
    Sft(SftArgs),
    /// Serve the simulated phone behind the GBox API
    Sim(SimArgs),
    /// Write report.html of a run folder anew
    Report(ReportArgs),
    /// Tell memory and speed before a run (comes later)
    Plan(LaterArgs),
    /// Let the model answer a prompt (comes later)
    Generate(LaterArgs),
    /// Merge an adapter into the weights (comes later)
    Merge(LaterArgs),
    /// Log-probs of a conversation under a model, as JSON
    Score(ScoreArgs),
}

/// Flags that `train` and `eval` share.
#[derive(Debug, Default, Args)]
pub struct SharedArgs {
    /// YAML file with the configuration; without it the quickstart's holds
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// `starter`, a folder in the Hugging Face layout, or a name on the Hub
    #[arg(long, value_name = "NAME")]
    pub model_name: Option<String>,
    /// Keep the frozen weights in 4 bits (comes later)
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
    /// Adapter folder (best_model, final or a checkpoint of a run); without it the model alone is measured
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Number of episodes
    #[arg(long, value_name = "N")]
    pub episodes: Option<usize>,
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

/// Flags of `sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8780")]
    pub bind: std::net::SocketAddr,
    /// Boxes that may exist at the same time
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub quota: usize,
    /// Key that clients must send; without it any is accepted
    #[arg(long, value_name = "KEY", env = "GBOX_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Milliseconds that every request takes on top
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
    /// Fraction of requests that fail, to try out robustness
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    pub fault_rate: f64,
    /// Seed of the injected faults
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
}

/// Flags of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
}

/// Flags of `score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// `starter`, or a folder in the Hugging Face layout
    #[arg(long, value_name = "DIR")]
    pub model: String,
    /// Adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
    /// Number format
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    pub dtype: String,
    /// JSON file with the conversation: {"messages": [...], "tools": [...]}
    #[arg(long, value_name = "IN")]
    pub messages: PathBuf,
    /// JSON file to write
    #[arg(long, value_name = "OUT")]
    pub out: PathBuf,
}

/// Whatever is given to a subcommand that comes later.
#[derive(Debug, Args)]
pub struct LaterArgs {
    /// Ignored: the subcommand stops with a message
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

/// Collects the flags that were given, in the order of calls.
#[derive(Default)]
struct Given(Vec<Flag>);

impl Given {
    fn value(mut self, key: &str, value: &Option<impl ToString>) -> Self {
        self.0
            .extend(value.as_ref().map(|value| Flag::new(key, value.to_string())));
        self
    }

    fn switch(mut self, given: bool, key: &str, value: bool, flag: &str) -> Self {
        if given {
            self.0.push(Flag {
                key: key.into(),
                value: value.to_string(),
                flag: flag.into(),
            });
        }
        self
    }

    fn assignments(mut self, texts: &[String]) -> Result<Vec<Flag>, ConfigError> {
        for text in texts {
            self.0.push(Flag::assignment(text)?);
        }
        Ok(self.0)
    }
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
            file = file.or_else(|| Some(point.run_dir.join("config.yaml")));
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
    /// The resolved configuration.
    pub fn load(&self) -> Result<TrainConfig, CliError> {
        let given = self.shared.given().value("eval_episodes", &self.episodes);
        Ok(load_process(
            self.shared.config.clone(),
            given.assignments(&self.shared.set)?,
        )?)
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
