//! The command line: subcommands, their flags, and which configuration they make.

mod command;
mod given;
mod model;
mod run;
mod tools;

pub use command::{Cli, Command};
pub use model::{GenerateArgs, MergeArgs, ModelArgs, ScoreArgs, SpecialTokens};
pub use run::{EvalArgs, PlanArgs, SftArgs, SharedArgs, TrainArgs};
pub use tools::{ReportArgs, SimArgs};
