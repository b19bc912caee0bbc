//! Where a run begins: in a new folder, or at a checkpoint that it may go on from.

use crate::adapter::{CONFIG, short};
use crate::checkpoint::{TrainingState, load};
use crate::config::{TrainConfig, read_yaml};
use crate::error::CliError;
use crate::files::FolderLock;
use crate::learner::Learner;
use crate::provenance::{Base, Provenance};
use crate::resume::{CompareError, ResumeError, ResumePoint};
use crate::run_dir::{RunDir, lock};
use anyhow::Result;
use std::path::Path;

/// The beginning of a run.
pub(super) enum Start {
    /// A new run.
    New,
    /// A run that goes on.
    Resumed {
        /// Where.
        point: ResumePoint,
        /// The run folder is locked; `None` when the run goes on in a folder of its own.
        lock: Option<FolderLock>,
        /// What the user should know.
        notes: Vec<String>,
    },
}

impl Start {
    /// Locks the folder of `resume`, looks for a checkpoint there that is whole, and checks that `config` and `base` are
    /// ones that it can go on with.
    pub(super) fn of(config: &TrainConfig, resume: Option<ResumePoint>, base: &Base) -> Result<Self> {
        let Some(point) = resume else {
            return Ok(Self::New);
        };
        let here = same_folder(Path::new(&config.output_dir), &point.run_dir);
        let lock = here.then(|| lock(&point.run_dir)).transpose()?;
        let (point, mut notes) = point.verified().map_err(CliError::from)?;
        let saved = point.checkpoint.as_ref().map(|checkpoint| checkpoint.join(CONFIG));
        let file = saved
            .filter(|copy| copy.is_file())
            .unwrap_or_else(|| point.run_dir.join(CONFIG));
        let before: TrainConfig = read_yaml(&file).map_err(CliError::from)?;
        let provenance = point.checkpoint.as_deref().map(Provenance::read).transpose()?.flatten();
        let trained = provenance.map(|provenance| provenance.base);
        let same_base = trained
            .as_ref()
            .is_some_and(|trained| trained.fingerprint == base.fingerprint);
        let compared = point.compare(&before, config, same_base);
        notes.extend(compared.map_err(|error| match error {
            CompareError::Resume(error) => CliError::from(error),
            CompareError::Config(error) => CliError::from(error),
        })?);
        if let Some(trained) = trained.filter(|_| !same_base) {
            return Err(CliError::from(ResumeError::OtherBase {
                path: point.run_dir,
                name: base.name.clone(),
                now: short(&base.fingerprint).into(),
                trained: trained.name,
                before: short(&trained.fingerprint).into(),
            })
            .into());
        }
        if point.checkpoint.is_none() {
            notes.push(format!(
                "{} has no checkpoint yet: the run begins anew",
                point.run_dir.display()
            ));
        }
        Ok(Self::Resumed { point, lock, notes })
    }

    pub(super) fn notes(&self) -> &[String] {
        match self {
            Self::New => &[],
            Self::Resumed { notes, .. } => notes,
        }
    }

    /// Loads the checkpoint onto `learner`.
    pub(super) fn load(&self, learner: &mut Learner) -> Result<TrainingState> {
        match self {
            Self::Resumed { point, .. } => match &point.checkpoint {
                Some(checkpoint) => load(learner, checkpoint),
                None => Ok(TrainingState::default()),
            },
            Self::New => Ok(TrainingState::default()),
        }
    }

    /// The folder of the run.
    pub(super) fn open(self, config: &TrainConfig, state: &TrainingState) -> Result<RunDir> {
        match self {
            Self::New => RunDir::create(config),
            Self::Resumed {
                point,
                lock: Some(lock),
                ..
            } => RunDir::resume(config, &point, state, lock),
            Self::Resumed { point, lock: None, .. } => RunDir::fork(config, &point, state),
        }
    }
}

/// Whether two paths lead to one folder; one that is not there leads nowhere else.
fn same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
