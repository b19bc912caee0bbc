//! `cargo xtask ci`: everything that has to hold, cheapest checks first.

use crate::command::{self, Outcome, cargo};
use crate::{kernels, sdk_check, setup_cuda, tidy};
use std::time::Instant;

/// A named check.
type Check = (&'static str, fn() -> Outcome);

const CHECKS: &[Check] = &[
    ("format", || {
        command::run(&cargo(), &["fmt", "--all", "--", "--check"], &[])
    }),
    ("tidy", tidy::run),
    ("clippy", || {
        command::run(
            &cargo(),
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
            &[],
        )
    }),
    ("clippy with cuda", clippy_with_cuda),
    ("tests", || command::run(&cargo(), &["test", "--workspace"], &[])),
    ("official SDKs", sdk_check::in_ci),
    ("kernels", kernels::in_ci),
    ("docs", || {
        let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
        command::run(
            &cargo(),
            &arguments,
            &[("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links")],
        )
    }),
    ("algorithms without burn", || {
        let arguments = ["check", "--package", "cua-grpo-algo", "--no-default-features"];
        command::run(&cargo(), &arguments, &[])
    }),
    // Without verification, which would compile Burn once more for each crate: the tests have compiled the same files. What
    // it needs of the registry, the checks before it have fetched.
    ("package", package),
];

/// The crates that have code for a card.
const CUDA: &[&str] = &["cua-grpo-kernels", "cua-grpo-model", "trainer", "benches"];

/// Lints what only the feature `cuda` compiles; no card is needed. A machine that cannot have LLVM skips it with a line.
fn clippy_with_cuda() -> Outcome {
    if let Err(reason) = setup_cuda::run(&[]) {
        eprintln!("ci: SKIPPED clippy with cuda: LLVM could not be set up: {reason}");
        return Ok(());
    }
    let mut arguments = vec!["clippy"];
    arguments.extend(CUDA.iter().flat_map(|name| ["--package", name]));
    let features: Vec<String> = CUDA.iter().map(|name| format!("{name}/cuda")).collect();
    let features = features.join(",");
    arguments.extend(["--features", &features, "--all-targets", "--", "-D", "warnings"]);
    command::run(&cargo(), &arguments, &[])
}

/// What nobody depends on.
const NOT_PACKAGED: &[&str] = &["trainer", "benches", "examples", "xtask"];

/// Packages the library crates as they would be published.
fn package() -> Outcome {
    let excluded = NOT_PACKAGED.iter().flat_map(|name| ["--exclude", name]);
    let mut arguments = vec![
        "package",
        "--workspace",
        "--no-verify",
        "--allow-dirty",
        "--offline",
        "--quiet",
    ];
    arguments.extend(excluded);
    command::run(&cargo(), &arguments, &[])
}

/// Runs all checks, stops at the first that fails, and ends with a plain line that says how it went.
pub fn run() -> Outcome {
    run_checks(CHECKS)
}

fn run_checks(checks: &[Check]) -> Outcome {
    let start = Instant::now();
    let mut passed = Vec::new();
    for (name, check) in checks {
        eprintln!("── {name}");
        let begin = Instant::now();
        check().map_err(|message| format!("{message}\nci: FAILED at {name}; passed before: {}", list(&passed)))?;
        passed.push(format!("{name} {} s", begin.elapsed().as_secs()));
    }
    eprintln!(
        "ci: all checks passed in {} s ({})",
        start.elapsed().as_secs(),
        list(&passed)
    );
    Ok(())
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_stops_and_is_named() {
        let checks: &[Check] = &[
            ("one", || Ok(())),
            ("two", || Err("broken".into())),
            ("three", || panic!("not run")),
        ];
        let message = run_checks(checks).unwrap_err();
        assert!(message.contains("broken") && message.contains("FAILED at two") && message.contains("one 0 s"));
    }
}
