//! `cargo xtask setup-cuda`: lets the cargo feature `cuda` build on Debian without the download of LLVM.
//!
//! `burn-cuda` compiles kernels through LLVM and, when built, downloads a prebuilt one into a folder of the home
//! directory. Where that download is possible nothing here is needed. Elsewhere Debian's own LLVM 22 is put in its
//! place: it links and runs every kernel that was tried, though the build asks for 23.1.

use crate::command::{Outcome, as_root, output};
use std::path::{Path, PathBuf};

/// Folder under `~/.local/share/tracel` that the build looks for; changes with the version of burn.
const LLVM_FOLDER: &str = "tracel-llvm-23.1.0-4";
const MARKER: &str = ".tracel-llvm-installed";
const PACKAGES: &[&str] = &[
    "llvm-22-dev",
    "libpolly-22-dev",
    "libz3-dev",
    "zlib1g-dev",
    "libzstd-dev",
    "libxml2-dev",
];

/// The task. `--dry-run` only tells what would be done.
pub fn run(arguments: &[String]) -> Outcome {
    let dry = match arguments {
        [] => false,
        [flag] if flag == "--dry-run" => true,
        _ => {
            return Err(format!(
                "setup-cuda: expected nothing or --dry-run, got `{}`",
                arguments.join(" ")
            ));
        }
    };
    let home = std::env::var("HOME").map_err(|_| "setup-cuda: HOME is not set".to_owned())?;
    let folder = PathBuf::from(home).join(".local/share/tracel").join(LLVM_FOLDER);
    if folder.join(MARKER).exists() {
        eprintln!("setup-cuda: LLVM is in place already; nothing to do");
        return closing(dry);
    }
    install(dry, &mut |program, arguments| as_root(program, arguments))?;
    let prefix = if dry {
        "PREFIX".into()
    } else {
        output("llvm-config-22", &["--prefix"])?
    };
    let prefix = Path::new(&prefix);
    eprintln!("3/4 link {} -> {}", folder.display(), prefix.display());
    eprintln!("4/4 mark it as installed, and give libz3 the name that the build asks for");
    if dry {
        return closing(dry);
    }
    link(prefix, &folder)?;
    let marker = folder.join(MARKER);
    if std::fs::write(&marker, "").is_err() {
        as_root("touch", &[&marker.display().to_string()])?;
    }
    let z3 = find_z3()?;
    let alias = z3.with_file_name("liblibz3.so");
    if !alias.exists() {
        as_root("ln", &["-s", &z3.display().to_string(), &alias.display().to_string()])?;
    }
    closing(dry)
}

/// The lists of packages first: a fresh machine or container has none, and old ones name packages that are gone.
fn install(dry: bool, root: &mut dyn FnMut(&str, &[&str]) -> Outcome) -> Outcome {
    eprintln!("1/4 apt-get update");
    eprintln!("2/4 apt-get install {}", PACKAGES.join(" "));
    if dry {
        return Ok(());
    }
    let updated = root("apt-get", &["update"]);
    let arguments: Vec<&str> = ["install", "-y"].iter().chain(PACKAGES).copied().collect();
    match (root("apt-get", &arguments), updated) {
        (Ok(()), _) => Ok(()),
        (Err(error), Ok(())) => Err(format!(
            "{error}. If a package is unknown, this is another release than Debian 12, which has them all; with internet \
             the build needs no set-up"
        )),
        (Err(error), Err(update)) => Err(format!(
            "{error}, after {update}; check the sources of apt and the network"
        )),
    }
}

fn link(prefix: &Path, folder: &Path) -> Outcome {
    let wrong = |error: std::io::Error| format!("cannot link {}: {error}", folder.display());
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(wrong)?;
    }
    if folder.is_symlink() {
        std::fs::remove_file(folder).map_err(wrong)?;
    } else if folder.exists() {
        return Err(format!(
            "{} is there but incomplete: remove it and run this again",
            folder.display()
        ));
    }
    std::os::unix::fs::symlink(prefix, folder).map_err(wrong)
}

fn find_z3() -> Result<PathBuf, String> {
    let entries = std::fs::read_dir("/usr/lib").map_err(|error| format!("cannot list /usr/lib: {error}"))?;
    let mut found = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("libz3.so")))
        .filter(|path| path.exists());
    found
        .next()
        .ok_or_else(|| "libz3.so was not found under /usr/lib: is libz3-dev installed?".into())
}

fn closing(dry: bool) -> Outcome {
    let verb = if dry { "would be" } else { "is" };
    eprintln!("setup-cuda: the machine {verb} ready for `cargo build -p trainer --features cuda`");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs with a root that fails at commands which begin with one of `failing`; what was run, and how it ended.
    fn installed(failing: &[&str]) -> (Vec<String>, Outcome) {
        let mut run = Vec::new();
        let outcome = install(false, &mut |program, arguments| {
            let line = format!("{program} {}", arguments.join(" "));
            let fails = failing.iter().any(|start| line.starts_with(start));
            run.push(line.clone());
            if fails { Err(format!("`{line}` failed")) } else { Ok(()) }
        });
        (run, outcome)
    }

    #[test]
    fn lists_are_fetched_before_packages() {
        let (run, outcome) = installed(&[]);
        assert_eq!(run[0], "apt-get update");
        assert!(
            run[1].starts_with("apt-get install -y llvm-22-dev ") && run.len() == 2,
            "{run:?}"
        );
        outcome.unwrap();
    }

    #[test]
    fn a_broken_source_stops_only_when_a_package_is_missing() {
        installed(&["apt-get update"]).1.unwrap();
        assert!(installed(&["apt-get install"]).1.unwrap_err().contains("Debian 12"));
        assert!(
            installed(&["apt-get"])
                .1
                .unwrap_err()
                .contains("after `apt-get update` failed")
        );
    }
}
