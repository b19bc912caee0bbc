//! Flags of the subcommands that run from a configuration: `train`, `eval`, `plan`, `sft`.

use super::keys::{Also, KeyFlags, Offer};
use clap::Args;
use cua_grpo_train::TrainError;
use cua_grpo_train::config::{
    ConfigError, Configuration, Flag, Resolved, SftConfig, Sources, TrainConfig, read_yaml, resolve, resolve_over,
    resolve_process,
};
use cua_grpo_train::measured::Measured;
use cua_grpo_train::resume::ResumePoint;
use std::path::PathBuf;

/// Below the flags of a run.
const ALL_KEYS: &str = "Every key of docs/CONFIG.md is a flag too: --num-updates 2";

const NO_4BIT: Also = Also {
    flag: "no-4bit",
    key: "load_in_4bit",
    value: Some("false"),
    help: "Keep the frozen weights as `dtype` says",
};

/// The keys of a run, as `train` and `plan` offer them.
pub struct TrainOffer;

impl Offer for TrainOffer {
    type Keys = TrainConfig;
    const SHOWN: &'static str = "model_name load_in_4bit max_turns output_dir seed device verbose use_lora lora_r lora_alpha \
        batch_size num_rollouts max_steps learning_rate beta temperature eval_steps save_steps wandb_project";
    const ALSO: &'static [Also] = &[
        NO_4BIT,
        Also {
            flag: "no-lora",
            key: "use_lora",
            value: Some("false"),
            help: "Train all weights (comes later)",
        },
        Also {
            flag: "wandb",
            key: "enable_wandb",
            value: Some("true"),
            help: "Log to Weights & Biases (comes later)",
        },
    ];
}

/// The keys of a run, as `eval` offers them.
pub struct EvalOffer;

impl Offer for EvalOffer {
    type Keys = TrainConfig;
    const SHOWN: &'static str = "model_name load_in_4bit max_turns output_dir seed device verbose";
    const ALSO: &'static [Also] = &[
        NO_4BIT,
        Also {
            flag: "episodes",
            key: "eval_episodes",
            value: None,
            help: "Number of task instances",
        },
        Also {
            flag: "attempts",
            key: "eval_attempts",
            value: None,
            help: "Attempts at each: 1 is greedy, more are sampled and give pass@k",
        },
    ];
}

/// The keys of an imitation run.
pub struct SftOffer;

impl Offer for SftOffer {
    type Keys = SftConfig;
    const SHOWN: &'static str = "output_dir max_steps seed device verbose";
    const ALSO: &'static [Also] = &[];
}

/// Flags of `train`.
#[derive(Debug, Default, Args)]
#[command(after_help = ALL_KEYS)]
pub struct TrainArgs {
    /// YAML file with the configuration; without it the quickstart's holds
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go on from a checkpoint, or from the newest one of a run folder, with that run's configuration
    #[arg(long, value_name = "CHECKPOINT")]
    pub resume: Option<PathBuf>,
    /// Set any key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Keys.
    #[command(flatten)]
    pub keys: KeyFlags<TrainOffer>,
}

/// Flags of `eval`.
#[derive(Debug, Args)]
#[command(after_help = ALL_KEYS)]
pub struct EvalArgs {
    /// YAML file with the configuration; without it the quickstart's holds
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A run folder, or best_model, final or a checkpoint of one, whose configuration and base then hold; or any adapter
    /// folder; without it the model alone is measured
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Set any key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Keys.
    #[command(flatten)]
    pub keys: KeyFlags<EvalOffer>,
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
#[command(after_help = ALL_KEYS)]
pub struct SftArgs {
    /// YAML file with the configuration; without it that of the starter model holds
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set any key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Keys.
    #[command(flatten)]
    pub keys: KeyFlags<SftOffer>,
}

impl TrainArgs {
    /// The resolved configuration, and where to go on when `--resume` is given: then the file is the `config.yaml` of
    /// that run unless `--config` names another, and the run folder stays the same unless `--output-dir` is given.
    pub fn load(&self) -> Result<(Resolved<TrainConfig>, Option<ResumePoint>), TrainError> {
        let resume = self.resume.as_deref().map(ResumePoint::find).transpose()?;
        let (mut file, mut saved) = (self.config.clone(), false);
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
            saved = file.is_none();
            file = file.or(Some(own));
            let value = point.run_dir.display().to_string();
            flags.push(Flag {
                key: "output_dir".into(),
                value,
                flag: "--resume".into(),
            });
        }
        flags.extend(self.flags()?);
        let sources = Sources {
            saved,
            ..Sources::process(file, flags)
        };
        Ok((resolve(&sources)?, resume))
    }

    /// The keys that were set by flags; `--set` wins over named flags. A project of Weights & Biases turns them on.
    pub fn flags(&self) -> Result<Vec<Flag>, ConfigError> {
        let mut flags = self.keys.and(&[])?;
        if flags.iter().any(|flag| flag.key == "wandb_project") && flags.iter().all(|flag| flag.key != "enable_wandb") {
            flags.push(Flag {
                key: "enable_wandb".into(),
                value: true.to_string(),
                flag: "--wandb-project".into(),
            });
        }
        flags.extend(Flag::assignments(&self.set)?);
        Ok(flags)
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
        if self.train.resume.is_none() && self.train.config.is_none() {
            let sources = Sources::process(None, self.train.flags()?);
            let named = sources.text_of::<TrainConfig>("model_name");
            if named.is_some_and(|name| name != cua_grpo_train::config::STARTER) {
                let (name, text) = FOR_RELEASED;
                return Ok((resolve_over(&sources, name, text)?, format!("built-in {name}")));
            }
        }
        let (resolved, resume) = self.train.load()?;
        let file = self
            .train
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
        Measured::resolve(self.adapter.as_deref(), self.config.clone(), self.keys.and(&self.set)?)
    }
}

impl SftArgs {
    /// The resolved configuration.
    pub fn load(&self) -> Result<Resolved<SftConfig>, TrainError> {
        Ok(resolve_process(self.config.clone(), self.keys.and(&self.set)?)?)
    }
}
