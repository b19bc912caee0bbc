//! The adapter that a flag names: its folder, the run that it came from, and the base that it belongs to.

mod seen;

use crate::checkpoint::not_verified;
use crate::config::{Change, Resume, STARTER, TrainConfig, changes, is_cut, read_yaml};
use crate::error::{Mendable, TrainError};
use crate::files::{CHECKSUMS, Limit, read_bytes, verify};
use crate::layout::{CHECKPOINTS, CONFIG, checkpoint_step, list};
use crate::metrics::METRICS;
use crate::provenance::{Base, Provenance};
use crate::run_dir::check_folder;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::lora::{load_adapter, read_config as read_lora};
use seen::Seen;
use std::path::{Path, PathBuf};

/// An adapter folder and what is known about it.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// What was given, for messages.
    pub given: PathBuf,
    /// The folder with PEFT's files.
    pub folder: PathBuf,
    /// The run folder that it lies in.
    pub run: Option<PathBuf>,
    /// Step and base, where a run of this program wrote it.
    pub provenance: Option<Provenance>,
    /// `base_model_name_or_path` of `adapter_config.json`.
    named_base: Option<String>,
    /// The folder as it was when it was looked at.
    seen: Seen,
}

/// The run folder that `path` is, or lies in: `RUN`, `RUN/final`, `RUN/best_model`, `RUN/checkpoints/checkpoint-N`.
pub fn run_of(path: &Path) -> Option<PathBuf> {
    // One whose metrics are lost is a run by its checkpoints.
    let is_run = |folder: &Path| {
        folder.join(CONFIG).is_file() && (folder.join(METRICS).is_file() || folder.join(CHECKPOINTS).is_dir())
    };
    if is_run(path) {
        return Some(path.into());
    }
    // The parents as they were given, for messages; in full where what was given has none.
    let given = path
        .ancestors()
        .skip(1)
        .take(3)
        .filter(|folder| !folder.as_os_str().is_empty());
    let full = path.canonicalize().ok();
    let full = full.iter().flat_map(|path| path.ancestors().skip(1).take(3));
    given.chain(full).find(|folder| is_run(folder)).map(Path::to_path_buf)
}

impl Adapter {
    /// Reads `path` as an adapter folder, or as a run folder whose latest policy is taken.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when there is no adapter, or its files are not what was written.
    pub fn find(path: &Path) -> Result<Self, TrainError> {
        // A run that is at work may have replaced or removed what was looked at.
        Self::find_once(path).or_else(|_| Self::find_once(path))
    }

    fn find_once(path: &Path) -> Result<Self, TrainError> {
        let wrong = |message: String| TrainError::Usage(format!("--adapter {}: {message}", path.display()));
        if !path.is_dir() {
            return Err(wrong(
                "there is no such folder; expected one with adapter_config.json, or a run folder".into(),
            ));
        }
        let (folder, run) = match run_of(path) {
            Some(run) if run == path => {
                let latest = latest(path).map_err(&wrong)?;
                let latest = latest.ok_or_else(|| {
                    wrong("the run has neither final nor a checkpoint yet; name an adapter folder".into())
                })?;
                (latest, Some(run))
            }
            run => (path.to_path_buf(), run),
        };
        let file = folder.join("adapter_config.json");
        if !file.is_file() {
            return Err(wrong(
                "expected adapter_config.json in it, or a run folder (config.yaml with metrics.jsonl or checkpoints)"
                    .into(),
            ));
        }
        let seen = Seen::of(&folder);
        verify(&folder).map_err(|damage| {
            wrong(format!(
                "{damage}; use another checkpoint of the run, or remove {CHECKSUMS} where you changed it yourself"
            ))
        })?;
        if let Some(run) = &run {
            check_folder(run, &folder).map_err(&wrong)?;
        }
        let provenance = Provenance::read(&folder).map_err(|error| wrong(format!("{error:#}")))?;
        // The name is in no list of checksums, and in a run it says which policy this is.
        let named = run.as_ref().and_then(|_| checkpoint_step(&folder));
        if let Some((_, step)) = named
            .zip(provenance.as_ref().map(|provenance| provenance.step))
            .filter(|(named, step)| named != step)
        {
            return Err(wrong(format!(
                "{} is of step {step}, so the folder was called checkpoint-{step}; give it this name again, or move it out of the run",
                folder.display()
            )));
        }
        // PEFT writes no list; a run does.
        if run.is_some() || provenance.is_some() {
            for line in not_verified(&folder) {
                tracing::warn!("{line}");
            }
        }
        let text = read_bytes(&file, Limit::SMALL).map_err(|error| wrong(format!("adapter_config.json: {error}")))?;
        let json: serde_json::Value = serde_json::from_slice(text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text))
            .map_err(|error| wrong(format!("adapter_config.json is no JSON: {error}")))?;
        let named_base = json["base_model_name_or_path"].as_str().filter(|name| !name.is_empty());
        Ok(Self {
            given: path.into(),
            provenance,
            named_base: named_base.map(str::to_owned),
            folder,
            run,
            seen,
        })
    }

    /// Reads the adapter's weights into `model`.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when they do not fit, or as [`Adapter::unchanged`].
    pub fn load_onto(&self, model: &mut Qwen3Vl) -> Result<(), TrainError> {
        let loaded = load_adapter(model, &self.folder);
        // A folder that was replaced explains whatever went wrong.
        self.unchanged()?;
        loaded.map(drop).mendable(format!("--adapter {}", self.given.display()))
    }

    /// Checks that the folder is still the one that was found: a run that is at work replaces its best model and removes old
    /// checkpoints, and the weights of one would be told to be those of the other.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when it is not.
    pub fn unchanged(&self) -> Result<(), TrainError> {
        if Seen::of(&self.folder) == self.seen {
            return Ok(());
        }
        Err(TrainError::Usage(format!(
            "--adapter {}: {} was replaced or removed while it was read, as a run at work does; try again, or name a \
             checkpoint that stays",
            self.given.display(),
            self.folder.display()
        )))
    }

    /// The configuration that the adapter was saved with: the copy beside it, which is in its list of checksums; that of
    /// the run folder where an older version made none.
    pub fn config_file(&self) -> Option<PathBuf> {
        let run = self.run.iter().map(|run| run.join(CONFIG));
        let own = std::iter::once(self.folder.join(CONFIG));
        own.chain(run).find(|path| path.is_file())
    }

    /// The configuration of [`Adapter::config_file`]; `None` for an adapter that no run wrote. A warning names every key
    /// that has another value in the run folder by now.
    ///
    /// # Errors
    /// When the file is broken, or the adapter's files and the run folder's configuration say what cannot both be.
    pub fn config(&self) -> Result<Option<TrainConfig>, TrainError> {
        let Some(path) = self.config_file() else {
            return Ok(None);
        };
        let config = read_yaml(&path)?;
        if let Some(words) = disagreement(&self.folder, &path, &config)? {
            return Err(self.edited(&words));
        }
        for line in self.other_values(&path, &config)? {
            tracing::warn!("{line}");
        }
        Ok(Some(config))
    }

    /// A line for every key of `config`, which is that of `path`, that has another value in the run folder by now.
    ///
    /// # Errors
    /// When the other value would give the weights another meaning, or the file of the run folder is broken.
    fn other_values(&self, path: &Path, config: &TrainConfig) -> Result<Vec<String>, TrainError> {
        let run = self.run.as_ref().map(|run| run.join(CONFIG));
        let Some(other) = run.filter(|other| other != path && other.is_file()) else {
            return Ok(Vec::new());
        };
        // Cut short, or emptied: what was saved with the weights counts, and is whole.
        if is_cut::<TrainConfig>(&other, path) {
            let line = format!(
                "{} is damaged; {} is used in its place",
                other.display(),
                path.display()
            );
            return Ok(vec![line]);
        }
        let all = meaningful(config, &read_yaml(&other)?)?;
        // Another name of the base is allowed where it leads to the same weights, which is checked by itself.
        let refused = |change: &&Change| change.kind == Resume::Refused && change.key != "model_name";
        if let Some(change) = all.iter().find(refused) {
            return Err(self.edited(&differs(change, path, &other)));
        }
        let line = |change: &Change| {
            let words = differs(change, path, &other);
            format!(
                "{words}; the adapter was saved with {0}, and {0} is used",
                change.before
            )
        };
        Ok(all.iter().map(line).collect())
    }

    fn edited(&self, words: &str) -> TrainError {
        TrainError::Usage(format!(
            "--adapter {}: {words}. One of the two files was edited: restore it; or copy adapter_config.json and \
             adapter_model.safetensors into a folder of their own to use them as they are",
            self.given.display()
        ))
    }

    /// The name to open the base by, where the adapter or its run tells.
    pub fn base(&self) -> Option<String> {
        if let Some(provenance) = &self.provenance {
            return Some(provenance.base.found_as());
        }
        let named = self.named_base.as_deref()?;
        // PEFT keeps what it was given; a path may be one seen from the adapter.
        let beside = self.folder.join(named);
        if named != STARTER && !Path::new(named).is_dir() && beside.join("config.json").is_file() {
            return Some(beside.display().to_string());
        }
        Some(named.into())
    }

    /// [`Adapter::base`], which has to be known.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when it is not; `flag` is the flag that names a base.
    pub fn require_base(&self, flag: &str) -> Result<String, TrainError> {
        self.base().ok_or_else(|| {
            TrainError::Usage(format!(
                "--adapter {}: it does not tell its base model; name it with {flag}",
                self.given.display()
            ))
        })
    }

    /// Checks that the base that `adapter_config.json` names is that of `config`, which is the run's, where nothing tells
    /// which of the two it was trained on.
    ///
    /// # Errors
    /// [`TrainError::Usage`] with both names; `flag` is the flag that names a base.
    pub fn check_names(&self, config: &TrainConfig, flag: &str) -> Result<(), TrainError> {
        let named = self.named_base.as_deref().filter(|_| self.provenance.is_none());
        let run = config.model_name.as_str();
        match named.filter(|named| *named != run && self.base().as_deref() != Some(run)) {
            None => Ok(()),
            Some(named) => Err(TrainError::Usage(format!(
                "--adapter {}: its adapter_config.json names the base `{named}`, the configuration of its run `{run}`; say \
                 which it was trained on with {flag}",
                self.given.display()
            ))),
        }
    }

    /// The base where nobody names one: that of the adapter, which has to be that of `config`, its run's, too.
    ///
    /// # Errors
    /// As [`Adapter::require_base`] and [`Adapter::check_names`].
    pub fn base_of(&self, config: Option<&TrainConfig>, flag: &str) -> Result<String, TrainError> {
        config.map_or(Ok(()), |config| self.check_names(config, flag))?;
        self.require_base(flag)
    }

    /// What the adapter is, in words: the folder, and after which step.
    pub fn describe(&self) -> String {
        match &self.provenance {
            Some(provenance) => format!("{} (after step {})", self.folder.display(), provenance.step),
            None => self.folder.display().to_string(),
        }
    }

    /// Checks that `base` is the one that the adapter was trained on. A note to show comes back where the adapter names
    /// another one and tells nothing about its weights.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when its weights or other files are others; `flag` is the flag that names a base.
    pub fn check_base(&self, base: &Base, flag: &str) -> Result<Option<String>, TrainError> {
        let Some(provenance) = &self.provenance else {
            let named = self.named_base.as_deref().filter(|named| *named != base.name);
            let same = named.is_none() || self.base().as_deref() == Some(&base.name);
            return Ok((!same).then(|| {
                format!(
                    "--adapter {}: it names the base `{}`; `{}` is used, as {flag} says",
                    self.given.display(),
                    named.unwrap_or_default(),
                    base.name
                )
            }));
        };
        let trained = &provenance.base;
        if trained.fingerprint == base.fingerprint {
            let others = trained.other_files(base);
            if others.is_empty() {
                return Ok(None);
            }
            return Err(TrainError::Usage(format!(
                "--adapter {}: {} of the base `{}` {} what it was trained with, so it would mean something else; restore \
                 {1}, or copy adapter_config.json and adapter_model.safetensors into a folder of their own to use them \
                 as they are",
                self.given.display(),
                others.join(", "),
                base.name,
                if others.len() == 1 { "is not" } else { "are not" },
            )));
        }
        Err(TrainError::Usage(format!(
            "--adapter {}: it was trained on the base `{}` (weights {}), not on `{}` (weights {}); on another base it \
             means nothing. Leave {flag} out, or name the base that it was trained on",
            self.given.display(),
            trained.name,
            short(&trained.fingerprint),
            base.name,
            short(&base.fingerprint)
        )))
    }

    /// Checks the model `name` in `folder` as [`Adapter::check_base`] does; a note to show comes back.
    ///
    /// # Errors
    /// As [`Adapter::check_base`], and when the weights cannot be read.
    pub fn check_folder(&self, name: &str, folder: &Path, flag: &str) -> Result<Option<String>, TrainError> {
        let base = match &self.provenance {
            Some(_) => Base::of(name, folder),
            // There is nothing to compare weights with.
            None => Ok(Base {
                name: name.into(),
                path: None,
                fingerprint: String::new(),
                files: Default::default(),
            }),
        };
        let base = base.map_err(|error| TrainError::Usage(format!("{flag} {name}: {error:#}")))?;
        self.check_base(&base, flag)
    }
}

/// What `config`, which is that of `path`, says otherwise than the configuration of the adapter in `folder`: the key and
/// both values, in words.
fn disagreement(folder: &Path, path: &Path, config: &TrainConfig) -> Result<Option<String>, TrainError> {
    let file = folder.join("adapter_config.json");
    let lora = read_lora(folder).map_err(|error| TrainError::Usage(error.to_string()))?;
    let (rank, alpha) = (&lora.rank_pattern, &lora.alpha_pattern);
    let shown = |value: serde_json::Result<String>| value.unwrap_or_default();
    let pairs = [
        ("lora_r", config.lora_r.to_string(), lora.r.to_string()),
        ("lora_alpha", config.lora_alpha.to_string(), lora.lora_alpha.to_string()),
        ("use_rslora", config.use_rslora.to_string(), lora.use_rslora.to_string()),
        (
            "lora_rank_pattern",
            shown(serde_json::to_string(&config.lora_rank_pattern)),
            shown(serde_json::to_string(rank)),
        ),
        (
            "lora_alpha_pattern",
            shown(serde_json::to_string(&config.lora_alpha_pattern)),
            shown(serde_json::to_string(alpha)),
        ),
    ];
    let found = pairs.iter().find(|(_, there, here)| there != here);
    Ok(found.map(|(key, there, here)| {
        format!(
            "`{key}` is {here} in {}, but {there} in {}",
            file.display(),
            path.display()
        )
    }))
}

/// The keys that mean something for a policy and differ between two configurations.
fn meaningful(before: &TrainConfig, now: &TrainConfig) -> Result<Vec<Change>, TrainError> {
    let mut all = changes(before, now)?;
    all.retain(|change| change.kind != Resume::Free);
    Ok(all)
}

/// A change in words, with the files of both values.
fn differs(change: &Change, before: &Path, now: &Path) -> String {
    format!(
        "`{}` is {} in {}, but {} in {}",
        change.key,
        change.before,
        before.display(),
        change.now,
        now.display()
    )
}

/// What the configuration of the run folder `run` says otherwise than the one that its latest policy was saved with: a
/// line for each key. The run went on with other values since, or the file was edited.
pub fn other_configuration(run: &Path) -> Vec<String> {
    // What cannot be read is told by whoever uses it.
    let Some(own) = latest(run).ok().flatten().map(|folder| folder.join(CONFIG)) else {
        return Vec::new();
    };
    let file = run.join(CONFIG);
    let read = |path: &Path| read_yaml::<TrainConfig>(path).ok();
    let (Some(saved), Some(now)) = (read(&own), read(&file)) else {
        return Vec::new();
    };
    let all = meaningful(&saved, &now).unwrap_or_default();
    all.iter().map(|change| differs(change, &own, &file)).collect()
}

/// The first digits of a fingerprint.
pub fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

/// The latest policy of a run: `final`, or a checkpoint of a later step (the run was made longer since).
fn latest(run: &Path) -> Result<Option<PathBuf>, String> {
    let step = |folder: &Path| -> Result<usize, String> {
        let read = Provenance::read(folder).map_err(|error| format!("{error:#}"))?;
        // Without provenance, `final` was written by an older version after the last step.
        Ok(read.map_or(usize::MAX, |provenance| provenance.step))
    };
    let done = run.join("final");
    let done = done.join("adapter_config.json").is_file().then_some(done);
    let newest = list(run).map_err(|error| error.to_string())?.pop();
    Ok(match (done, newest) {
        (Some(done), Some((newest, checkpoint))) if newest > step(&done)? => {
            drop(done);
            Some(checkpoint)
        }
        (Some(done), _) => Some(done),
        (None, checkpoint) => checkpoint.map(|(_, folder)| folder),
    })
}

#[cfg(test)]
mod tests;
