//! Flags of `boxes`.

use clap::{Args, Subcommand};
use cua_grpo_train::TrainError;
use cua_grpo_train::config::{Flag, Resolved, Sources, TrainConfig, resolve};
use cua_grpo_train::layout::CONFIG;
use cua_grpo_train::resume::{ResumeError, ResumePoint};
use cua_grpo_train::run_dir::{copied_from, run_id};
use std::path::{Path, PathBuf};

/// Flags of `boxes`.
#[derive(Debug, Args)]
pub struct BoxesArgs {
    /// What to do with them
    #[command(subcommand)]
    pub command: BoxesCommand,
}

/// What to do with boxes.
#[derive(Debug, Subcommand)]
pub enum BoxesCommand {
    /// Show the boxes that runs of this program hold: of one run, or of all on the account
    List(Which),
    /// End boxes of a run that is over, or of all runs of this program on the account
    Sweep(SweepWhich),
}

/// Whose boxes.
#[derive(Debug, Args)]
pub struct Which {
    /// A run folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["label", "all"])]
    pub run: Option<PathBuf>,
    /// The label of a run, as a message names it
    #[arg(long, value_name = "LABEL", conflicts_with = "all")]
    pub label: Option<String>,
    /// All runs of this program on the account, also those of others who use it
    #[arg(long)]
    pub all: bool,
    /// Set gbox_base_url or another key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Whose boxes are to be ended.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whose").args(["run", "label", "all"]).required(true))]
pub struct SweepWhich {
    /// Whose.
    #[command(flatten)]
    pub which: Which,
}

impl BoxesArgs {
    /// Whose boxes.
    pub fn which(&self) -> &Which {
        match &self.command {
            BoxesCommand::List(which) => which,
            BoxesCommand::Sweep(sweep) => &sweep.which,
        }
    }
}

impl Which {
    /// The configuration, which is that of the run where one is named, and the folder of that run.
    pub fn load(&self) -> Result<(Resolved<TrainConfig>, Option<PathBuf>), TrainError> {
        let no_run = |error| match error {
            ResumeError::NotFound { path, reason } => {
                let path = path.display();
                TrainError::Usage(format!("--run {path}: expected a run folder; {reason}"))
            }
            error => error.into(),
        };
        let point = self.run.as_deref().map(ResumePoint::find).transpose();
        let run = point.map_err(no_run)?.map(|point| point.run_dir);
        let flags = Flag::assignments(&self.set)?;
        let file = run.as_deref().map(|run| run.join(CONFIG));
        let sources = Sources {
            saved: true,
            ..Sources::process(file, flags)
        };
        Ok((resolve(&sources)?.checked()?, run))
    }

    /// The label, where one run is meant. Boxes with it are to be ended where it `ends`.
    ///
    /// # Errors
    /// When the folder of a run does not tell which run it holds, for without a label all boxes would be meant; when boxes
    /// are to be ended and the folder is a copy, for the run may be at work in the first one.
    pub fn label(&self, run: Option<&Path>, ends: bool) -> Result<Option<String>, TrainError> {
        let Some(run) = run else {
            return Ok(self.label.clone());
        };
        match copied_from(run) {
            Some(id) if ends => Err(TrainError::Usage(format!(
                "--run {}: this folder is a copy (or was restored), and the run may be at work in the first one. Its boxes carry \
                 the label {id}; if it is over: boxes sweep --label {id}",
                run.display()
            ))),
            Some(id) => Ok(Some(id)),
            None => run_id(run).map(Some).ok_or_else(|| {
                TrainError::Usage(format!(
                    "{} does not tell which run it holds; name its boxes by --label",
                    run.display()
                ))
            }),
        }
    }
}
