//! When and how a run was started: a line in `invocations.jsonl` for the start and one for each time it goes on.

use crate::error::ReportError;
use cua_grpo_train::config::Key;
use cua_grpo_train::files::{FileError, Limit, io, open_end, read_within};
pub use cua_grpo_train::layout::INVOCATIONS;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::SystemTime;

/// One start of the program on a run folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Date and time in UTC, `2026-11-28T17:00:00Z`.
    pub started: String,
    /// Version of the program.
    pub version: String,
    /// Steps that were done before.
    pub step: usize,
    /// The program and its arguments; values of secret keys are hidden.
    pub command: Vec<String>,
}

impl Invocation {
    /// A start now. `command` is the program and its arguments, `keys` tells which of them name secrets.
    pub fn new(step: usize, command: impl IntoIterator<Item = String>, keys: &[Key]) -> Self {
        Self {
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            step,
            command: without_secrets(command, keys),
        }
    }

    /// The command as it can be typed.
    pub fn line(&self) -> String {
        let quoted = self.command.iter().map(|word| quoted(word));
        quoted.collect::<Vec<_>>().join(" ")
    }

    /// Appends the start to the run folder's file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, run_dir: &Path) -> Result<(), ReportError> {
        let path = run_dir.join(INVOCATIONS);
        let mut line = serde_json::to_vec(self).map_err(|error| ReportError::Record {
            path: path.clone(),
            message: error.to_string(),
        })?;
        line.push(b'\n');
        let appended = open_end(&path).and_then(|mut file| file.write_all(&line));
        Ok(appended.map_err(io("append to", &path))?)
    }
}

/// The starts of a run folder, in order; none for folders of older versions. A line that is not whole is left out.
///
/// # Errors
/// When there is something that cannot be read: no regular file of the run folder, or one without an end.
pub fn read_invocations(run_dir: &Path) -> Result<Vec<Invocation>, FileError> {
    let path = run_dir.join(INVOCATIONS);
    let bytes = match read_within(run_dir, &path, Limit::RECORD) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes.map_err(io("read", &path))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let starts = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    Ok(starts.collect())
}

/// Hides the values of secret keys: `--gbox-api-key X`, `--gbox-api-key=X`, `--set gbox_api_key=X`.
fn without_secrets(command: impl IntoIterator<Item = String>, keys: &[Key]) -> Vec<String> {
    let secrets: Vec<&str> = keys.iter().filter(|key| key.secret).map(|key| key.name).collect();
    let mut hide_next = false;
    let clean = command.into_iter().map(|word| {
        if std::mem::take(&mut hide_next) {
            return "hidden".to_owned();
        }
        let (name, value) = match word.split_once('=') {
            Some(("--set", assignment)) => match assignment.split_once('=') {
                Some((name, _)) => (format!("--set={name}"), Some(())),
                None => (word.clone(), None),
            },
            Some((name, _)) => (name.to_owned(), Some(())),
            None => (word.clone(), None),
        };
        let key = name
            .trim_start_matches("--set=")
            .trim_start_matches('-')
            .replace('-', "_");
        if !secrets.contains(&key.trim().to_lowercase().as_str()) {
            return word;
        }
        match value {
            Some(()) => format!("{name}=hidden"),
            None => {
                hide_next = word.starts_with('-');
                word
            }
        }
    });
    clean.collect()
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_train::config::{Configuration, TrainConfig};

    #[test]
    fn values_of_secret_keys_are_hidden_in_every_form() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let command = words(
            "trainer --gbox-api-key S3 --gbox-api-key=S3 --set gbox_api_key=S3 --set=gbox_api_key=S3 --seed 1 --set top_k=3",
        );
        let hidden = Invocation::new(0, command, TrainConfig::keys());
        let expected = "trainer --gbox-api-key hidden --gbox-api-key=hidden --set gbox_api_key=hidden \
                        --set=gbox_api_key=hidden --seed 1 --set top_k=3";
        assert_eq!(hidden.line(), expected);
    }

    #[test]
    fn a_start_is_appended_and_read_back() {
        let run = tempfile::tempdir().unwrap();
        for (step, argument) in [(0, "a b"), (4, "it's")] {
            let start = Invocation::new(step, ["trainer".to_owned(), argument.to_owned()], &[]);
            start.append(run.path()).unwrap();
        }
        let starts = read_invocations(run.path()).unwrap();
        assert_eq!((starts.len(), starts[1].step), (2, 4));
        assert_eq!(
            (starts[0].line(), starts[1].line()),
            ("trainer 'a b'".into(), r"trainer 'it'\''s'".into())
        );
        let [date, time] = starts[0].started.split('T').collect::<Vec<_>>()[..] else {
            panic!("{}", starts[0].started);
        };
        assert!(date.len() == 10 && time.ends_with('Z'), "{}", starts[0].started);
        assert!(read_invocations(&run.path().join("none")).unwrap().is_empty());
        let path = run.path().join(INVOCATIONS);
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_len(3 << 30).unwrap();
        assert!(read_invocations(run.path()).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = Invocation::new(0, [], &[]).append(run.path()).unwrap_err().to_string();
        assert!(error.contains("expected a file, found a folder"), "{error}");
    }
}
