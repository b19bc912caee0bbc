//! Where a run begins: in a new folder, or at a checkpoint that it may go on from.

use super::history::History;
use super::verdict::Closed;
use crate::adapter::short;
use crate::checkpoint::{TrainingState, load, read_state};
use crate::compare::task_set_of;
use crate::config::{Environment, TrainConfig, read_yaml};
use crate::files::FolderLock;
use crate::layout::CONFIG;
use crate::learner::Learner;
use crate::metrics::EvalEvent;
use crate::provenance::{Base, Provenance};
use crate::record::Replay;
use crate::resume::{CompareError, ResumeError, ResumePoint};
use crate::run_dir::{Identity, RunDir, check_folder, check_metrics, lock};
use crate::sink::Note;
use crate::successes::Successes;
use crate::{Mendable, TrainError};
use anyhow::Result;
use cua_grpo_core::{TaskSource, derive_seed};
use cua_grpo_model::{Policy, Trainable, lora};
use std::path::{Path, PathBuf};

/// A policy that is ready to learn.
pub struct Learning {
    /// The policy and its optimiser.
    pub learner: Learner,
    /// Where the run stands.
    pub state: TrainingState,
    /// How many modules have an adapter.
    pub modules: usize,
    pub(super) closed: Option<Closed>,
    pub(super) successes: Option<Successes>,
}

/// The beginning of a run.
pub enum Start {
    /// A new run.
    New {
        /// Which.
        identity: Identity,
        /// What the user should know.
        notes: Vec<Note>,
    },
    /// A run that goes on.
    Resumed {
        /// Where.
        point: ResumePoint,
        /// The run folder is locked; `None` when the run goes on in a folder of its own.
        lock: Option<FolderLock>,
        /// Which run goes on; one that goes on in a folder of its own is another.
        identity: Identity,
        /// What the user should know.
        notes: Vec<Note>,
        /// What the metrics tell of the time before.
        history: Box<History>,
    },
}

impl Start {
    /// Locks the folder of `resume`, looks for a checkpoint there that is whole, and checks that `config` and `base` are
    /// ones that it can go on with.
    ///
    /// # Errors
    /// [`TrainError`] that says what does not fit, or that another process is at work there.
    pub fn of(config: &TrainConfig, resume: Option<ResumePoint>, base: &Base) -> Result<Self> {
        let replay = Replay::of(config, base)?;
        let replayed = replay.as_ref().map(|replay| replay.notes(config)).transpose()?;
        let Some(point) = resume else {
            let identity = Identity::new();
            let notes = replayed.unwrap_or_default();
            return Ok(Self::New { identity, notes });
        };
        let here = same_folder(Path::new(&config.output_dir), &point.run_dir);
        check_replay(config, &point, here)?;
        let lock = here.then(|| lock(&point.run_dir)).transpose()?;
        let (point, mut notes) = point.verified().map_err(TrainError::from)?;
        notes.extend(replayed.into_iter().flatten());
        if let Some(checkpoint) = &point.checkpoint {
            let refuse = |words| TrainError::Usage(format!("--resume {}: {words}", point.run_dir.display()));
            check_folder(&point.run_dir, checkpoint).map_err(refuse)?;
        }
        check_metrics(&point.run_dir)?;
        let identity = Identity::of(&point.run_dir)?;
        let identity = if here { identity } else { identity.forked(point.step) };
        let saved = point.checkpoint.as_ref().map(|checkpoint| checkpoint.join(CONFIG));
        let file = saved
            .filter(|copy| copy.is_file())
            .unwrap_or_else(|| point.run_dir.join(CONFIG));
        let before: TrainConfig = read_yaml(&file).map_err(TrainError::from)?;
        let provenance = point.checkpoint.as_deref().map(Provenance::read).transpose()?.flatten();
        let trained = provenance.map(|provenance| provenance.base);
        let same_base = trained
            .as_ref()
            .is_some_and(|trained| trained.fingerprint == base.fingerprint);
        let compared = point.compare(&before, config, same_base);
        notes.extend(compared.map_err(|error| match error {
            CompareError::Resume(error) => TrainError::from(error),
            CompareError::Config(error) => TrainError::from(error),
        })?);
        if let Some(trained) = trained {
            let path = point.run_dir.clone();
            check_base(path, &trained, base).map_err(TrainError::from)?;
        }
        if point.checkpoint.is_none() {
            notes.push(Note::Plain(format!(
                "{} has no checkpoint yet: the run begins anew",
                point.run_dir.display()
            )));
        }
        let history = match &point.checkpoint {
            None => History::default(),
            Some(checkpoint) => {
                let evaluated = read_state(checkpoint)?.evaluated;
                History::read(&point.run_dir, point.step, evaluated, replay.is_none())?
            }
        };
        if let Some(lacks) = &history.lacks {
            notes.push(Note::Warning(format!(
                "{lacks}. The run goes on; what the lost lines said is in no table and in no chart"
            )));
        }
        Ok(Self::Resumed {
            point,
            lock,
            identity,
            notes,
            history: Box::new(history),
        })
    }

    /// The run's id, which its folder keeps from here on: 16 hexadecimal digits.
    pub fn id(&self) -> &str {
        match self {
            Self::New { identity, .. } | Self::Resumed { identity, .. } => &identity.id,
        }
    }

    /// What the user should know.
    pub fn notes(&self) -> &[Note] {
        match self {
            Self::New { notes, .. } | Self::Resumed { notes, .. } => notes,
        }
    }

    /// Puts the adapter of `config` on `policy`, as it begins or as the checkpoint has it. `unseen` are the tasks of
    /// evaluations.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when the adapter fits no module; or when the checkpoint cannot be read.
    pub fn learning(&self, config: &TrainConfig, mut policy: Policy, unseen: &dyn TaskSource) -> Result<Learning> {
        let seed = derive_seed(&[config.seed, 0]);
        let modules = lora::attach(policy.model_mut(), &config.lora(), seed).mendable("lora_target_modules")?;
        let mut learner = Learner::new(policy, Trainable::Adapter, config.adamw(), config.max_grad_norm)?;
        let mut state = self.load(&mut learner)?;
        let closed = self
            .closing()
            .map(|event| Closed::note(&mut state, event, &task_set_of(config, unseen)));
        Ok(Learning {
            successes: Successes::of(config, self.checkpoint())?,
            modules: modules.len(),
            learner,
            state,
            closed,
        })
    }

    /// The evaluation of the checkpoint's weights that was made after it was saved.
    fn closing(&self) -> Option<&EvalEvent> {
        match self {
            Self::New { .. } => None,
            Self::Resumed { history, .. } => history.closing.as_ref(),
        }
    }

    /// Loads the checkpoint onto `learner`.
    fn load(&self, learner: &mut Learner) -> Result<TrainingState> {
        let checkpoint = self.checkpoint();
        checkpoint.map_or_else(|| Ok(TrainingState::default()), |checkpoint| load(learner, checkpoint))
    }

    /// The checkpoint that the run goes on from.
    fn checkpoint(&self) -> Option<&Path> {
        match self {
            Self::New { .. } => None,
            Self::Resumed { point, .. } => point.checkpoint.as_deref(),
        }
    }

    /// The folder of the run.
    pub(super) fn open(self, config: &TrainConfig, state: &TrainingState) -> Result<RunDir> {
        match self {
            Self::New { identity, .. } => RunDir::create(config, identity),
            Self::Resumed {
                point,
                lock: Some(lock),
                identity,
                ..
            } => Ok(RunDir::resume(config, &point, state, identity, lock)),
            Self::Resumed {
                point,
                lock: None,
                identity,
                ..
            } => RunDir::fork(config, &point, state, identity),
        }
    }
}

/// Refuses a base that is not the one of the run in `path`.
fn check_base(path: PathBuf, trained: &Base, base: &Base) -> Result<(), ResumeError> {
    let (name, now) = (base.name.clone(), short(&base.fingerprint).into());
    if trained.fingerprint != base.fingerprint {
        return Err(ResumeError::OtherBase {
            path,
            name,
            now,
            trained: trained.name.clone(),
            before: short(&trained.fingerprint).into(),
        });
    }
    let files = trained.other_files(base);
    if files.is_empty() {
        return Ok(());
    }
    let files = files.join(", ");
    Err(ResumeError::OtherFiles { path, name, files })
}

/// Why a run is in another folder than the one that was asked for, where it is.
pub(super) fn elsewhere(wanted: &str, path: &Path) -> Option<String> {
    let other = !same_folder(Path::new(wanted), path);
    other.then(|| {
        format!(
            "{wanted} is the folder of another run, so this one goes to {}; to go on with that one: --resume {}",
            path.display(),
            crate::shell::argument(Path::new(wanted))
        )
    })
}

/// Refuses to write into the run whose record is read: what comes after the checkpoint is set aside there.
fn check_replay(config: &TrainConfig, point: &ResumePoint, here: bool) -> Result<(), TrainError> {
    match &config.environment {
        Environment::Replay(run) if here && same_folder(run, &point.run_dir) => Err(TrainError::Usage(format!(
            "--resume {}: environment is the record of the same run; choose a folder of its own with --output-dir",
            point.run_dir.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether two paths lead to one folder; one that is not there leads nowhere else.
fn same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_finds_its_folder_taken_says_where_it_goes_and_why() {
        let home = tempfile::tempdir().unwrap();
        let config = TrainConfig {
            output_dir: format!("{}/", home.path().join("run").display()),
            ..Default::default()
        };
        let open = || {
            let identity = Identity::new();
            let notes = Vec::new();
            Start::New { identity, notes }
                .open(&config, &TrainingState::default())
                .unwrap()
        };
        let first = open();
        assert_eq!(elsewhere(&config.output_dir, first.path()), None);
        let second = open();
        let text = elsewhere(&config.output_dir, second.path()).unwrap();
        assert!(
            text.contains("run-2") && text.contains("another run") && text.contains("--resume "),
            "{text}"
        );
    }
}
