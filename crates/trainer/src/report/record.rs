//! Episodes on disk: `episodes/eval-STEP/NNN/episode.json` with a picture a turn beside it.

use super::write::{ReportError, io};
use cua_grpo_core::{Ending, Episode, Task};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One episode, as `episode.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
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
    /// The reward.
    pub reward: f32,
    /// Why the episode ended.
    pub ending: Ending,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The turns, in order.
    pub turns: Vec<TurnRecord>,
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
}

/// Writes an episode of the evaluation after `step` as number `index`, and returns its folder.
pub fn save_episode(
    run_dir: &Path,
    step: usize,
    index: usize,
    task: &Task,
    episode: &Episode,
) -> Result<PathBuf, ReportError> {
    let folder = run_dir.join(format!("episodes/eval-{step}/{index:03}"));
    std::fs::create_dir_all(&folder).map_err(io("create", &folder))?;
    let mut turns = Vec::new();
    for (number, turn) in episode.turns.iter().enumerate() {
        let mut screenshot = None;
        if let Some(image) = &turn.screenshot {
            let extension = if image.bytes.starts_with(&[0xFF, 0xD8]) {
                "jpg"
            } else {
                "png"
            };
            let name = format!("turn-{number}.{extension}");
            let path = folder.join(&name);
            std::fs::write(&path, &image.bytes).map_err(io("write", &path))?;
            screenshot = Some(name);
        }
        turns.push(TurnRecord {
            screenshot,
            reply: turn.reply.clone(),
            summary: turn.action.summary.clone(),
            points: turn.action.points.clone(),
            error: turn.action.error.clone(),
        });
    }
    let record = EpisodeRecord {
        task: task.id.clone(),
        template: task.template.clone(),
        instruction: task.instruction.clone(),
        success: episode.facts.verified,
        claimed: episode.facts.claimed,
        reward: episode.reward,
        ending: episode.ending,
        seconds: episode.seconds,
        turns,
    };
    let path = folder.join("episode.json");
    let text = serde_json::to_string_pretty(&record).map_err(|error| ReportError::Record {
        path: path.clone(),
        message: error.to_string(),
    })?;
    std::fs::write(&path, text).map_err(io("write", &path))?;
    Ok(folder)
}

/// The evaluations of a run whose episodes were saved, as step and folder, by step.
pub fn eval_folders(run_dir: &Path) -> Vec<(usize, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(run_dir.join("episodes")) else {
        return Vec::new();
    };
    let paths = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir());
    let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("eval-")?.parse().ok();
    let mut found: Vec<(usize, PathBuf)> = paths.filter_map(|path| Some((step(&path)?, path))).collect();
    found.sort();
    found
}

/// The episodes of one evaluation with their folders, by number.
pub fn load_episodes(folder: &Path) -> Result<Vec<(PathBuf, EpisodeRecord)>, ReportError> {
    let entries = std::fs::read_dir(folder).map_err(io("list", folder))?;
    let mut folders: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let mut episodes = Vec::new();
    for folder in folders {
        let path = folder.join("episode.json");
        let text = std::fs::read_to_string(&path).map_err(io("read", &path))?;
        let record = serde_json::from_str(&text).map_err(|error| ReportError::Record {
            path: path.clone(),
            message: error.to_string(),
        })?;
        episodes.push((folder, record));
    }
    Ok(episodes)
}
