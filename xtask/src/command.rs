//! Running other programs from the root of the repository.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a task returns; the error is for the user.
pub type Outcome = Result<(), String>;

/// The root of the repository that cargo runs us for: clones may share a build folder, and this program with it.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// The cargo that started us.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// What cargo tells the program it runs, us, about its package. Build scripts watch some of these (that of `ring`): a cargo
/// that we start and one that a person starts have to see the same, or each builds anew what the other has built.
const OF_OUR_PACKAGE: &[&str] = &[
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_",
];

/// A program that is started as a person starts it, from the root of the repository.
fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name_of = |beginning: &&str| name.to_str().is_some_and(|name| name.starts_with(beginning));
        if OF_OUR_PACKAGE.iter().any(name_of) {
            command.env_remove(&name);
        }
    }
    command.args(arguments).current_dir(root());
    command
}

/// Runs a program, its output going to ours.
pub fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let shown = format!(
        "{} {}",
        program.rsplit('/').next().unwrap_or(program),
        arguments.join(" ")
    );
    let status = command(program, arguments).envs(environment.iter().copied()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed ({status})")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

/// Runs a program and returns what it writes to standard output.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let shown = format!("{program} {}", arguments.join(" "));
    let result = command(program, arguments).stderr(Stdio::inherit()).output();
    match result {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(format!("`{shown}` failed ({})", output.status)),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

/// Runs a program as root.
pub fn as_root(program: &str, arguments: &[&str]) -> Outcome {
    if output("id", &["-u"])? == "0" {
        return run(program, arguments, &[]);
    }
    let with_sudo: Vec<&str> = std::iter::once(program).chain(arguments.iter().copied()).collect();
    run("sudo", &with_sudo, &[])
}

/// Builds and runs a binary of the package `benches`.
pub fn bench(name: &str, rest: &[String]) -> Outcome {
    let mut arguments = vec!["run", "--package", "benches", "--bin", name];
    if rest.iter().any(|argument| argument.contains("cuda")) {
        arguments.extend(["--features", "cuda"]);
    }
    arguments.push("--");
    arguments.extend(rest.iter().map(String::as_str));
    run(&cargo(), &arguments, &[])
}
