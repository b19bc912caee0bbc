//! The configuration of a policy that is measured: that of its run, and what the user gives on top.

use crate::TrainError;
use crate::adapter::Adapter;
use crate::config::{Change, ConfigError, Flag, OriginKind, Resolved, Resume, Sources, TrainConfig, changes, resolve};
use crate::provenance::Base;
use std::path::{Path, PathBuf};

/// What chooses a base where the user names none.
const ADAPTER: &str = "the adapter";

/// Keys that a run is not resumed with another value of, and that hold when its policy is measured.
const HOLDS: [&str; 4] = ["model_name", "load_in_4bit", "max_pixels", "min_pixels"];

/// What is measured, and how.
#[derive(Debug)]
pub struct Measured {
    /// The configuration, and who chose each value.
    pub resolved: Resolved<TrainConfig>,
    /// The adapter; without one the model alone is measured.
    pub adapter: Option<Adapter>,
    /// What the user should know: where the configuration is from, and what flags changed.
    pub notes: Vec<String>,
    /// What says which base is measured: a flag, a variable or a file; `--model-name` where nobody said.
    pub base_by: String,
}

impl Measured {
    /// The configuration of the run of `adapter`, or `file` where one is given; flags and variables win over both.
    ///
    /// # Errors
    /// When the adapter or the configuration cannot be used.
    pub fn resolve(adapter: Option<&Path>, file: Option<PathBuf>, flags: Vec<Flag>) -> Result<Self, TrainError> {
        let mut sources = Sources::process(file, flags);
        let Some(path) = adapter else {
            return Ok(Self {
                resolved: resolve(&sources)?,
                adapter: None,
                notes: Vec::new(),
                base_by: String::new(),
            });
        };
        let adapter = Adapter::find(path)?;
        let run = adapter.config()?;
        let asked = sources.file.is_some();
        if !asked {
            (sources.file, sources.saved) = (adapter.config_file(), true);
            let base = match (&run, &adapter.provenance) {
                (Some(config), Some(provenance)) => moved(config, &provenance.base),
                (Some(_), None) => None,
                (None, _) => adapter.base(),
            };
            sources.given.extend(base.map(|base| Flag {
                key: "model_name".into(),
                value: base,
                flag: ADAPTER.into(),
            }));
        }
        let resolved: Resolved<TrainConfig> = resolve(&sources)?;
        if run.is_none() && resolved.origin("model_name").kind == OriginKind::BuiltIn {
            adapter.require_base("--model-name")?;
        }
        let origin = resolved.origin("model_name");
        let given = asked || origin.kind >= OriginKind::Variable && origin.name != ADAPTER;
        if let Some(run) = run.as_ref().filter(|_| !given) {
            adapter.check_names(run, "--model-name")?;
        }
        let what = adapter.describe();
        let mut notes = vec![match &sources.file {
            Some(file) if asked => format!("adapter {what}, configuration {} (--config)", file.display()),
            Some(file) => format!("adapter {what}, configuration {}", file.display()),
            None => format!("adapter {what}, configuration of the quickstart: it belongs to no run"),
        }];
        if let Some(run) = &run {
            notes.extend(differences(run, &resolved)?);
        }
        Ok(Self {
            resolved,
            adapter: Some(adapter),
            notes,
            base_by: if given {
                origin.to_string()
            } else {
                "--model-name".into()
            },
        })
    }
}

/// The full path of a base that was a folder, where the name in `config` leads nowhere from here.
fn moved(config: &TrainConfig, base: &Base) -> Option<String> {
    let lost = base.path.is_some() && !Path::new(&config.model_name).is_dir();
    lost.then(|| base.found_as())
}

/// A line for every key that is not as in the run and means something for a policy that is measured.
fn differences(run: &TrainConfig, resolved: &Resolved<TrainConfig>) -> Result<Vec<String>, ConfigError> {
    let line = |change: Change| {
        let Change { key, kind, before, now } = change;
        let origin = resolved.origin(key);
        match kind {
            Resume::Free => None,
            Resume::Refused if !HOLDS.contains(&key) => Some(format!(
                "note: `{key}` is {now} ({origin}), which changes nothing: the adapter keeps its {before}"
            )),
            _ => Some(format!(
                "note: `{key}` is {now} ({origin}) in place of the run's {before}"
            )),
        }
    };
    let changes = changes(run, &resolved.config)?;
    Ok(changes.into_iter().filter_map(line).collect())
}
