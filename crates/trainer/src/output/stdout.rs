//! What a command prints or writes for other programs.

use anyhow::{Context, Result};
use cua_grpo_train::TrainError;
use cua_grpo_train::files::is_mendable;
use cua_grpo_train::plain::{Form, plain};
use cua_grpo_train::run_dir::check_output;
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// One line on standard output.
pub fn line(text: &str) -> Result<()> {
    piece(&format!("{text}\n"))
}

/// A piece of a line on standard output, shown at once. A reader that has gone (`| head`) has seen enough: no error.
///
/// # Errors
/// When it cannot be written for another reason, e.g. a full disk.
pub fn piece(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    // A model and a service say what they like; another program gets it as it is.
    let text = match output.is_terminal() {
        true => plain(text, Form::Text),
        false => text.into(),
    };
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Checks that a file can appear at `path`, before hours of work for it.
///
/// # Errors
/// [`TrainError::Usage`] that names `flag`.
pub fn check_target(flag: &str, path: &Path) -> Result<(), TrainError> {
    let wrong = |message: &str| TrainError::Usage(format!("{flag} {}: {message}", path.display()));
    // A slash at the end names a folder, also where none is.
    let slash = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    if path.is_dir() || path.file_name().is_none() || slash {
        return Err(wrong("is a folder; name a file"));
    }
    if !folder_of(path).is_dir() {
        return Err(wrong("its folder does not exist; create it first"));
    }
    check_output(path, flag)
}

/// Writes JSON beside `path` and renames it when it is whole; a device or a pipe is written to.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut text = serde_json::to_vec(value).with_context(context)?;
    text.push(b'\n');
    match cua_grpo_train::files::replace(path, &text) {
        Err(error) if is_mendable(&error) => Err(TrainError::Usage(format!("{}: {error}", context())).into()),
        written => written.with_context(context),
    }
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
