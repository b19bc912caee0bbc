//! Where the outputs of commands may not go: into what a run keeps, and over the files of a model or of an adapter.

use super::places::{FILES, FOLDERS, is_run};
use crate::error::TrainError;
use crate::files::CHECKSUMS;
use crate::layout::{BEST, CONFIG, REPORT, RUN, STATE};
use crate::provenance::PROVENANCE;
use cua_grpo_model::checkpoint::{OPTIONAL_FILES, REQUIRED_FILES};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Checks that `path` is no place where a run keeps its own files, and no file of a model or an adapter: an output there
/// would take what cannot be made again. The report of a run may be replaced, for it is made from the others. `what` names
/// the flag or key.
///
/// # Errors
/// [`TrainError::Usage`] that says whose place it is.
pub fn check_output(path: &Path, what: &str) -> Result<(), TrainError> {
    let full = resolved(path);
    let refuse = |whose: String| {
        Err(TrainError::Usage(format!(
            "{what}: `{}` is {whose}; choose another name",
            path.display()
        )))
    };
    // A run that was set aside in another is one itself.
    let run = full.ancestors().skip(1).find(|folder| holds_a_run(folder));
    if let Some(run) = run
        && let Some(name) = first_name(&full, run)
        && is_kept(name)
    {
        return refuse(format!("where the run in `{}` keeps its own files", run.display()));
    }
    let folder = full.parent().filter(|_| full.is_file());
    if let Some(folder) = folder
        && let Some(name) = full.file_name()
        && is_of_model(folder, name)
    {
        return refuse("a file of the model or adapter in its folder".into());
    }
    Ok(())
}

/// The path without links, as far as it leads somewhere.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    for folder in path.ancestors() {
        let shown = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        if let Ok(mut full) = shown.canonicalize() {
            full.extend(rest.iter().rev());
            return full;
        }
        rest.extend(folder.file_name());
    }
    path.to_path_buf()
}

fn holds_a_run(folder: &Path) -> bool {
    folder.join(RUN).is_file() || is_run(folder)
}

/// The name below `run` on the way to `path`.
fn first_name<'a>(path: &'a Path, run: &Path) -> Option<&'a OsStr> {
    match path.strip_prefix(run).ok()?.components().next()? {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}

/// Whether a run writes to `name` in its folder.
fn is_kept(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let earlier = || name.strip_prefix(BEST).is_some_and(|rest| rest.starts_with('-'));
    name != REPORT && (FOLDERS.iter().chain(FILES).any(|own| *own == name) || earlier())
}

/// Whether `name` in `folder` belongs to a model or to an adapter.
fn is_of_model(folder: &Path, name: &OsStr) -> bool {
    const ADAPTER: &str = "adapter_config.json";
    let marks = [ADAPTER, REQUIRED_FILES[0]];
    if !marks.iter().any(|mark| folder.join(mark).is_file()) {
        return false;
    }
    let name = name.to_string_lossy();
    let weights = [".safetensors", ".safetensors.index.json", ".bin", ".gguf"];
    let ours = [ADAPTER, CHECKSUMS, PROVENANCE, CONFIG, STATE];
    let files = REQUIRED_FILES.iter().chain(OPTIONAL_FILES).chain(&ours);
    files.copied().any(|known| known == name) || weights.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    fn refused(path: &Path) -> bool {
        match check_output(path, "--out") {
            Ok(()) => false,
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.starts_with("--out: ") && text.contains("choose another name"),
                    "{text}"
                );
                true
            }
        }
    }

    #[test]
    fn no_output_goes_over_what_a_run_keeps() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        create_dir_all(run.join("checkpoints/checkpoint-2")).unwrap();
        create_dir_all(run.join("abandoned/after-step-2/episodes")).unwrap();
        write(run.join("run.json"), "{}").unwrap();
        write(run.join("metrics.jsonl"), "").unwrap();
        write(run.join("abandoned/after-step-2/metrics.jsonl"), "").unwrap();
        let mut tried = 0;
        for name in FOLDERS.iter().chain(FILES).filter(|name| **name != REPORT) {
            assert!(refused(&run.join(name)), "{name}");
            assert!(refused(&run.join(name).join("deeper/still")), "{name}");
            tried += 1;
        }
        assert!(tried > 10, "{tried}");
        for kept in [
            "best_model-3",
            "checkpoints/checkpoint-9",
            "episodes/eval-9",
            "./final/../final/x",
        ] {
            assert!(refused(&run.join(kept)), "{kept}");
        }
        let free = [
            "report.html",
            "scores.json",
            "merged",
            "mine/final",
            "abandoned/after-step-2/report.html",
        ];
        for free in free {
            assert!(!refused(&run.join(free)), "{free}");
        }
        assert!(!refused(&home.path().join("metrics.jsonl")));
        #[cfg(unix)]
        {
            let link = home.path().join("scores.json");
            std::os::unix::fs::symlink(run.join("metrics.jsonl"), &link).unwrap();
            assert!(refused(&link), "a link leads into the run");
        }
    }

    #[test]
    fn no_output_goes_over_the_files_of_a_model_or_an_adapter() {
        let home = tempfile::tempdir().unwrap();
        for name in [
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "chat_template.jinja",
            "scores.json",
        ] {
            write(home.path().join(name), "").unwrap();
        }
        for name in [
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "chat_template.jinja",
        ] {
            assert!(refused(&home.path().join(name)), "{name}");
        }
        for name in ["scores.json", "other.json"] {
            assert!(!refused(&home.path().join(name)), "{name}");
        }
        let adapter = home.path().join("adapter");
        create_dir_all(&adapter).unwrap();
        write(adapter.join("adapter_model.safetensors"), "").unwrap();
        assert!(!refused(&adapter.join("adapter_model.safetensors")), "no adapter yet");
        write(adapter.join("adapter_config.json"), "").unwrap();
        for name in ["adapter_model.safetensors", "adapter_config.json"] {
            assert!(refused(&adapter.join(name)), "{name}");
        }
    }
}
