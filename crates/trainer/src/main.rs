//! The binary of cua-grpo: config, objects, loop, artefacts.

use clap::Parser;
use std::process::ExitCode;
use trainer::cli::{Cli, Command};
use trainer::error::CliError;

fn main() -> ExitCode {
    match run(Cli::parse().into_command()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Train(arguments) => arguments.load().and(Err(CliError::later("train"))),
        Command::Eval(arguments) => arguments.load().and(Err(CliError::later("eval"))),
        Command::Sft(arguments) => arguments.load().and(Err(CliError::later("sft"))),
        Command::Report(arguments) => {
            let path = trainer::report::write_report(&arguments.run)?;
            eprintln!("report: {}", path.display());
            Ok(())
        }
        Command::Plan(_) => Err(CliError::later("plan")),
        Command::Generate(_) => Err(CliError::later("generate")),
        Command::Merge(_) => Err(CliError::later("merge")),
        Command::Sim(_) => Err(CliError::later("sim")),
        Command::Score(_) => Err(CliError::later("score")),
    }
}
