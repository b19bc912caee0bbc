//! Checkpoints of a run: adapter, optimiser, step, task cursor and what early stopping remembers.
//!
//! A checkpoint is written into a folder of another name and renamed when it is whole; a list of checksums tells later
//! damage. All random numbers of a run are derived from its seed, the step and the place in the step, so there is no
//! generator state to save. Each checkpoint holds the best model of its time (as links to the same files), so a run that
//! goes on from it goes on with that one.

use crate::config::{TrainConfig, to_yaml};
use crate::files::{CHECKSUMS, Limit, discard, link_file, link_folder, ops, read_text, replace_folder, seal, unlisted};
use crate::layout::{BEST, CHECKPOINTS, CONFIG, MOMENTS, MOST_STEPS, STATE, list};
use crate::learner::Learner;
use crate::provenance::{Base, PROVENANCE, Provenance};
use anyhow::{Context, Result, anyhow};
use cua_grpo_algo::{AdamWState, Moments, Standing};
use cua_grpo_model::checkpoint::{TensorBytes, TensorFiles, write_safetensors};
use cua_grpo_model::lora::{LoraConfig, load_adapter, save_adapter};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Files of an adapter folder, which a checkpoint has among others.
const ADAPTER: [&str; 4] = ["adapter_config.json", "adapter_model.safetensors", PROVENANCE, CONFIG];

/// What a run remembers besides its weights and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// Steps done.
    pub global_step: usize,
    /// Updates the optimiser has made; steps without a usable group make none.
    pub updates: u64,
    /// Version of the adapter.
    pub policy_version: u64,
    /// Number of the first task that is not done: trained on, or found to teach nothing.
    pub task_cursor: u64,
    /// Later tasks that are done as well: a stream gives groups as they become whole. What was begun and is not done is
    /// played again by a run that goes on from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done_ahead: Vec<u64>,
    /// Best success rate of an evaluation so far.
    pub best_accuracy: Option<f64>,
    /// The step of that evaluation.
    pub best_step: usize,
    /// Evaluations since.
    pub evals_without_improvement: usize,
    /// Updates that were left out since the last that was made, because their gradient was not finite.
    #[serde(default)]
    pub skipped_in_a_row: usize,
    /// Whether the evaluation at `global_step` was made before saving.
    pub evaluated: bool,
    /// Success rate of the evaluation at `global_step`, when it was made and is complete.
    #[serde(default)]
    pub accuracy: Option<f64>,
    /// The task set of the evaluations that `best_accuracy` compares.
    #[serde(default)]
    pub task_set: Option<String>,
    /// How the templates stand, for `curriculum_failures` and `curriculum_solved`.
    #[serde(default, skip_serializing_if = "Standing::is_empty")]
    pub standing: Standing,
}

impl TrainingState {
    /// Whether a run can have come to these numbers: none is at the end of its range.
    ///
    /// # Errors
    /// Words that name the first one that cannot be.
    fn check(&self) -> Result<(), String> {
        let steps = MOST_STEPS as u64;
        // A step has at most a thousand updates and 65,536 tasks, as the bounds of the keys say.
        for (name, value, most) in [
            ("global_step", self.global_step as u64, steps),
            ("best_step", self.best_step as u64, steps),
            (
                "evals_without_improvement",
                self.evals_without_improvement as u64,
                steps,
            ),
            ("skipped_in_a_row", self.skipped_in_a_row as u64, steps * 1000),
            ("updates", self.updates, steps * 1000),
            ("policy_version", self.policy_version, steps * 1000),
            ("task_cursor", self.task_cursor, steps * 65_536),
        ] {
            if value > most {
                return Err(format!("`{name}` is {value}, which cannot be"));
            }
        }
        for (name, rate) in [("best_accuracy", self.best_accuracy), ("accuracy", self.accuracy)] {
            if let Some(rate) = rate.filter(|rate| !(0.0..=1.0).contains(rate)) {
                return Err(format!("`{name}` is {rate}, which is no rate"));
            }
        }
        Ok(())
    }
}

/// Writes checkpoints below one run folder.
pub struct Checkpoints {
    /// The run folder.
    pub run_dir: PathBuf,
    /// Hyperparameters of the adapter.
    pub lora: LoraConfig,
    /// The base model.
    pub base: Base,
    /// The timeline that is written, see [`Identity`](crate::run_dir::Identity).
    pub timeline: String,
    /// The configuration, which goes into every folder.
    pub config: TrainConfig,
}

impl Checkpoints {
    /// Writes `checkpoints/checkpoint-STEP` and deletes the oldest beyond `keep` (0 keeps all).
    pub fn save(&self, learner: &Learner, state: &TrainingState, keep: usize) -> Result<PathBuf> {
        self.save_with(|partial| self.write_learner(learner, partial), state, keep)
    }

    /// Writes weights and moments into a folder in the making.
    pub(crate) fn write_learner(&self, learner: &Learner, partial: &Path) -> Result<()> {
        self.write_weights(learner, partial)?;
        write_moments(&learner.adamw.export()?, &partial.join(MOMENTS))
    }

    /// [`Checkpoints::save`] with weights and moments that `weights` writes into the folder.
    pub(crate) fn save_with(
        &self,
        weights: impl FnOnce(&Path) -> Result<()>,
        state: &TrainingState,
        keep: usize,
    ) -> Result<PathBuf> {
        let folder = self
            .run_dir
            .join(CHECKPOINTS)
            .join(format!("checkpoint-{}", state.global_step));
        replace_folder(&folder, |partial| {
            weights(partial)?;
            self.describe(state.global_step, partial)?;
            let path = partial.join(STATE);
            ops::write(&path, serde_json::to_string_pretty(state)?.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            let best = self.run_dir.join(BEST);
            if best.is_dir() {
                link_folder(&best, &partial.join(BEST))?;
            }
            seal(partial)
        })?;
        self.prune(keep)?;
        Ok(folder)
    }

    /// Deletes the oldest checkpoints beyond `keep` (0 keeps all).
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn prune(&self, keep: usize) -> Result<()> {
        let all = list(&self.run_dir)?;
        let more = if keep > 0 { all.len().saturating_sub(keep) } else { 0 };
        all.iter().take(more).try_for_each(|(_, old)| discard(old))
    }

    /// Writes the adapter alone into a folder of the run ([`BEST`], [`FINAL`](crate::layout::FINAL)).
    pub fn save_adapter(&self, learner: &Learner, step: usize, name: &str) -> Result<PathBuf> {
        self.save_adapter_with(|partial| self.write_weights(learner, partial), step, name)
    }

    /// [`Checkpoints::save_adapter`] with weights that `weights` writes into the folder.
    pub(crate) fn save_adapter_with(
        &self,
        weights: impl FnOnce(&Path) -> Result<()>,
        step: usize,
        name: &str,
    ) -> Result<PathBuf> {
        let folder = self.run_dir.join(name);
        replace_folder(&folder, |partial| {
            weights(partial)?;
            self.describe(step, partial)?;
            seal(partial)
        })?;
        Ok(folder)
    }

    /// Makes the adapter of the checkpoint of `step` the best model.
    pub fn take_best(&self, step: usize) -> Result<()> {
        let checkpoint = self.run_dir.join(CHECKPOINTS).join(format!("checkpoint-{step}"));
        replace_folder(&self.run_dir.join(BEST), |partial| {
            for name in ADAPTER {
                let path = checkpoint.join(name);
                if path.is_file() {
                    link_file(&path, &partial.join(name))?;
                }
            }
            seal(partial)
        })
    }

    /// Keeps the best model, which another task set chose, under a name of its own: `best_model-STEP`.
    pub fn keep_best(&self, step: usize) -> Result<PathBuf> {
        let kept = self.run_dir.join(format!("{BEST}-{step}"));
        let best = self.run_dir.join(BEST);
        if best.is_dir() {
            replace_folder(&kept, |partial| link_folder(&best, partial))?;
        }
        Ok(kept)
    }

    fn write_weights(&self, learner: &Learner, partial: &Path) -> Result<()> {
        Ok(save_adapter(
            learner.policy.model(),
            &self.lora,
            &self.base.name,
            partial,
        )?)
    }

    /// Writes beside an adapter where it is from.
    fn describe(&self, step: usize, partial: &Path) -> Result<()> {
        let provenance = Provenance {
            step,
            run: Some(self.timeline.clone()),
            base: self.base.clone(),
        };
        provenance.write(partial)?;
        let path = partial.join(CONFIG);
        ops::write(&path, to_yaml(&self.config)?.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Reads the state of a checkpoint.
///
/// # Errors
/// When the file cannot be read or is broken.
pub fn read_state(folder: &Path) -> Result<TrainingState> {
    let path = folder.join(STATE);
    let text = read_text(&path, Limit::SMALL).with_context(|| format!("cannot read {}", path.display()))?;
    let broken = || format!("{} is broken; use an older checkpoint", path.display());
    let state: TrainingState = serde_json::from_str(&text).with_context(broken)?;
    state.check().map_err(|words| anyhow!("{words}")).with_context(broken)?;
    Ok(state)
}

/// Loads a checkpoint folder onto `learner`.
///
/// # Errors
/// When a file is missing or broken, or belongs to another adapter than `lora`.
pub fn load(learner: &mut Learner, folder: &Path) -> Result<TrainingState> {
    let broken = || format!("{} is not a whole checkpoint; use an older one", folder.display());
    load_adapter(learner.policy.model_mut(), folder).with_context(broken)?;
    let state = read_state(folder)?;
    let moments = read_moments(learner, state.updates, &folder.join(MOMENTS)).with_context(broken)?;
    learner.adamw.import(&moments)?;
    Ok(state)
}

/// A line for each folder of an adapter that a run wrote and that cannot be checked for damage.
pub fn not_verified(folder: &Path) -> Vec<String> {
    let line = |folder: &PathBuf| {
        format!(
            "not verified: {} has no {CHECKSUMS} (it was removed, or an older version wrote the folder), so damage to its \
             files would not be noticed",
            folder.display()
        )
    };
    unlisted(folder, &[BEST]).iter().map(line).collect()
}

/// The step of an adapter folder of a run; `None` where it does not tell.
pub fn step_of(folder: &Path) -> Option<usize> {
    let there = folder.join(PROVENANCE).is_file();
    // A broken file tells no step either; whoever uses the adapter is told.
    there.then(|| {
        Provenance::read(folder)
            .ok()
            .flatten()
            .map(|provenance| provenance.step)
    })?
}

fn write_moments(state: &AdamWState, path: &Path) -> Result<()> {
    let mut tensors = Vec::new();
    for (name, moments) in &state.moments {
        for (kind, values) in [("exp_avg", &moments.first), ("exp_avg_sq", &moments.second)] {
            tensors.push((format!("{name}.{kind}"), TensorBytes::f32(vec![values.len()], values)));
        }
    }
    Ok(write_safetensors(path, &tensors)?)
}

fn read_moments(learner: &Learner, step: u64, path: &Path) -> Result<AdamWState> {
    let files = TensorFiles::open_files(vec![path.to_path_buf()])?;
    // One that cannot be would be in every weight after the next update.
    let read = |name: String, can_be: fn(f32) -> bool| -> Result<Vec<f32>> {
        let found = files.get(&name)?;
        let values = found.with_context(|| format!("{} lacks {name}", path.display()))?.1;
        match values.iter().find(|value| !can_be(**value)) {
            Some(value) => anyhow::bail!("{}: {name} holds {value}, which no update leaves", path.display()),
            None => Ok(values),
        }
    };
    let mut state = AdamWState {
        step,
        ..Default::default()
    };
    for name in learner.adamw.layout().names() {
        let moments = Moments {
            first: read(format!("{name}.exp_avg"), f32::is_finite)?,
            second: read(format!("{name}.exp_avg_sq"), |value| value >= 0.0 && value.is_finite())?,
        };
        state.moments.insert(name.clone(), moments);
    }
    Ok(state)
}
