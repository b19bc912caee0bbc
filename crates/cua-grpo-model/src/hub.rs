//! Models by name from the Hugging Face Hub: the files of a checkpoint, kept in the cache that the Python tools use.

use crate::checkpoint::{INDEX_FILE as INDEX, SINGLE_FILE as SINGLE};
use cua_grpo_core::Secret;
use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files without which there is no model.
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];

/// Files that are fetched where the repository has them.
const OPTIONAL: [&str; 9] = [
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/default.jinja",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
];

/// Why a model was not fetched; the messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The Hub has no such model, or a file is missing, or a token or the acceptance of terms: whoever asks can mend it.
    #[error("{0}")]
    Refused(String),
    /// The Hub cannot be reached or answers with an error of its own, or the cache cannot be used.
    #[error("{0}")]
    Failed(String),
}

type Result<T> = std::result::Result<T, HubError>;

fn refused(message: String) -> HubError {
    HubError::Refused(message)
}

/// Sees the download of one file.
pub trait Transfer {
    /// `file` of `bytes` bytes is fetched; again, from its start or from where it stopped, when an attempt failed.
    fn start(&mut self, file: &str, bytes: u64);
    /// So many more bytes are here.
    fn advance(&mut self, bytes: u64);
    /// The file is whole.
    fn finish(&mut self);
}

/// Nobody looks.
impl Transfer for () {
    fn start(&mut self, _: &str, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn finish(&mut self) {}
}

/// Where models come from and where they are kept.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Address of the Hub.
    pub endpoint: String,
    /// Folder of the cache (`models--org--name` below it).
    pub cache: PathBuf,
    /// Access token, for models that ask for one.
    pub token: Option<Secret>,
    /// Use the cache only.
    pub offline: bool,
    /// Attempts that follow a failed download of a file.
    pub retries: usize,
}

impl Hub {
    /// What the environment says, by the variables of the Python tools: `HF_ENDPOINT`, `HF_HUB_CACHE` or `HF_HOME`,
    /// `HF_TOKEN` (or the file `token` that `hf auth login` writes into `HF_HOME`), `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`Hub::from_env`], with `variable` in place of the environment.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let home = variable("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
            cache.map(|cache| cache.join("huggingface"))
        });
        let home = home.unwrap_or_else(|| PathBuf::from(".cache/huggingface"));
        let cache = variable("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from);
        let token = variable("HF_TOKEN").or_else(|| {
            let path = variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
            std::fs::read_to_string(path).ok()
        });
        let flag = |name: &str| {
            variable(name)
                .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))
        };
        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            cache,
            token: token
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty())
                .map(Secret::from),
            offline: flag("HF_HUB_OFFLINE") || flag("TRANSFORMERS_OFFLINE"),
            retries: 3,
        }
    }

    /// The folder of the model `name` (`org/name`), after what the cache lacks has been fetched: configuration, tokenizer,
    /// processors, and the weights (one file, or the shards that the index names).
    ///
    /// A download that was cut off goes on where it stopped. Blocks.
    ///
    /// # Errors
    /// When the Hub has no such model, asks for a token or for its terms to be accepted, or cannot be reached and the
    /// cache lacks a file. The messages say what to do.
    pub fn fetch(&self, name: &str) -> Result<PathBuf> {
        self.fetch_watched(name, &|| Box::new(()))
    }

    /// As [`Hub::fetch`]; `watch` makes one observer for each file that is fetched.
    ///
    /// # Errors
    /// As [`Hub::fetch`].
    pub fn fetch_watched(&self, name: &str, watch: &dyn Fn() -> Box<dyn Transfer>) -> Result<PathBuf> {
        let api = ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.trim_end_matches('/').to_owned())
            .with_token(self.token.as_ref().map(|token| token.reveal().to_owned()))
            .with_retries(self.retries)
            .with_progress(false)
            .build()
            .map_err(|error| HubError::Failed(format!("cannot prepare the download: {error}")))?;
        let model = Model::new(self, &api, name, watch);
        // A second time when the model changed on the Hub meanwhile: the files of one commit are in one folder.
        for _ in 0..2 {
            let folders: BTreeSet<PathBuf> = model.files()?.iter().filter_map(|file| folder_of(file)).collect();
            let mut folders = folders.into_iter();
            if let (Some(folder), None) = (folders.next(), folders.next()) {
                return Ok(folder);
            }
        }
        Err(HubError::Failed(format!(
            "{name} changes on the Hub while it is being fetched; try again"
        )))
    }
}

fn folder_of(file: &Path) -> Option<PathBuf> {
    file.parent().map(Path::to_path_buf)
}

/// Whether `name` has the form `org/name`.
pub fn is_hub_name(name: &str) -> bool {
    let part = |part: &str| {
        let known = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        part.starts_with(|letter: char| letter.is_ascii_alphanumeric()) && part.chars().all(known)
    };
    name.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name))
}

/// A model of the Hub.
struct Model<'a> {
    hub: &'a Hub,
    name: &'a str,
    cache: Cache,
    repo: Repo,
    remote: ApiRepo,
    watch: &'a dyn Fn() -> Box<dyn Transfer>,
}

impl<'a> Model<'a> {
    fn new(hub: &'a Hub, api: &Api, name: &'a str, watch: &'a dyn Fn() -> Box<dyn Transfer>) -> Self {
        let repo = Repo::new(name.to_owned(), RepoType::Model);
        Self {
            hub,
            name,
            cache: Cache::new(hub.cache.clone()),
            remote: api.repo(repo.clone()),
            repo,
            watch,
        }
    }

    /// All files of the model that are needed or of use.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for file in REQUIRED {
            files.push(self.file(file)?.ok_or_else(|| self.lacks(file))?);
        }
        for file in OPTIONAL {
            // What lies in a folder of its own does not tell where the model's files are.
            files.extend(self.file(file)?.filter(|_| !file.contains('/')));
        }
        // The order of transformers, which is that of loading too.
        if let Some(weights) = self.file(SINGLE)? {
            files.push(weights);
            return Ok(files);
        }
        let index = self
            .file(INDEX)?
            .ok_or_else(|| self.lacks(&format!("{SINGLE} or {INDEX}")))?;
        for shard in shards(&index)? {
            files.push(self.file(&shard)?.ok_or_else(|| self.lacks(&shard))?);
        }
        files.push(index);
        Ok(files)
    }

    /// The file `name` in the cache, fetched where it is missing; `None` when the model has no such file.
    fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        if let Some(path) = self.cache.repo(self.repo.clone()).get(name) {
            return Ok(Some(path));
        }
        // That a file does not exist is remembered beside the snapshots, so that a whole cache needs no network.
        if self.absent(name).is_some_and(|mark| mark.exists()) {
            return Ok(None);
        }
        if self.hub.offline {
            return if OPTIONAL.contains(&name) || name == INDEX || name == SINGLE {
                Ok(None)
            } else {
                Err(self.lacks(name))
            };
        }
        match self.remote.download_with_progress(name, Watched((self.watch)())) {
            Ok(path) => Ok(Some(path)),
            Err(error) => match status(&error) {
                // The Hub answers 401 for a model that does not exist to whoever has no token.
                Some(404) if name != REQUIRED[0] => {
                    self.remember_absent(name);
                    Ok(None)
                }
                other => Err(self.explain(name, &error, other)),
            },
        }
    }

    /// The mark that the current commit has no file `name`, as the Python tools set it.
    fn absent(&self, name: &str) -> Option<PathBuf> {
        let folder = self.hub.cache.join(self.repo.folder_name());
        let commit = std::fs::read_to_string(folder.join("refs").join("main")).ok()?;
        Some(folder.join(".no_exist").join(commit.trim()).join(name))
    }

    fn remember_absent(&self, name: &str) {
        let Some(path) = self.absent(name) else { return };
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = made.and_then(|()| std::fs::write(&path, "")) {
            tracing::debug!(file = %path.display(), %error, "cannot remember that the model lacks a file");
        }
    }

    fn lacks(&self, file: &str) -> HubError {
        if self.hub.offline {
            return refused(format!(
                "HF_HUB_OFFLINE is set and the cache {} lacks {file} of `{}`; unset it, or fetch the model where there is \
                 a network",
                self.hub.cache.display(),
                self.name
            ));
        }
        refused(format!(
            "`{}` has no {file}; expected a Qwen3-VL checkpoint in safetensors with tokenizer.json",
            self.name
        ))
    }

    fn explain(&self, file: &str, error: &ApiError, status: Option<u16>) -> HubError {
        let (name, endpoint) = (self.name, &self.hub.endpoint);
        match status {
            Some(404) => refused(format!(
                "{endpoint} has no model `{name}`; is the name right, and if it is a folder, does it exist?"
            )),
            Some(401) if self.hub.token.is_none() => refused(format!(
                "{endpoint} has no model `{name}`, or it is private or gated; check the name, or accept \
                 the model's terms on its page and set HF_TOKEN to a token that may read it"
            )),
            Some(401 | 403) => refused(format!(
                "the token may not read `{name}`; accept the model's terms on its page with that account, \
                 or set HF_TOKEN to another token"
            )),
            Some(status) => HubError::Failed(format!(
                "cannot fetch {file} of {name}: {endpoint} answered {status}; try again later"
            )),
            None => HubError::Failed(format!(
                "cannot fetch {file} of {name} from {endpoint}: {error}. Check the network (HF_ENDPOINT names a mirror), \
                 or name the folder of a model; what has arrived is kept"
            )),
        }
    }
}

/// The shards that an index names.
fn shards(index: &Path) -> Result<BTreeSet<String>> {
    let failed = |message: String| HubError::Failed(message);
    let text =
        crate::plain_text::read(index).map_err(|error| failed(format!("cannot read {}: {error}", index.display())))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| failed(format!("{} is not JSON: {error}", index.display())))?;
    let map = value.get("weight_map").and_then(serde_json::Value::as_object);
    let map = map.ok_or_else(|| failed(format!("{}: expected a key weight_map", index.display())))?;
    let names = map.values().filter_map(serde_json::Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

/// The HTTP status that an error stands for.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match error.as_ref() {
            ureq::Error::StatusCode(status) => Some(*status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

/// A [`Transfer`] as the client wants it.
struct Watched(Box<dyn Transfer>);

impl Progress for Watched {
    fn init(&mut self, size: usize, filename: &str) {
        self.0.start(filename, size as u64);
    }

    fn update(&mut self, size: usize) {
        self.0.advance(size as u64);
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}
