//! The binary of cua-grpo: config, objects, loop, artefacts.

use clap::Parser;
use std::process::ExitCode;
use trainer::cli::{Cli, Command};
use trainer::error::CliError;
use trainer::interrupt::INTERRUPTED;

/// Large tensors come and go with every operation; this allocator keeps their pages, see [`keep_pages`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Never gives pages back: having the system zero them again and again took a third of the time of a training step.
fn keep_pages() {
    /// `mi_option_purge_delay` of mimalloc's C header; the bindings do not name it.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets an integer option of the allocator; the call has no other effect and may be made at any time.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
}

fn main() -> ExitCode {
    keep_pages();
    trainer::interrupt::survive_file_limit();
    let cli = Cli::parse();
    trainer::output::install(cli.log_format);
    match run(cli.into_command()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            // What was interrupted has said so.
            if code != INTERRUPTED {
                trainer::output::error(error.to_string());
            }
            ExitCode::from(code)
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
            let measured = arguments.load()?;
            Ok(runtime()?.block_on(trainer::commands::eval(&measured))?)
        }
        Command::Sft(arguments) => Ok(runtime()?.block_on(trainer::sft::run(&arguments.load()?))?),
        Command::Report(arguments) => {
            let run = trainer::adapter::run_of(&arguments.run).unwrap_or_else(|| arguments.run.clone());
            let path = trainer::report::write_report(&run)?;
            trainer::output::say(format!("report: {}", path.display()));
            Ok(())
        }
        Command::Plan(arguments) => trainer::commands::plan(&arguments),
        Command::Generate(arguments) => trainer::commands::generate(&arguments),
        Command::Merge(arguments) => trainer::commands::merge(&arguments),
        Command::Sim(arguments) => Ok(runtime()?.block_on(trainer::commands::sim(&arguments))?),
        Command::Score(arguments) => trainer::commands::score(&arguments),
    }
}
