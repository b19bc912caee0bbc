//! Models by name from the Hugging Face Hub: the files of a checkpoint, kept in the cache that the Python tools use.

mod address;
mod cache;
mod client;
mod found;
mod pace;
mod room;

pub use address::shown;
pub use found::Transfer;

use crate::checkpoint::{INDEX_FILE as INDEX, OPTIONAL_FILES, REQUIRED_FILES, SINGLE_FILE as SINGLE, shards_of};
use crate::plain_text;
use cache::Cache;
use client::{Client, Failure};
use cua_grpo_core::Secret;
use found::Found;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// Where models come from and where they are kept.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Address of the Hub.
    pub endpoint: String,
    /// Folder of the cache (`models--org--name` below it).
    pub cache: PathBuf,
    /// Access token, for models that ask for one. It is sent to the host of `endpoint` and to no other.
    pub token: Option<Secret>,
    /// Use the cache only.
    pub offline: bool,
    /// Attempts that follow a failed download of a file.
    pub retries: usize,
    /// How long an answer may take to begin, and a stretch of its content in which less than 1 KiB a second comes.
    pub patience: Duration,
}

/// [`Hub::patience`] of [`Hub::from_env`].
const PATIENCE: Duration = Duration::from_secs(60);

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
            plain_text::read(&path).ok()
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
            patience: PATIENCE,
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
        let model = Model::new(self, name, watch)?;
        // Whoever answers may have sent the token back, in a header or in a file.
        self.fetch_files(name, &model).map_err(|error| self.starred(error))
    }

    fn starred(&self, error: HubError) -> HubError {
        let Some(token) = &self.token else { return error };
        match error {
            HubError::Refused(text) => HubError::Refused(token.starred(&text).into_owned()),
            HubError::Failed(text) => HubError::Failed(token.starred(&text).into_owned()),
        }
    }

    /// Refuses an endpoint that says more than where it is, without showing it.
    fn check_endpoint(&self) -> Result<()> {
        match self.endpoint.contains(['@', '?', '#']) {
            true => Err(refused(
                "HF_ENDPOINT: expected an address without user, password and query; the token is given by HF_TOKEN"
                    .to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn fetch_files(&self, name: &str, model: &Model<'_>) -> Result<PathBuf> {
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
    client: Client,
    watch: &'a dyn Fn() -> Box<dyn Transfer>,
}

impl<'a> Model<'a> {
    fn new(hub: &'a Hub, name: &'a str, watch: &'a dyn Fn() -> Box<dyn Transfer>) -> Result<Self> {
        // Names become folders of the cache and parts of addresses.
        if !is_hub_name(name) {
            let name = shown(name);
            return Err(refused(format!(
                "expected the name of a model (org/name), found `{name}`"
            )));
        }
        hub.check_endpoint()?;
        Ok(Self {
            hub,
            name,
            cache: Cache::new(&hub.cache, name),
            client: Client::new(&hub.endpoint, hub.token.as_ref(), hub.retries, hub.patience),
            watch,
        })
    }

    /// All files of the model that are needed or of use.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for file in REQUIRED_FILES {
            files.push(self.file(file)?.ok_or_else(|| self.lacks(file))?);
        }
        for file in OPTIONAL_FILES {
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
        let shards = shards_of(&index).map_err(|error| refused(error.to_string()))?;
        self.check_room(&shards)?;
        for shard in shards {
            files.push(self.file(&shard)?.ok_or_else(|| self.lacks(&shard))?);
        }
        files.push(index);
        Ok(files)
    }

    /// Checks that all of `shards` that are to be fetched have room together, before hours go into the first ones.
    fn check_room(&self, shards: &BTreeSet<String>) -> Result<()> {
        let mut lacking = 0_u64;
        let missing = |shard: &&String| self.cache.get(shard).is_none() && !self.hub.offline;
        for shard in shards.iter().filter(missing) {
            // What cannot be found is told where it is fetched.
            let Ok(found) = self.client.find(self.name, shard) else {
                return Ok(());
            };
            lacking = lacking.saturating_add(self.cache.lacking(&found));
        }
        let room = room::check(self.cache.folder(), lacking).map_err(Failure::Disk);
        room.map_err(|failure| self.explain("the weights", &failure))
    }

    /// The file `name` in the cache, fetched where it is missing; `None` when the model has no such file.
    fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        if let Some(path) = self.cache.get(name) {
            return Ok(Some(path));
        }
        // That a file does not exist is remembered beside the snapshots, so that a whole cache needs no network.
        if self.cache.is_absent(name) {
            return Ok(None);
        }
        if self.hub.offline {
            return if OPTIONAL_FILES.contains(&name) || name == INDEX || name == SINGLE {
                Ok(None)
            } else {
                Err(self.lacks(name))
            };
        }
        let fetched = self.client.find(self.name, name).and_then(|found| self.bring(&found));
        match fetched {
            Ok(path) => Ok(Some(path)),
            // The Hub answers 401 for a model that does not exist to whoever has no token.
            Err(Failure::Status(404)) if name != REQUIRED_FILES[0] => {
                self.cache.remember_absent(name);
                Ok(None)
            }
            Err(failure) => Err(self.explain(name, &failure)),
        }
    }

    /// The file of the cache that is `found`, after what lacks of it has been fetched.
    fn bring(&self, found: &Found) -> std::result::Result<PathBuf, Failure> {
        let blob = self.cache.lock(found).map_err(Failure::of_disk)?;
        if !blob.is_whole() {
            self.client.download(found, &blob, &mut *(self.watch)())?;
        }
        blob.link(&found.name).map_err(Failure::of_disk)
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

    fn explain(&self, file: &str, failure: &Failure) -> HubError {
        let (name, endpoint) = (self.name, &self.hub.endpoint);
        match failure {
            Failure::Status(404) => refused(format!(
                "{endpoint} has no model `{name}`; is the name right, and if it is a folder, does it exist?"
            )),
            Failure::Status(401) if self.hub.token.is_none() => refused(format!(
                "{endpoint} has no model `{name}`, or it is private or gated; check the name, or accept \
                 the model's terms on its page and set HF_TOKEN to a token that may read it"
            )),
            Failure::Status(401 | 403) => refused(format!(
                "the token may not read `{name}`; accept the model's terms on its page with that account, \
                 or set HF_TOKEN to another token"
            )),
            Failure::Status(status) => HubError::Failed(format!(
                "cannot fetch {file} of {name}: {endpoint} answered {status}; try again later"
            )),
            Failure::Unusable(what) => refused(format!(
                "{endpoint} gives {file} of {name} in a way that is not followed: {what}"
            )),
            Failure::Disk(error) => refused(format!(
                "cannot keep {file} of {name} in {}: {error}. Make room there, or name another folder by HF_HUB_CACHE; what \
                 has arrived is kept",
                self.hub.cache.display()
            )),
            Failure::Broken(error) => HubError::Failed(format!(
                "cannot fetch {file} of {name} from {endpoint}: {error}. Check the network (HF_ENDPOINT names a mirror), \
                 or name the folder of a model; what has arrived is kept"
            )),
        }
    }
}
