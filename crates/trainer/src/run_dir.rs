//! The run folder: where a run's files go, and that an earlier run is never written over.

use crate::config::{TrainConfig, to_yaml};
use crate::eval::EvalResult;
use crate::metrics::{METRICS, MetricsWriter};
use crate::report::save_episode;
use crate::resume::ResumePoint;
use anyhow::{Context, Result};
use cua_grpo_core::Group;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Log of training episodes, a line each.
const TRAIN_LOG: &str = "episodes/train.jsonl";

/// An open run folder.
pub struct RunDir {
    path: PathBuf,
    /// `metrics.jsonl`.
    pub metrics: MetricsWriter,
}

impl RunDir {
    /// Makes the folder of a new run. Where one stands already, a number is put behind the name.
    pub fn create(config: &TrainConfig) -> Result<Self> {
        let wanted = PathBuf::from(&config.output_dir);
        let mut path = wanted.clone();
        let mut number = 1;
        while path.join(METRICS).exists() {
            number += 1;
            path = PathBuf::from(format!("{}-{number}", config.output_dir.trim_end_matches('/')));
        }
        let created = std::fs::create_dir_all(path.join("episodes"));
        created.with_context(|| {
            format!(
                "cannot create the run folder {}; choose another --output-dir",
                path.display()
            )
        })?;
        let mut saved = config.clone();
        saved.output_dir = path.display().to_string();
        let file = path.join("config.yaml");
        std::fs::write(&file, to_yaml(&saved)?).with_context(|| format!("cannot write {}", file.display()))?;
        let metrics = MetricsWriter::create(&path)?;
        Ok(Self { path, metrics })
    }

    /// Opens the folder of a run that goes on; what was logged after the checkpoint is cut off.
    pub fn resume(config: &TrainConfig, point: &ResumePoint, evaluated: bool) -> Result<Self> {
        let path = point.run_dir.clone();
        let metrics = MetricsWriter::resume(&path, point.step, evaluated)?;
        let file = path.join("config.yaml");
        std::fs::write(&file, to_yaml(config)?).with_context(|| format!("cannot write {}", file.display()))?;
        let log = path.join(TRAIN_LOG);
        if let Ok(text) = std::fs::read_to_string(&log) {
            let kept = text.lines().filter(|line| {
                let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
                value
                    .and_then(|value| value.get("step")?.as_u64())
                    .is_some_and(|step| step <= point.step as u64)
            });
            let kept: String = kept.map(|line| format!("{line}\n")).collect();
            std::fs::write(&log, kept).with_context(|| format!("cannot write {}", log.display()))?;
        }
        Ok(Self { path, metrics })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Saves the first `count` episodes of an evaluation with their screenshots, replacing those of an earlier one.
    pub fn save_episodes(&self, step: usize, result: &EvalResult, count: usize) -> Result<()> {
        let folder = self.path.join(format!("episodes/eval-{step}"));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot replace {}", folder.display()))?;
        }
        for (index, (task, episode)) in result.episodes.iter().take(count).enumerate() {
            save_episode(&self.path, step, index, task, episode)?;
        }
        Ok(())
    }

    /// Appends a line for every training episode of a step.
    pub fn log_episodes(&self, step: usize, groups: &[Group], enabled: bool) -> Result<()> {
        if !enabled {
            return Ok(());
        }
        let path = self.path.join(TRAIN_LOG);
        let mut lines = String::new();
        for group in groups {
            for episode in &group.episodes {
                let actions: Vec<&str> = episode.turns.iter().map(|turn| turn.action.summary.as_str()).collect();
                let line = serde_json::json!({
                    "step": step,
                    "task": group.task.id,
                    "attempt": episode.attempt,
                    "reward": episode.reward,
                    "verified": episode.facts.verified,
                    "claimed": episode.facts.claimed,
                    "ending": episode.ending,
                    "tokens": episode.row.trained_tokens(),
                    "actions": actions,
                });
                lines.push_str(&format!("{line}\n"));
            }
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
        written.with_context(|| format!("cannot append to {}", path.display()))
    }
}
