//! Flags of `tasks`.

use clap::{Args, Subcommand};
use cua_grpo_train::TrainError;
use cua_grpo_train::config::{Flag, PhoneKind, Resolved, TrainConfig, resolve_process};
use std::path::PathBuf;

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub enum TasksCommand {
    /// Show all templates: those of files, and the built-in ones
    List(TaskFiles),
    /// Show an instance of a template: instruction, set-up, checks
    Show {
        /// The template
        id: String,
        /// Which instance
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// small or pixel [default: pixel for templates with steps of an expert and no goals, else small]
        #[arg(long, value_name = "KIND")]
        phone: Option<PhoneKind>,
        /// Where it may be from
        #[command(flatten)]
        which: TaskFiles,
    },
    /// Prove templates on a simulated phone: those of files, or the built-in ones
    Check {
        /// Try them on a phone of the service at gbox_base_url instead: set-up, checks, and the expert's steps
        #[arg(long)]
        device: bool,
        /// small or pixel [default: pixel for templates with steps of an expert and no goals, else small]
        #[arg(long, value_name = "KIND")]
        phone: Option<PhoneKind>,
        /// Which
        #[command(flatten)]
        which: TaskFiles,
    },
    /// Open an instance on a simulated phone, to try it in a browser
    Play {
        /// The template
        id: String,
        /// Which instance
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// small or pixel [default: pixel for templates with steps of an expert and no goals, else small]
        #[arg(long, value_name = "KIND")]
        phone: Option<PhoneKind>,
        /// Port of 127.0.0.1 to serve the page at; 0 picks a free one
        #[arg(long, value_name = "PORT", default_value_t = 0)]
        port: u16,
        /// Where it may be from
        #[command(flatten)]
        which: TaskFiles,
    },
    /// Write a file with two templates to begin with
    New {
        /// The file, which must not exist
        file: PathBuf,
        /// small or pixel
        #[arg(long, value_name = "KIND", default_value_t = PhoneKind::Small)]
        phone: PhoneKind,
    },
}

/// Which templates.
#[derive(Debug, Args)]
pub struct TaskFiles {
    /// Files of tasks, or folders of them
    #[arg(value_name = "PATH")]
    pub files: Vec<String>,
    /// Set tasks or another key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl TaskFiles {
    /// The configuration.
    pub fn config(&self) -> Result<Resolved<TrainConfig>, TrainError> {
        Ok(resolve_process(None, Flag::assignments(&self.set)?)?)
    }

    /// The files that are named, or else those of the key `tasks`; and the phone, where the key `phone` says it.
    pub fn load(&self) -> Result<(Vec<String>, Option<PhoneKind>), TrainError> {
        let resolved = self.config()?;
        let phone = resolved.origin("phone").is_chosen().then_some(resolved.config.phone);
        let files = match self.files.is_empty() {
            true => resolved.config.tasks,
            false => self.files.clone(),
        };
        Ok((files, phone))
    }
}
