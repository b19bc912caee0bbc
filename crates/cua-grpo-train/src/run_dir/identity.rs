//! Which run a folder holds: `run.json`, with a random id that the folder keeps, and the timelines whose work it has.
//!
//! A *timeline* is one way of a run through its steps. A run that goes on from an earlier step than the last begins a new
//! one, and so does one that goes on in a folder of its own. Adapters, saved episodes and the lines of `metrics.jsonl` and
//! `train.jsonl` tell theirs, so that a checkpoint, a file or a line of another run is noticed.

use super::places::{made, number};
use crate::error::TrainError;
use crate::files::{Damage, Limit, read_text, write};
use crate::layout::{CHECKPOINTS, CONFIG, RUN, checkpoint_step, list};
use crate::metrics::{METRICS, timelines};
use crate::provenance::Provenance;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A timeline before the present one, of which the run has the steps up to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The timeline.
    pub timeline: String,
    /// The last step that is taken from it.
    pub step: usize,
}

/// What `run.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The run's id, 16 hexadecimal digits: the same as long as the folder is the same, and no other folder's.
    pub id: String,
    /// The timeline of what is written next.
    pub timeline: String,
    /// The timelines before, oldest first; those of the run that this one is forked from among them.
    #[serde(default)]
    pub earlier: Vec<Earlier>,
    /// The folder that the file was written in, by its number in the file system: a copy of the folder has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<u64>,
    /// When that folder was made, in nanoseconds of Unix time: folders of two file systems may have one number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<u64>,
}

impl Identity {
    /// That of a new run.
    pub fn new() -> Self {
        let id = random();
        Self {
            timeline: id.clone(),
            id,
            earlier: Vec::new(),
            folder: None,
            made: None,
        }
    }

    /// That of the run in `run_dir`. One that is written in the file of another folder, of which this is a copy, goes on as
    /// a run of its own. A folder of an older version is called by its path until it has a file.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when the file is broken.
    pub fn of(run_dir: &Path) -> Result<Self, TrainError> {
        let Some(found) = Self::read(run_dir)? else {
            let full = run_dir.canonicalize().unwrap_or_else(|_| run_dir.into());
            let mut id = format!("{:x}", Sha256::digest(full.as_os_str().as_encoded_bytes()));
            id.truncate(16);
            return Ok(Self {
                timeline: id.clone(),
                id,
                earlier: known(run_dir)?,
                folder: None,
                made: None,
            });
        };
        Ok(match found.is_of_another_folder(run_dir) {
            true => found.forked(usize::MAX),
            false => found,
        })
    }

    /// Whether the file was written in another folder than `run_dir`, of which that one is a copy then.
    fn is_of_another_folder(&self, run_dir: &Path) -> bool {
        let other = |then: Option<u64>, now: Option<u64>| then.zip(now).is_some_and(|(then, now)| then != now);
        other(self.folder, number(run_dir)) || other(self.made, made(run_dir))
    }

    /// What the file of `run_dir` says; `None` where there is none.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when it is broken.
    pub fn read(run_dir: &Path) -> Result<Option<Self>, TrainError> {
        let path = run_dir.join(RUN);
        let wrong = |reason: &dyn std::fmt::Display| {
            TrainError::Usage(format!(
                "{}: {reason}. The file tells which run the folder holds; remove it to go on without",
                path.display()
            ))
        };
        let text = match read_text(&path, Limit::SMALL) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if matches!(Damage::of(RUN, &error), Damage::Closed { .. }) => {
                return Err(TrainError::Usage(format!(
                    "{}: {error}. The file tells which run the folder holds; let this user read it",
                    path.display()
                )));
            }
            text => text.map_err(|error| wrong(&error))?,
        };
        let found: Self = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        let word = |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if word(&found.id) && word(&found.timeline) {
            Ok(Some(found))
        } else {
            Err(wrong(&"expected ids of 16 hexadecimal digits"))
        }
    }

    /// Another run, which has the work of this one up to `step`.
    pub fn forked(&self, step: usize) -> Self {
        let mut other = self.clone();
        other.turn(step);
        other.id.clone_from(&other.timeline);
        (other.folder, other.made) = (None, None);
        other
    }

    /// Begins a new timeline after `step`.
    pub fn turn(&mut self, step: usize) {
        for earlier in &mut self.earlier {
            earlier.step = earlier.step.min(step);
        }
        let timeline = std::mem::replace(&mut self.timeline, random());
        self.earlier.push(Earlier { timeline, step });
    }

    /// Writes the file into `run_dir`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&mut self, run_dir: &Path) -> Result<()> {
        (self.folder, self.made) = (number(run_dir), made(run_dir));
        let text = serde_json::to_string_pretty(self)?;
        write(&run_dir.join(RUN), format!("{text}\n").as_bytes())
    }

    /// Whether this run has what was written on `timeline` after `step`; `None` is the work of an older version, which
    /// tells no timeline.
    pub fn has(&self, timeline: Option<&str>, step: usize) -> bool {
        let Some(timeline) = timeline else { return true };
        let of = |earlier: &Earlier| earlier.timeline == timeline && step <= earlier.step;
        self.timeline == timeline || self.earlier.iter().any(of)
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

/// The id of the run in `path`: that of its file, or of its path where an older version made it. `None` when no run is
/// there, or its file is broken.
pub fn run_id(path: &Path) -> Option<String> {
    let is_run = [RUN, METRICS, CONFIG].iter().any(|name| path.join(name).is_file()) || path.join(CHECKPOINTS).is_dir();
    is_run.then(|| Identity::of(path).ok()).flatten().map(|found| found.id)
}

/// The id of the run of whose folder `path` is a copy, also one that was restored; `None` where it is no copy. That run may be
/// at work elsewhere.
pub fn copied_from(path: &Path) -> Option<String> {
    let found = Identity::read(path).ok().flatten()?;
    found.is_of_another_folder(path).then_some(found.id)
}

/// Refuses the adapter folder `folder` of the run in `run_dir` when another run wrote it. Where one of the two tells
/// nothing of runs, it is taken as it is.
///
/// # Errors
/// Words that name both runs.
pub fn check_folder(run_dir: &Path, folder: &Path) -> Result<(), String> {
    let run = Identity::read(run_dir).map_err(|error| error.to_string())?;
    let written = Provenance::read(folder).map_err(|error| format!("{error:#}"))?;
    let (Some(run), Some(written)) = (run, written) else {
        return Ok(());
    };
    if run.has(written.run.as_deref(), written.step) {
        return Ok(());
    }
    Err(format!(
        "{} was written by another run ({}, after step {}) than the one of {} ({}); move it out of there",
        folder.display(),
        written.run.unwrap_or_default(),
        written.step,
        run_dir.display(),
        run.timeline
    ))
}

/// Refuses the `metrics.jsonl` of `run_dir` when another run wrote it, or a part of it.
///
/// # Errors
/// [`TrainError::Usage`] that names both runs; or when the file cannot be read.
pub fn check_metrics(run_dir: &Path) -> Result<(), TrainError> {
    let Some(run) = Identity::read(run_dir)? else {
        return Ok(());
    };
    let found = timelines(run_dir)?;
    let Some(other) = found.iter().find(|part| !run.has(Some(&part.timeline), part.step)) else {
        return Ok(());
    };
    Err(TrainError::Usage(format!(
        "{} from line {} on was written by another run ({}) than the one of this folder ({}); put the folder's own file \
         back, or remove the lines of the other run",
        run_dir.join(METRICS).display(),
        other.line,
        other.timeline,
        run.timeline
    )))
}

/// The timelines that checkpoints and metrics of a run folder without a file tell: someone removed it, or put checkpoints
/// into a new folder.
fn known(run_dir: &Path) -> Result<Vec<Earlier>, TrainError> {
    let folders = list(run_dir).map_err(|error| TrainError::Usage(error.to_string()))?;
    let folders = folders.into_iter();
    let adapters = folders.filter_map(|(_, folder)| {
        let written = Provenance::read(&folder).ok().flatten()?;
        Some((written.run?, written.step))
    });
    // What is wrong with the metrics is told by whoever uses them.
    let lines = timelines(run_dir).unwrap_or_default();
    let lines = lines.into_iter().map(|part| (part.timeline, part.step));
    let mut found: Vec<Earlier> = Vec::new();
    for (timeline, step) in adapters.chain(lines) {
        match found.iter_mut().find(|earlier| earlier.timeline == timeline) {
            Some(earlier) => earlier.step = earlier.step.max(step),
            None => found.push(Earlier { timeline, step }),
        }
    }
    Ok(found)
}

/// Refuses a name for a run folder that would be taken for that of a checkpoint.
///
/// # Errors
/// Words that say why.
pub fn check_name(path: &Path) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name == "checkpoint" || checkpoint_step(path).is_some() {
        return Err("would be taken for a checkpoint by its name, so the run could not go on from it".into());
    }
    let inside = path.parent().is_some_and(|parent| parent.ends_with(CHECKPOINTS));
    if inside || name == CHECKPOINTS {
        return Err(format!(
            "is or lies in a folder `{CHECKPOINTS}`, which is where a run keeps its checkpoints"
        ));
    }
    Ok(())
}

fn random() -> String {
    format!("{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{EvalEvent, Line, MetricsWriter, TrainEvent};
    use crate::provenance::Base;

    fn adapter(folder: &Path, run: Option<&str>, step: usize) {
        std::fs::create_dir_all(folder).unwrap();
        let base = Base {
            name: "starter".into(),
            path: None,
            fingerprint: "f".into(),
            files: Default::default(),
        };
        let run = run.map(str::to_owned);
        Provenance { step, run, base }.write(folder).unwrap();
    }

    /// A run of `steps` steps with an adapter of each.
    fn run(steps: usize) -> (tempfile::TempDir, Identity) {
        let home = tempfile::tempdir().unwrap();
        let mut identity = Identity::new();
        identity.write(home.path()).unwrap();
        let mut metrics = MetricsWriter::create(home.path()).unwrap().on(&identity.timeline);
        metrics.write(&Line::Eval(EvalEvent::default())).unwrap();
        for step in 1..=steps {
            let event = TrainEvent {
                step,
                ..Default::default()
            };
            metrics.write(&Line::Train(event)).unwrap();
            let folder = home.path().join(format!("checkpoints/checkpoint-{step}"));
            adapter(&folder, Some(&identity.timeline), step);
        }
        (home, identity)
    }

    /// Lines of `timeline`.
    fn text_of(timeline: &str, words: &[&str]) -> Vec<String> {
        let line = |word: &&str| serde_json::to_string(&Line::short(word).on(timeline)).unwrap() + "\n";
        words.iter().map(line).collect()
    }

    fn checkpoint(run: &Path, step: usize) -> Result<(), String> {
        check_folder(run, &run.join(format!("checkpoints/checkpoint-{step}")))
    }

    #[test]
    fn what_another_run_wrote_is_noticed() {
        let ((one, first), (other, second)) = (run(3), run(3));
        assert_ne!(first.id, second.id);
        assert_eq!(run_id(one.path()), Some(first.id.clone()));
        assert_eq!(
            Identity::of(one.path()).unwrap(),
            Identity::read(one.path()).unwrap().unwrap()
        );
        checkpoint(one.path(), 3).unwrap();
        check_metrics(one.path()).unwrap();
        // An adapter of the other run.
        adapter(&one.path().join("final"), Some(&second.timeline), 3);
        let text = check_folder(one.path(), &one.path().join("final")).unwrap_err();
        assert!(
            text.contains(&first.timeline) && text.contains(&second.timeline),
            "{text}"
        );
        // Its metrics.
        std::fs::copy(other.path().join(METRICS), one.path().join(METRICS)).unwrap();
        let error = check_metrics(one.path()).unwrap_err();
        assert!(
            error.is_mendable() && error.to_string().contains(&second.timeline),
            "{error}"
        );
        // A part of them: swapped in, or appended.
        let own = text_of(&first.timeline, &["e0", "1", "2", "3"]);
        for foreign in [["e0", "1", "2", "3"], ["e0", "1", "2", "9"]].iter().flat_map(|words| {
            [1, 2, 3].map(|from| own[..from].concat() + &text_of(&second.timeline, words)[from..].concat())
        }) {
            std::fs::write(one.path().join(METRICS), &foreign).unwrap();
            let text = check_metrics(one.path()).unwrap_err().to_string();
            let line = foreign
                .lines()
                .position(|line| line.contains(&second.timeline))
                .unwrap()
                + 1;
            assert!(
                text.contains(&format!("from line {line} on")) && text.contains(&second.timeline),
                "{text}"
            );
        }
        std::fs::write(one.path().join(METRICS), own.concat()).unwrap();
        check_metrics(one.path()).unwrap();
        std::fs::copy(other.path().join(METRICS), one.path().join(METRICS)).unwrap();
        // What older versions wrote tells nothing, and is taken as it is.
        adapter(&one.path().join("final"), None, 3);
        check_folder(one.path(), &one.path().join("final")).unwrap();
        std::fs::remove_file(one.path().join(RUN)).unwrap();
        check_metrics(one.path()).unwrap();
        assert_eq!(run_id(&one.path().join("checkpoints")), None);
    }

    #[test]
    fn a_fork_has_the_work_up_to_its_step_and_no_more() {
        let (home, identity) = run(4);
        let mut fork = identity.forked(2);
        assert!(fork.id != identity.id && fork.id == fork.timeline);
        let of = |run: &Identity, step| run.has(Some(&identity.timeline), step);
        assert_eq!([1, 2, 3].map(|step| of(&fork, step)), [true, true, false]);
        // A second fork of the fork at an earlier step has less.
        assert_eq!([1, 2].map(|step| of(&fork.forked(1), step)), [true, false]);
        // In place the id stays; what the timeline that ended here did later is that of another.
        let id = fork.id.clone();
        let timeline = fork.timeline.clone();
        fork.turn(3);
        assert!(fork.id == id && fork.timeline != timeline);
        assert_eq!([3, 4].map(|step| fork.has(Some(&timeline), step)), [true, false]);
        // Metrics of the whole run in the folder of the fork.
        let folder = tempfile::tempdir().unwrap();
        identity.forked(2).write(folder.path()).unwrap();
        std::fs::copy(home.path().join(METRICS), folder.path().join(METRICS)).unwrap();
        assert!(check_metrics(folder.path()).is_err());
        MetricsWriter::resume(folder.path(), 2, true).unwrap();
        check_metrics(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_of_a_folder_is_a_run_of_its_own_and_a_moved_one_is_not() {
        let (home, identity) = run(2);
        let moved = home.path().with_extension("moved");
        std::fs::rename(home.path(), &moved).unwrap();
        assert_eq!(Identity::of(&moved).unwrap().id, identity.id);
        assert_eq!(copied_from(&moved), None);
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(moved.join(RUN), copy.path().join(RUN)).unwrap();
        let found = Identity::of(copy.path()).unwrap();
        assert!(found.id != identity.id && found.has(Some(&identity.timeline), 2));
        assert_eq!(copied_from(copy.path()).as_ref(), Some(&identity.id));
        // Two file systems number their folders alike.
        let mut alike = Identity::read(copy.path()).unwrap().unwrap();
        alike.folder = number(copy.path());
        std::fs::write(copy.path().join(RUN), serde_json::to_string(&alike).unwrap()).unwrap();
        assert_eq!(copied_from(copy.path()), Some(identity.id));
        // Once it goes on it is a run like others.
        Identity::of(copy.path()).unwrap().write(copy.path()).unwrap();
        assert_eq!(copied_from(copy.path()), None);
        std::fs::rename(&moved, home.path()).unwrap();
    }

    #[test]
    fn a_folder_of_an_older_version_has_a_name_that_stays() {
        let (home, identity) = run(2);
        std::fs::remove_file(home.path().join(RUN)).unwrap();
        let mut found = Identity::of(home.path()).unwrap();
        assert_eq!(Some(&found.id), run_id(home.path()).as_ref());
        assert!(
            found.has(Some(&identity.timeline), 2),
            "it wrote the checkpoints that are there"
        );
        found.write(home.path()).unwrap();
        assert_eq!(Identity::of(home.path()).unwrap(), found);
        check_metrics(home.path()).unwrap();
        for text in ["", "{}", r#"{"id":"x","timeline":"0123456789abcdef"}"#] {
            std::fs::write(home.path().join(RUN), text).unwrap();
            let error = Identity::of(home.path()).unwrap_err();
            assert!(
                error.is_mendable() && error.to_string().contains("remove it"),
                "{error}"
            );
            assert_eq!(run_id(home.path()), None);
        }
    }
}
