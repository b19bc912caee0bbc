//! `cargo xtask setup-cuda`: lets the cargo feature `cuda` build on Debian without the download of LLVM.
//!
//! `burn-cuda` compiles kernels through LLVM and, when built, downloads a prebuilt one into a folder of the home
//! directory. Where that download is possible nothing here is needed. Elsewhere Debian's own LLVM 22 is put in its
//! place: it links and runs every kernel that was tried, though the build asks for 23.1.

use crate::command::{Outcome, output, run as command};
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
    install(dry)?;
    let prefix = if dry {
        "PREFIX".into()
    } else {
        output("llvm-config-22", &["--prefix"])?
    };
    let prefix = Path::new(&prefix);
    eprintln!("2/3 link {} -> {}", folder.display(), prefix.display());
    eprintln!("3/3 mark it as installed, and give libz3 the name that the build asks for");
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

fn install(dry: bool) -> Outcome {
    eprintln!("1/3 apt-get install {}", PACKAGES.join(" "));
    if dry {
        return Ok(());
    }
    let arguments: Vec<&str> = ["install", "-y"].iter().chain(PACKAGES).copied().collect();
    as_root("apt-get", &arguments).map_err(|error| {
        format!("{error}. If a package is unknown, run `apt-get update` first; Debian 12 has them all")
    })
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

fn as_root(program: &str, arguments: &[&str]) -> Outcome {
    if output("id", &["-u"])? == "0" {
        return command(program, arguments, &[]);
    }
    let with_sudo: Vec<&str> = std::iter::once(program).chain(arguments.iter().copied()).collect();
    command("sudo", &with_sudo, &[])
}

fn closing(dry: bool) -> Outcome {
    let verb = if dry { "would be" } else { "is" };
    eprintln!("setup-cuda: the machine {verb} ready for `cargo build -p trainer --features cuda`");
    Ok(())
}
