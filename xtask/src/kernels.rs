//! `cargo xtask kernels`: the CUDA texts compile for every card that is supported. No card is needed: the compiler comes from
//! PyPI.

use crate::command::{self, Outcome, cargo};
use crate::fetched;
use std::path::{Path, PathBuf};

/// The newest compiler that knows all cards of the test.
const NVRTC: &str = "nvidia-cuda-nvrtc-cu12==12.9.86";

/// The task.
pub fn run() -> Outcome {
    check(&set_up()?)
}

/// The check as a part of the whole, see [`fetched::in_ci`].
pub fn in_ci() -> Outcome {
    fetched::in_ci("kernels", "KERNEL_CHECK", set_up(), |library| check(&library))
}

fn set_up() -> Result<PathBuf, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("kernels: the compiler is fetched for Linux on x86-64 alone".to_owned());
    }
    let folder = fetched::python("kernels", &fetched::cache("kernels")?, NVRTC)?;
    library(&folder.join("lib")).ok_or_else(|| format!("kernels: {NVRTC} has no libnvrtc.so"))
}

/// The compiler below `folder`; another of its libraries has nearly its name.
fn library(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let (path, name) = (entry.path(), entry.file_name());
        match path.is_dir() && !path.is_symlink() {
            true => library(&path),
            false => name.to_str()?.starts_with("libnvrtc.so").then_some(path),
        }
    })
}

fn check(library: &Path) -> Outcome {
    let arguments = [
        "test",
        "--package",
        "cua-grpo-kernels",
        "--test",
        "nvrtc",
        "--",
        "--ignored",
        "--nocapture",
    ];
    command::run(&cargo(), &arguments, &[("NVRTC", &library.display().to_string())])
}
