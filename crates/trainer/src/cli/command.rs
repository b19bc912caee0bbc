//! The subcommands.

use super::{
    BoxesArgs, EvalArgs, GenerateArgs, MergeArgs, PlanArgs, ReportArgs, ScoreArgs, SftArgs, SimArgs, TasksCommand,
    TrainArgs,
};
use crate::output::LogFormat;
use clap::{Parser, Subcommand};
use cua_grpo_train::plain::{Form, brief_flag, message};
use std::borrow::Cow;

/// GRPO training of a computer-use agent on an Android phone, real or simulated.
///
/// Without arguments the quickstart runs: a tiny Qwen3-VL learns on a simulated phone, on the CPU, with no account
/// and no network. Values come from flags, then environment variables (CUA_ and the key in upper case, or the original's
/// name), then .env, then the file of --config, then the defaults. docs/CONFIG.md lists every key.
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
    /// How messages look on standard error and in log.txt; RUST_LOG chooses which are shown
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Flags of `train`, which may be given without its name.
    #[command(flatten)]
    pub train: TrainArgs,
}

impl Cli {
    /// The command line of this process. What is wrong with it ends the process, in bounded time and words.
    pub fn of_process() -> Self {
        Self::try_parse_from(std::env::args_os().map(brief_flag)).unwrap_or_else(|error| {
            let told = error.render().to_string();
            match message(&told, Form::Text) {
                Cow::Borrowed(_) => error.exit(),
                Cow::Owned(short) => <clap::Error>::raw(error.kind(), short.trim_start_matches("error: ")).exit(),
            }
        })
    }

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
    /// Measure a policy on task instances that training never sees, at three distances
    Eval(Box<EvalArgs>),
    /// Make a starter model by imitation of scripted demonstrations
    Sft(SftArgs),
    /// Serve the simulated phone behind the GBox API
    Sim(SimArgs),
    /// Show, prove or begin templates of tasks
    Tasks {
        /// What to do with them
        #[command(subcommand)]
        command: TasksCommand,
    },
    /// Show or end the boxes that runs hold at a GBox service
    Boxes(BoxesArgs),
    /// Write report.html of a run folder anew
    Report(ReportArgs),
    /// Tell parameters and memory before a run
    Plan(Box<PlanArgs>),
    /// Let the model answer a prompt
    Generate(GenerateArgs),
    /// Merge an adapter into the weights, as a model folder of its own
    Merge(MergeArgs),
    /// Log-probs of a conversation under a model, as JSON
    Score(ScoreArgs),
}
