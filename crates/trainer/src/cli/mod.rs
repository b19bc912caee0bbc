//! The command line: subcommands, their flags, and which configuration they make.

mod boxes;
mod command;
mod keys;
mod model;
mod run;
mod tasks;
mod tools;

pub use boxes::{BoxesArgs, BoxesCommand, Which};
pub use command::{Cli, Command};
pub use model::{GenerateArgs, MergeArgs, ModelArgs, ScoreArgs, SpecialTokens};
pub use run::{EvalArgs, PlanArgs, SftArgs, TrainArgs};
pub use tasks::{TaskFiles, TasksCommand};
pub use tools::{ReportArgs, SimArgs};
