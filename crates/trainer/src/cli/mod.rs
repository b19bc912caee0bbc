//! The command line: subcommands, their flags, and which configuration they make.

mod boxes;
mod command;
mod given;
mod model;
mod run;
mod tasks;
mod tools;

pub use boxes::{BoxesArgs, BoxesCommand};
pub use command::{Cli, Command};
pub use model::{GenerateArgs, MergeArgs, ModelArgs, ScoreArgs, SpecialTokens};
pub use run::{EvalArgs, PlanArgs, SftArgs, SharedArgs, TrainArgs};
pub use tasks::{TasksCommand, Which};
pub use tools::{ReportArgs, SimArgs};
