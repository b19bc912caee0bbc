//! Checkpoints of a run: adapter, optimiser, step, task cursor and what early stopping remembers.
//!
//! A checkpoint is written into a folder of another name and renamed when it is whole. All random numbers of a run are
//! derived from its seed, the step and the place in the step, so there is no generator state to save.

use crate::learner::Learner;
use anyhow::{Context, Result};
use cua_grpo_algo::{AdamWState, Moments};
use cua_grpo_model::checkpoint::{TensorBytes, TensorFiles, write_safetensors};
use cua_grpo_model::lora::{LoraConfig, load_adapter, save_adapter};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a run remembers besides its weights and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// Steps done.
    pub global_step: usize,
    /// Updates the optimiser has made; steps without a usable group make none.
    pub updates: u64,
    /// Version of the adapter.
    pub policy_version: u64,
    /// Number of the next task.
    pub task_cursor: u64,
    /// Best success rate of an evaluation so far.
    pub best_accuracy: Option<f64>,
    /// The step of that evaluation.
    pub best_step: usize,
    /// Evaluations since.
    pub evals_without_improvement: usize,
    /// Whether the evaluation at `global_step` was made before saving.
    pub evaluated: bool,
}

/// Writes checkpoints below one run folder.
pub struct Checkpoints {
    /// The run folder.
    pub run_dir: PathBuf,
    /// Hyperparameters of the adapter.
    pub lora: LoraConfig,
    /// Name of the base model.
    pub base: String,
}

impl Checkpoints {
    /// Writes `checkpoints/checkpoint-STEP` and deletes the oldest beyond `keep` (0 keeps all).
    pub fn save(&self, learner: &mut Learner, state: &TrainingState, keep: usize) -> Result<PathBuf> {
        let parent = self.run_dir.join(crate::resume::CHECKPOINTS);
        let folder = parent.join(format!("checkpoint-{}", state.global_step));
        let partial = parent.join(format!("partial-{}", state.global_step));
        remove(&partial)?;
        save_adapter(learner.policy.model_mut(), &self.lora, &self.base, &partial)?;
        write_moments(&learner.adamw.export()?, &partial.join("optimizer.safetensors"))?;
        let path = partial.join("training_state.json");
        std::fs::write(&path, serde_json::to_string_pretty(state)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        remove(&folder)?;
        std::fs::rename(&partial, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
        let all = crate::resume::list(&self.run_dir);
        if keep > 0 {
            for (_, old) in all.iter().take(all.len().saturating_sub(keep)) {
                remove(old)?;
            }
        }
        Ok(folder)
    }

    /// Writes the adapter alone into a folder of the run (`best_model`, `final`).
    pub fn save_adapter(&self, learner: &mut Learner, name: &str) -> Result<PathBuf> {
        let folder = self.run_dir.join(name);
        let partial = self.run_dir.join(format!(".{name}.partial"));
        remove(&partial)?;
        save_adapter(learner.policy.model_mut(), &self.lora, &self.base, &partial)?;
        remove(&folder)?;
        std::fs::rename(&partial, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
        Ok(folder)
    }
}

/// Loads a checkpoint folder onto `learner`.
pub fn load(learner: &mut Learner, folder: &Path) -> Result<TrainingState> {
    let broken = || format!("{} is not a whole checkpoint; use an older one", folder.display());
    load_adapter(learner.policy.model_mut(), folder).with_context(broken)?;
    let path = folder.join("training_state.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let state: TrainingState = serde_json::from_str(&text).with_context(broken)?;
    let moments = read_moments(learner, state.updates, &folder.join("optimizer.safetensors")).with_context(broken)?;
    learner.adamw.import(&moments)?;
    Ok(state)
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
    let read = |name: String| -> Result<Vec<f32>> {
        let found = files.get(&name)?;
        Ok(found.with_context(|| format!("{} lacks {name}", path.display()))?.1)
    };
    let mut state = AdamWState {
        step,
        ..Default::default()
    };
    for name in learner.adamw.layout().names() {
        let moments = Moments {
            first: read(format!("{name}.exp_avg"))?,
            second: read(format!("{name}.exp_avg_sq"))?,
        };
        state.moments.insert(name.clone(), moments);
    }
    Ok(state)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
