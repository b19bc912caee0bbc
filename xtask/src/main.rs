//! Automation of the repository, as `cargo xtask TASK`.

#![allow(clippy::print_stderr, reason = "a tool at a terminal says what it does")]

mod ci;
mod circles;
mod command;
mod dependencies;
mod fetched;
mod kernels;
mod licence;
mod paths;
mod sdk_check;
mod setup_cuda;
mod tidy;
mod unify;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  ci              format, clippy, tidy, tests, docs, packages: what the continuous integration runs
  tidy            house rules: headers, file sizes, import circles, crate arrows, licences, duplicate versions
  setup-cuda      prepare a Debian machine for building with the cargo feature `cuda` [--dry-run]
  sdk-check       the official SDKs (PyPI, npm) call every method of an Android box on the simulator
  kernels         the CUDA texts compile for every supported card (NVRTC from PyPI, no card needed)
  unify           write workspace-hack/Cargo.toml, by which all commands share one build of foreign crates
  bench-model     build and run the model benches, with the feature `cuda` for `--device cuda`; arguments are passed on
  bench-rollout   build and run the rollout benches; arguments are passed on";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match arguments.first().map(String::as_str) {
        Some("ci") => ci::run(),
        Some("tidy") => tidy::run(),
        Some("unify") => unify::run(),
        Some("sdk-check") => sdk_check::run(rest),
        Some("kernels") => kernels::run(),
        Some("setup-cuda") => setup_cuda::run(rest),
        Some(bench @ ("bench-rollout" | "bench-model")) => command::bench(bench, rest),
        other => {
            if let Some(other) = other.filter(|name| !matches!(*name, "help" | "--help" | "-h")) {
                eprintln!("error: there is no task `{other}`\n");
            }
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
