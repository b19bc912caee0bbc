//! Episodes on disk: `episodes/eval-STEP/NNN/episode.json`, `train-STEP` for training, with a picture a turn beside it.

use crate::files::{FileError, Limit, io, make_folders, ops, read_within};
use crate::layout::EPISODES;
use crate::run_dir::Identity;
use cua_grpo_core::{CheckOutcome, Ending, Episode, Image, StopReason, Task};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An episode that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EpisodeError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A saved episode is broken.
    #[error("cannot use `{}`: {message}. Remove that episode's folder to leave it out", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl EpisodeError {
    /// Whether the user can mend it, as opposed to a disk that fails.
    pub fn is_mendable(&self) -> bool {
        match self {
            Self::File(error) => error.is_mendable(),
            Self::Record { .. } => true,
        }
    }
}

/// Which run saved an episode, and of which of its steps.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The timeline, see [`Identity`].
    pub run: &'a str,
    /// The step.
    pub step: usize,
}

/// One episode, as `episode.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// The timeline of the run that saved it; this and the next are absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The step that it was played for, or evaluates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Id of the task instance.
    pub task: String,
    /// Template of the task.
    pub template: String,
    /// What was asked for.
    pub instruction: String,
    /// The device's state fulfilled the task at the end.
    pub success: bool,
    /// What the policy claimed; null when it made no report.
    pub claimed: Option<bool>,
    /// What it said in its report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What it changed although the task did not ask for it; null where the environment could not tell.
    #[serde(default)]
    pub side_effects: Option<Vec<String>>,
    /// The reward.
    pub reward: f32,
    /// What the episode counted for in training; null where it was not trained on.
    #[serde(default)]
    pub advantage: Option<f32>,
    /// What decided `success`: what was looked at, what it had to be, what it was.
    #[serde(default)]
    pub checks: Vec<CheckOutcome>,
    /// Why the episode ended.
    pub ending: Ending,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The turns, in order.
    pub turns: Vec<TurnRecord>,
    /// File name of what the device showed after the last action; null when the last turn's picture is that already,
    /// because a report changes nothing.
    #[serde(default)]
    pub last_screenshot: Option<String>,
}

/// One turn of an episode.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// File name of what the policy saw.
    pub screenshot: Option<String>,
    /// The reply, as sampled.
    pub reply: String,
    /// What the reply did, in words.
    pub summary: String,
    /// Where the device was touched, in screenshot pixels; two points for a swipe.
    pub points: Vec<(f64, f64)>,
    /// Why the reply could not be carried out.
    pub error: Option<String>,
    /// The reply was cut off before the policy stopped.
    #[serde(default)]
    pub truncated: bool,
    /// Number of the episode's row that the reply stands in: above 0 where the context was cut back before.
    #[serde(default, skip_serializing_if = "is_first")]
    pub row: usize,
}

/// Whether a turn stands in the first row of its episode, which is not written: files from before there were more have none.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) fn is_first(row: &usize) -> bool {
    *row == 0
}

/// Where the episodes of a step are.
///
/// All are below `episodes/` of the run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Those of the evaluation after a step.
    Eval,
    /// A sample of those that a step was trained on.
    Train,
    /// All that a step was trained on, see [`crate::record`].
    Record,
}

impl Saved {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Eval, Self::Train, Self::Record];

    fn prefix(self) -> &'static str {
        match self {
            Self::Eval => "eval-",
            Self::Train => "train-",
            Self::Record => "record-",
        }
    }

    /// The folder for the episodes of `step`.
    pub fn folder(self, run_dir: &Path, step: usize) -> PathBuf {
        run_dir.join(EPISODES).join(format!("{}{step}", self.prefix()))
    }

    /// The folders of a run that hold saved episodes, with their steps, by step.
    pub fn folders(self, run_dir: &Path) -> Vec<(usize, PathBuf)> {
        let Ok(entries) = std::fs::read_dir(run_dir.join(EPISODES)) else {
            return Vec::new();
        };
        let paths = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir());
        // As a run writes it: `eval-+7` and `eval-007` are none of its own.
        let step = |path: &Path| {
            let digits = path.file_name()?.to_str()?.strip_prefix(self.prefix())?;
            digits.parse().ok().filter(|step: &usize| step.to_string() == digits)
        };
        let mut found: Vec<(usize, PathBuf)> = paths.filter_map(|path| Some((step(&path)?, path))).collect();
        found.sort();
        found
    }
}

/// Writes an episode into `folder`, one of [`Saved::folder`], as number `index`, and returns its own folder.
/// `played` is the task, the episode, and what it counted for in training.
///
/// # Errors
/// When a file cannot be written.
pub fn save_episode(
    folder: &Path,
    index: usize,
    (task, episode, advantage): (&Task, &Episode, Option<f32>),
    mark: Option<Mark<'_>>,
) -> Result<PathBuf, EpisodeError> {
    let folder = folder.join(format!("{index:03}"));
    make_folders(&folder).map_err(io("create", &folder))?;
    let mut turns = Vec::new();
    for (number, turn) in episode.turns.iter().enumerate() {
        let screenshot = turn.screenshot.as_ref();
        turns.push(TurnRecord {
            screenshot: screenshot
                .map(|image| save_image(&folder, &format!("turn-{number}"), image))
                .transpose()?,
            reply: turn.reply.clone(),
            summary: turn.action.summary.clone(),
            points: turn.action.points.clone(),
            error: turn.action.error.clone(),
            truncated: turn.stop != StopReason::Stop,
            row: turn.row,
        });
    }
    let last = episode.last_screenshot.as_ref();
    let record = EpisodeRecord {
        run: mark.map(|mark| mark.run.to_owned()),
        step: mark.map(|mark| mark.step),
        task: task.id.clone(),
        template: task.template.clone(),
        instruction: task.instruction.clone(),
        success: episode.facts.verified,
        claimed: episode.facts.claimed,
        report: episode.facts.report.clone(),
        side_effects: episode.facts.side_effects.clone(),
        reward: episode.reward,
        advantage,
        checks: episode.facts.checks.clone(),
        ending: episode.ending,
        seconds: episode.seconds,
        turns,
        last_screenshot: last.map(|image| save_image(&folder, "last", image)).transpose()?,
    };
    let path = folder.join("episode.json");
    let text = serde_json::to_string_pretty(&record).map_err(|error| EpisodeError::Record {
        path: path.clone(),
        message: error.to_string(),
    })?;
    ops::write(&path, text.as_bytes()).map_err(io("write", &path))?;
    Ok(folder)
}

/// Writes a picture as `NAME.png` or `NAME.jpg` and returns the file's name.
fn save_image(folder: &Path, name: &str, image: &Image) -> Result<String, EpisodeError> {
    let extension = if image.bytes.starts_with(&[0xFF, 0xD8]) {
        "jpg"
    } else {
        "png"
    };
    let name = format!("{name}.{extension}");
    let path = folder.join(&name);
    ops::write(&path, &image.bytes).map_err(io("write", &path))?;
    Ok(name)
}

/// Most episodes of a folder: a run saves no more.
const MOST_EPISODES: usize = 10_000;

/// The episodes of one of [`Saved::folders`] of the run in `run_dir` with their own folders, by number. Files that lie
/// outside the run folder are none of its own.
///
/// # Errors
/// When a file cannot be read, lies elsewhere, or is no episode.
pub fn load_episodes(run_dir: &Path, folder: &Path) -> Result<Vec<(PathBuf, EpisodeRecord)>, EpisodeError> {
    let entries = std::fs::read_dir(folder).map_err(io("list", folder))?;
    let mut folders: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .take(MOST_EPISODES)
        .collect();
    folders.sort();
    let mut episodes = Vec::new();
    for folder in folders {
        let path = folder.join("episode.json");
        let text = read_within(run_dir, &path, Limit::RECORD).map_err(io("read", &path))?;
        let record = serde_json::from_slice(&text).map_err(|error| EpisodeError::Record {
            path: path.clone(),
            message: error.to_string(),
        })?;
        episodes.push((folder, record));
    }
    Ok(episodes)
}

/// The saved episodes of a step that a run has, and how many others lie among them.
#[derive(Debug, Default)]
pub struct OwnEpisodes {
    /// Those of the run with their own folders, by number.
    pub own: Vec<(PathBuf, EpisodeRecord)>,
    /// Those that another run saved, or that are of another step: someone has put them there.
    pub others: usize,
}

/// The saved episodes of `step` of the run `identity` in `run_dir`. Episodes of older versions do not say whose they are
/// and are taken as they are, and so are all where no run is known.
///
/// # Errors
/// As [`load_episodes`].
pub fn own_episodes(
    run_dir: &Path,
    identity: Option<&Identity>,
    saved: Saved,
    step: usize,
) -> Result<OwnEpisodes, EpisodeError> {
    let folder = saved.folder(run_dir, step);
    if !folder.is_dir() {
        return Ok(OwnEpisodes::default());
    }
    let of_run = |record: &EpisodeRecord| identity.is_none_or(|run| run.has(record.run.as_deref(), step));
    let is_own = |record: &EpisodeRecord| record.step.is_none_or(|found| found == step) && of_run(record);
    let (own, others): (Vec<_>, Vec<_>) = load_episodes(run_dir, &folder)?
        .into_iter()
        .partition(|(_, record)| is_own(record));
    let others = others.len();
    Ok(OwnEpisodes { own, others })
}

/// The picture `name` of an episode in `folder`, which a run in `run_dir` saved beside its record.
///
/// # Errors
/// [`EpisodeError::Record`] when the name leads out of the folder; when the file cannot be read, is too large, or lies
/// outside the run folder behind a link.
pub fn load_picture(run_dir: &Path, folder: &Path, name: &str) -> Result<Vec<u8>, EpisodeError> {
    let path = folder.join(name);
    let mut parts = Path::new(name).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(std::path::Component::Normal(_)), None)
    );
    if !plain {
        return Err(EpisodeError::Record {
            path: folder.join("episode.json"),
            message: format!("the picture `{name}` is not the name of a file beside it"),
        });
    }
    Ok(read_within(run_dir, &path, Limit::RECORD).map_err(io("read", &path))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_core::{Facts, Row};

    #[test]
    fn episodes_of_another_run_or_step_are_told_apart_and_older_ones_are_taken() {
        let home = tempfile::tempdir().unwrap();
        let (run, other) = (Identity::new(), Identity::new());
        let (task, episode) = (
            Task::new("task/1", "do it"),
            Episode::new(0, Ending::Reported, Facts::default(), Row::new(1.0)),
        );
        let marks = [(&run, 2), (&other, 2), (&run, 1)].map(|(run, step)| {
            Some(Mark {
                run: &run.timeline,
                step,
            })
        });
        let folder = Saved::Eval.folder(home.path(), 2);
        for (index, mark) in marks.into_iter().chain([None]).enumerate() {
            save_episode(&folder, index, (&task, &episode, None), mark).unwrap();
        }
        let of = |identity: Option<&Identity>| {
            let found = own_episodes(home.path(), identity, Saved::Eval, 2).unwrap();
            let numbers = found
                .own
                .iter()
                .map(|(folder, _)| folder.file_name().unwrap().to_owned());
            (numbers.collect::<Vec<_>>(), found.others)
        };
        assert_eq!(of(Some(&run)), (vec!["000".into(), "003".into()], 2));
        // A fork after that step has them, one before it has not.
        assert_eq!(of(Some(&run.forked(2))).1, 2);
        assert_eq!(of(Some(&run.forked(1))), (vec!["003".into()], 3));
        assert_eq!(of(None).1, 1, "no run is known, but the step is");
        let none = own_episodes(home.path(), Some(&run), Saved::Train, 2).unwrap();
        assert!(none.own.is_empty() && none.others == 0);
        for name in ["eval-02", "eval-+2", "eval-x"] {
            std::fs::create_dir(home.path().join("episodes").join(name)).unwrap();
        }
        assert_eq!(Saved::Eval.folders(home.path()), [(2, folder)]);
    }
}
