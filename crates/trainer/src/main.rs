//! The binary of cua-grpo: config, objects, loop, artefacts.

use clap::Parser;
use std::process::ExitCode;
use trainer::cli::{Cli, Command};
use trainer::error::CliError;

/// Large tensors come and go with every operation; this allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().into_command()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Ok(runtime.map_err(anyhow::Error::from)?)
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Train(arguments) => {
            let (config, resume) = arguments.load()?;
            Ok(runtime()?.block_on(trainer::run::run(config, resume))?)
        }
        Command::Eval(arguments) => {
            let config = arguments.load()?;
            Ok(runtime()?.block_on(trainer::commands::eval(&config, arguments.adapter.as_deref()))?)
        }
        Command::Sft(arguments) => Ok(runtime()?.block_on(trainer::sft::run(&arguments.load()?))?),
        Command::Report(arguments) => {
            let path = trainer::report::write_report(&arguments.run)?;
            eprintln!("report: {}", path.display());
            Ok(())
        }
        Command::Plan(_) => Err(CliError::later("plan")),
        Command::Generate(_) => Err(CliError::later("generate")),
        Command::Merge(_) => Err(CliError::later("merge")),
        Command::Sim(arguments) => Ok(runtime()?.block_on(trainer::commands::sim(&arguments))?),
        Command::Score(_) => Err(CliError::later("score")),
    }
}
