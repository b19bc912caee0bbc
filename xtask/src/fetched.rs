//! What a task fetches from a registry: it lies in a cache under the target directory, pinned to a version.

use crate::command::{self, Outcome, root};
use std::path::{Path, PathBuf};

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    let asked = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(asked.unwrap_or_else(|| "target".into()))
}

/// The cache of a task.
pub fn cache(task: &str) -> Result<PathBuf, String> {
    let cache = target().join(task);
    let wrong = |error: std::io::Error| format!("{task}: cannot use {}: {error}", cache.display());
    std::fs::create_dir_all(&cache).map_err(wrong)?;
    Ok(cache)
}

/// A task as a part of the whole: a machine without the registries passes it over with a line, unless `required` in the
/// environment variable `demand` says that it is the one that has to find out.
pub fn in_ci<T>(task: &str, demand: &str, set_up: Result<T, String>, check: impl FnOnce(T) -> Outcome) -> Outcome {
    match set_up {
        Ok(ready) => check(ready),
        Err(reason) if std::env::var(demand).as_deref() != Ok("required") => {
            eprintln!("ci: SKIPPED {task}: {reason}");
            Ok(())
        }
        Err(reason) => Err(reason),
    }
}

/// The folder of a Python environment of its own in `cache`, with `package`, a name and a version (`name==1.2`).
pub fn python(task: &str, cache: &Path, package: &str) -> Result<PathBuf, String> {
    let folder = cache.join(package.replace("==", "-python-"));
    if folder.join("ready").exists() {
        return Ok(folder);
    }
    clear(&folder)?;
    let shown = folder.display().to_string();
    let make = || command::output("python3", &["-m", "venv", &shown]);
    if make().is_err() {
        // Debian has the module apart from the interpreter.
        clear(&folder)?;
        install(task, &["python3", "python3-venv"])?;
        make().map_err(|error| format!("{task}: Python 3 with its module venv is missing: {error}"))?;
    }
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        package,
    ];
    command::output(&folder.join("bin/python").display().to_string(), &pip)
        .map_err(|error| format!("{task}: {package} cannot be had from PyPI: {error}"))?;
    mark(&folder)?;
    Ok(folder)
}

/// Installs packages of Debian.
pub fn install(task: &str, packages: &[&str]) -> Outcome {
    let missing = |error: String| {
        let names = packages.join(" and ");
        format!("{task}: {names} cannot be installed; install them yourself and run this again: {error}")
    };
    eprintln!("{task}: apt-get install {}", packages.join(" "));
    // Old lists name packages that are gone; where they cannot be fetched, the installation tells.
    let _ = command::as_root("apt-get", &["update", "-qq"]);
    let arguments: Vec<&str> = ["install", "-y", "-qq", "--no-install-recommends"]
        .into_iter()
        .chain(packages.iter().copied())
        .collect();
    command::as_root("apt-get", &arguments).map_err(missing)
}

/// Removes what an earlier attempt has left.
pub fn clear(folder: &Path) -> Outcome {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    }
    Ok(())
}

/// Says that the folder is whole.
pub fn mark(folder: &Path) -> Outcome {
    std::fs::write(folder.join("ready"), "").map_err(|error| format!("cannot write {}: {error}", folder.display()))
}
