//! The binary of cua-grpo: config, objects, loop, artefacts.

use cua_grpo_train::TrainError;
use std::path::Path;
use std::process::ExitCode;
use trainer::cli::{Cli, Command};
use trainer::error::exit_code;
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

/// Sets the variables that `.env` adds, as python-dotenv does for the original: what the environment has stays. Returns
/// what could not be read.
fn take_dotenv() -> Vec<String> {
    let folder = std::env::current_dir().ok();
    let Some((path, found)) = folder.and_then(|folder| cua_grpo_train::config::dotenv(&folder)) else {
        return Vec::new();
    };
    let warnings = found.warnings(&path);
    for (name, value) in found.values {
        let possible = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        if possible && std::env::var_os(&name).is_none() {
            // SAFETY: `main` calls this first, when no other thread can read the environment.
            #[allow(unsafe_code)]
            unsafe {
                std::env::set_var(name, value);
            }
        }
    }
    warnings
}

fn main() -> ExitCode {
    keep_pages();
    trainer::interrupt::survive_file_limit();
    let warnings = take_dotenv();
    let cli = Cli::of_process();
    trainer::output::install(cli.log_format);
    for warning in warnings {
        trainer::output::warn(warning);
    }
    match run(cli.into_command()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = exit_code(&error);
            // What was interrupted has said so.
            if code != INTERRUPTED {
                trainer::output::error(error.to_string());
            }
            ExitCode::from(code)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, TrainError> {
    let build = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    // It panics where the system gives it no thread. There is no other thread yet that could.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let built = std::panic::catch_unwind(build);
    std::panic::set_hook(hook);
    let reason = match built {
        Ok(Ok(runtime)) => return Ok(runtime),
        Ok(Err(error)) => error.to_string(),
        Err(_) if std::env::var_os("TOKIO_WORKER_THREADS").is_some() => {
            "the system gives no thread, or TOKIO_WORKER_THREADS is no whole number above 0".to_owned()
        }
        Err(_) => "the system gives no thread".to_owned(),
    };
    Err(TrainError::Usage(format!(
        "cannot begin: {reason}; allow more open files (ulimit -n), processes (ulimit -u) or memory (ulimit -v)"
    )))
}

fn run(command: Command) -> Result<(), TrainError> {
    match command {
        Command::Train(arguments) => {
            let (resolved, resume) = arguments.load()?;
            // A run that goes on in another folder makes that one, too.
            let made = Path::new(&resolved.config.output_dir);
            let fresh = resume.as_ref().is_none_or(|point| point.run_dir != made);
            trainer::start::of_run(&resolved, fresh, &mut |line| trainer::output::say(line))?;
            Ok(runtime()?.block_on(trainer::commands::train(resolved.config, resume))?)
        }
        Command::Eval(arguments) => {
            let measured = arguments.load()?;
            trainer::start::of_eval(&measured.resolved, &mut |line| trainer::output::say(line))?;
            Ok(runtime()?.block_on(trainer::commands::eval(&measured))?)
        }
        Command::Sft(arguments) => {
            let resolved = arguments.load()?;
            trainer::start::of_sft(&resolved, &mut |line| trainer::output::say(line))?;
            Ok(runtime()?.block_on(trainer::sft::run(&resolved.config))?)
        }
        Command::Report(arguments) => trainer::commands::report(&arguments),
        Command::Plan(arguments) => trainer::commands::plan(&arguments),
        Command::Generate(arguments) => trainer::commands::generate(&arguments),
        Command::Merge(arguments) => trainer::commands::merge(&arguments),
        Command::Sim(arguments) => Ok(runtime()?.block_on(trainer::commands::sim(&arguments))?),
        Command::Boxes(arguments) => Ok(runtime()?.block_on(trainer::commands::boxes(&arguments))?),
        Command::Tasks { command } => runtime()?.block_on(trainer::commands::tasks(&command)),
        Command::Score(arguments) => trainer::commands::score(&arguments),
    }
}
