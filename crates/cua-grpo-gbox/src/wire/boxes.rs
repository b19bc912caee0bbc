//! Bodies of the box endpoints: create, get, list, terminate, display, and errors.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Body of `POST /boxes/android`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateBox {
    /// What the box is to be; the server's defaults when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<CreateBoxConfig>,
    /// How long `wait` may last (duration text, server default 30s, at most 5m); then the answer is 408.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Answer only when the box runs (server default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
}

/// `config` of [`CreateBox`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateBoxConfig {
    /// `virtual` or `physical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Environment variables of the box.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub envs: BTreeMap<String, String>,
    /// Labels by which boxes can be listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Life of the box (duration text, server default 60m).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// Every operation extends the remaining life to at least this (duration text, server default off).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<String>,
    /// Snapshot that the box is to be a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_name: Option<String>,
}

/// Where a box stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(expecting = "the status of a box")]
#[serde(rename_all = "lowercase")]
pub enum BoxStatus {
    /// It boots.
    Pending,
    /// It takes actions.
    Running,
    /// It could not boot or broke.
    Error,
    /// It is gone; it can still be read.
    Terminated,
    /// A word that this crate does not know.
    #[serde(other)]
    Unknown,
}

impl BoxStatus {
    /// The word on the wire, e.g. `running`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Error => "error",
            Self::Terminated => "terminated",
            Self::Unknown => "unknown",
        }
    }
}

/// A box, as create, get and list answer it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "a box")]
#[serde(rename_all = "camelCase")]
pub struct BoxObject {
    /// UUID of the box.
    pub id: String,
    /// `android` or `linux`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it stands in its life.
    pub status: BoxStatus,
    /// ISO 8601 time.
    pub created_at: String,
    /// ISO 8601 time.
    pub updated_at: String,
    /// ISO 8601 time at which the box terminates itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Why it has its status, e.g. who terminated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it is.
    pub config: BoxConfig,
}

/// `config` of [`BoxObject`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "the configuration of a box")]
#[serde(rename_all = "camelCase")]
pub struct BoxConfig {
    /// The operating system.
    pub os: BoxOs,
    /// `virtual` or `physical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Folder in which commands run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Size of the screen, where the service tells it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Labels given on creation; the service may send null for none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Environment variables given on creation; the service may send null for none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub envs: BTreeMap<String, String>,
    /// Number of cores.
    pub cpu: f64,
    /// Memory in MiB.
    pub memory: f64,
    /// Storage in GiB.
    pub storage: f64,
}

/// `os` of [`BoxConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "the operating system of a box: an object with `version`")]
pub struct BoxOs {
    /// Android `12`, `13` or `15`.
    pub version: String,
}

/// Answer of `GET /boxes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "a list of boxes: an object with `data`")]
#[serde(rename_all = "camelCase")]
pub struct BoxList {
    /// The boxes of this page.
    pub data: Vec<BoxObject>,
    /// Number of this page, from 1.
    pub page: u32,
    /// Boxes a page.
    pub page_size: u32,
    /// Boxes on all pages.
    pub total: u64,
}

/// What is read of an answer of `GET /boxes`. A list may hold boxes of others, of kinds and in states that this crate does
/// not know, so only ids are asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BoxPage {
    /// The boxes of this page that have an id.
    pub boxes: Vec<ListedBox>,
    /// Boxes a page, where the service says so.
    pub page_size: Option<usize>,
    /// Entries that are no box.
    pub unreadable: usize,
    /// Equal pages have equal marks.
    pub mark: u64,
}

/// A box as a list tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedBox {
    /// Its id.
    pub id: String,
    /// Its status in the word of the service; empty when it tells none.
    pub status: String,
    /// ISO 8601 time, as the service wrote it.
    pub created_at: Option<String>,
    /// ISO 8601 time at which it terminates itself.
    pub expires_at: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl ListedBox {
    /// Whether there may be something to terminate: anything but a box that is gone.
    pub fn is_live(&self) -> bool {
        self.status != BoxStatus::Terminated.as_str()
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str)?;
            // These are shown: no control sequences, and no more than a line.
            Some(crate::printable::printable(text, 128))
        };
        let labels = value.get("config").and_then(|config| config.get("labels"));
        let labels = labels.and_then(Value::as_object).into_iter().flatten();
        Some(Self {
            id: value
                .get("id")
                .and_then(Value::as_str)
                .filter(|id| is_box_id(id))?
                .to_owned(),
            status: text("status").unwrap_or_default(),
            created_at: text("createdAt"),
            expires_at: text("expiresAt"),
            labels: labels
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
        })
    }
}

impl<'de> Deserialize<'de> for BoxPage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", expecting = "a list of boxes: an object with `data`")]
        struct Loose {
            data: Vec<Value>,
            #[serde(default)]
            page_size: Value,
        }
        let Loose { data, page_size } = Loose::deserialize(deserializer)?;
        let boxes: Vec<ListedBox> = data.iter().filter_map(ListedBox::read).collect();
        Ok(Self {
            unreadable: data.len() - boxes.len(),
            mark: {
                let mut hasher = DefaultHasher::new();
                data.iter().for_each(|value| value.to_string().hash(&mut hasher));
                hasher.finish()
            },
            page_size: page_size.as_u64().and_then(|size| usize::try_from(size).ok()),
            boxes,
        })
    }
}

/// Whether a text can stand in a path as the id of a box: letters, digits, `-` and `_`, at most 128.
pub fn is_box_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (1..=128).contains(&text.len()) && text.chars().all(plain)
}

/// Body of `POST /boxes/{id}/terminate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminate {
    /// Answer only when the box is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
}

/// Answer of `GET /boxes/{id}/display`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `orientation` and `resolution`")]
pub struct Display {
    /// `portrait`, `landscapeLeft`, `portraitUpsideDown` or `landscapeRight`.
    pub orientation: String,
    /// Size of the screen.
    pub resolution: Resolution,
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `width` and `height`")]
pub struct Resolution {
    /// Pixels from left to right.
    pub width: f64,
    /// Pixels from top to bottom.
    pub height: f64,
}

/// Body of an answer with an error status. Every field may be missing: the service declares no form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The HTTP status again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<ErrorMessage>,
    /// Name of the status, e.g. `Not Found`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `message` of [`ErrorBody`]: one text or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ErrorMessage {
    /// One complaint.
    One(String),
    /// A complaint a field.
    Many(Vec<String>),
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
