//! Keeping the records of a run within the size that a key allows.

use super::lines::StepRecord;
use super::write::Encoded;
use crate::episodes::Saved;
use crate::files::{discard, replace_folder};
use crate::sink::Note;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Writes the record of each step of a run.
#[derive(Debug)]
pub struct Recorder {
    run_dir: PathBuf,
    /// Most bytes of all records; 0 keeps none.
    limit: u64,
    /// Bytes of the records so far, once a step was kept.
    used: Option<u64>,
    /// A step was left out, and so are all later ones.
    ended: bool,
}

impl Recorder {
    /// Records of at most `limit` GiB, in the folder of a run; 0 keeps none.
    pub fn new(run_dir: &Path, limit: f64) -> Self {
        Self {
            run_dir: run_dir.to_owned(),
            limit: (limit * f64::from(1 << 30)) as u64,
            used: None,
            ended: false,
        }
    }

    /// Whether a record is kept at all.
    pub fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Keeps the record of a step in place of one of an earlier try. A line for the user comes back with the first one, and
    /// where no more are kept: a record without one of its steps would be of no use.
    ///
    /// # Errors
    /// When it cannot be written. The run has to end then: its folder goes on from before the step.
    pub fn keep(&mut self, step: usize, record: impl FnOnce() -> StepRecord) -> Result<Option<Note>> {
        let folder = Saved::Record.folder(&self.run_dir, step);
        if !self.is_on() || self.ended {
            discard(&folder)?;
            return Ok(None);
        }
        let context = || {
            format!(
                "step {step} could not be recorded, and the run ends before it; make room, or set record to 0, and go on \
                 with --resume"
            )
        };
        let encoded = Encoded::of(&record()).with_context(context)?;
        let first = self.used.is_none();
        let used = match self.used {
            Some(used) => used,
            None => self.bytes_before(step),
        };
        let all = used + encoded.bytes();
        let gap = step > 1 && used > 0 && !Saved::Record.folder(&self.run_dir, step - 1).is_dir();
        if gap || all > self.limit {
            self.ended = true;
            discard(&folder)?;
            let why = match gap {
                true => format!("it has no step {}", step - 1),
                false => format!(
                    "with it the record would take {}, and `record` allows {}",
                    size(all),
                    size(self.limit)
                ),
            };
            return Ok(Some(Note::Warning(format!(
                "step {step} and all later ones are not recorded: {why}. A replay ends before it"
            ))));
        }
        replace_folder(&folder, |partial| encoded.write(partial)).with_context(context)?;
        self.used = Some(all);
        let told = format!(
            "the record of step {step} takes {} of the {} that `record` allows, room for about {} more such steps",
            size(encoded.bytes()),
            size(self.limit),
            (self.limit - all) / encoded.bytes().max(1)
        );
        Ok(first.then_some(Note::Plain(told)))
    }

    /// Bytes of the records of the steps before `step`.
    fn bytes_before(&self, step: usize) -> u64 {
        let before = Saved::Record.folders(&self.run_dir).into_iter();
        let before = before.filter(|(number, _)| *number < step);
        let files = before
            .filter_map(|(_, folder)| std::fs::read_dir(folder).ok())
            .flatten();
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
    }
}

/// Bytes in words.
fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 {
        format!("{mib:.2} MiB")
    } else {
        format!("{:.2} GiB", mib / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::Head;
    use super::*;
    use crate::provenance::Base;
    use std::sync::Arc;

    fn record(step: usize) -> StepRecord {
        let base = Base {
            name: "starter".into(),
            path: None,
            fingerprint: "f".into(),
            files: Default::default(),
        };
        StepRecord {
            head: Head::new(step, 0, base),
            cursors: Vec::new(),
            groups: Arc::default(),
        }
    }

    fn kept(run: &Path) -> Vec<usize> {
        Saved::Record.folders(run).into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn a_record_ends_where_it_would_become_too_large_and_has_no_holes() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path();
        let bytes = Encoded::of(&record(1)).unwrap().bytes();
        // The lists of checksums do not count while they are written, but do when they are found.
        let gib = |steps: u64| (steps * (bytes + 200)) as f64 / f64::from(1 << 30);
        let mut recorder = Recorder::new(run, gib(2));
        let told = recorder.keep(1, || record(1)).unwrap();
        assert!(matches!(told, Some(Note::Plain(text)) if text.contains("the record of step 1 takes")));
        assert_eq!(recorder.keep(2, || record(2)).unwrap(), None);
        let told = recorder.keep(3, || record(3)).unwrap();
        assert!(matches!(told, Some(Note::Warning(text)) if text.contains("step 3 and all later ones")));
        assert_eq!(recorder.keep(4, || record(4)).unwrap(), None);
        assert_eq!(kept(run), [1, 2]);
        // A run that goes on counts what is there, and makes no hole.
        let mut recorder = Recorder::new(run, gib(9));
        let told = recorder.keep(5, || record(5)).unwrap();
        assert!(matches!(told, Some(Note::Warning(text)) if text.contains("it has no step 4")));
        let mut recorder = Recorder::new(run, gib(9));
        assert!(recorder.keep(3, || record(3)).unwrap().is_some());
        assert_eq!(kept(run), [1, 2, 3]);
        // Without the key, what an earlier try of the step left goes.
        let mut none = Recorder::new(run, 0.0);
        assert_eq!(none.keep(3, || unreachable!()).unwrap(), None);
        assert_eq!(kept(run), [1, 2]);
    }
}
