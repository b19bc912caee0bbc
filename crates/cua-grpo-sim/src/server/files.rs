//! The file endpoints, on the files that the shell of the box sees too.

use super::{
    form::Form,
    reply::{ApiError, Parameters, read},
    state::Shared,
};
use crate::{
    device::{File, WORKING_FOLDER, file_name, resolve},
    time::iso_ms,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

type Answer = Result<Json<Value>, ApiError>;

/// Deepest listing.
const DEEPEST: u32 = 64;

/// A file or folder on the wire.
fn shown(path: &str, entry: &File) -> Value {
    let mut value = json!({
        "type": if entry.is_folder() { "dir" } else { "file" },
        "name": file_name(path),
        "path": path,
        "mode": entry.mode(),
        "lastModified": iso_ms(entry.changed),
    });
    if !entry.is_folder() {
        value["size"] = format!("{}B", entry.length()).into();
    }
    value
}

/// A path as it was sent, from the folder that was sent with it or the box's own.
fn full(path: &str, folder: Option<&str>) -> Result<String, ApiError> {
    let folder = resolve(WORKING_FOLDER, folder.unwrap_or(WORKING_FOLDER))?;
    Ok(resolve(&folder, path)?)
}

fn asked(query: &Parameters) -> Result<String, ApiError> {
    full(query.required("path")?, query.get("workingDir"))
}

pub(super) async fn list(State(state): State<Shared>, Path(id): Path<String>, query: Parameters) -> Answer {
    let (path, depth) = (asked(&query)?, query.count("depth", 1)?);
    if depth > DEEPEST {
        return Err(ApiError::bad(format!("depth: expected at most {DEEPEST}, got {depth}")));
    }
    state.with_running(&id, |device, _| {
        let list = device.files().list(&path, depth as usize)?;
        let data: Vec<Value> = list.into_iter().map(|(path, entry)| shown(path, entry)).collect();
        Ok(Json(json!({ "data": data })))
    })
}

/// The content as text; bytes that are none are replaced.
pub(super) async fn read_file(State(state): State<Shared>, Path(id): Path<String>, query: Parameters) -> Answer {
    let path = asked(&query)?;
    let bytes = state.with_running(&id, |device, _| Ok(device.read_file(&path)?))?;
    Ok(Json(json!({ "content": String::from_utf8_lossy(&bytes) })))
}

pub(super) async fn info(State(state): State<Shared>, Path(id): Path<String>, query: Parameters) -> Answer {
    let path = asked(&query)?;
    state.with_running(&id, |device, _| match device.files().get(&path) {
        Some(entry) => Ok(Json(shown(&path, entry))),
        None => Err(missing(&path)),
    })
}

fn missing(path: &str) -> ApiError {
    ApiError::not_found(format!("{path}: No such file or directory"))
}

/// Writes a file with the folders above it. One that is there is replaced: the SDKs write files anew by the same call.
pub(super) async fn write(State(state): State<Shared>, Path(id): Path<String>, form: Form) -> Answer {
    let path = full(form.required("path")?, form.text("workingDir")?)?;
    let content = form.bytes("content")?;
    state.with_running(&id, |device, _| {
        device.files_mut().write(&path, content)?;
        let mut value = device
            .files()
            .get(&path)
            .map(|entry| shown(&path, entry))
            .unwrap_or_default();
        // Old clients read this alone.
        value["message"] = format!("{path} written").into();
        Ok(Json(value))
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    path: String,
    working_dir: Option<String>,
}

pub(super) async fn exists(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let Asked { path, working_dir } = read("exists", &body)?;
    let path = full(&path, working_dir.as_deref())?;
    state.with_running(&id, |device, _| {
        let entry = device.files().get(&path);
        let kind = entry.map(|entry| if entry.is_folder() { "dir" } else { "file" });
        Ok(Json(match kind {
            Some(kind) => json!({ "exists": true, "type": kind }),
            None => json!({ "exists": false }),
        }))
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rename {
    old_path: String,
    new_path: String,
    working_dir: Option<String>,
}

pub(super) async fn rename(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let request: Rename = read("rename", &body)?;
    let folder = request.working_dir.as_deref();
    let (old, new) = (full(&request.old_path, folder)?, full(&request.new_path, folder)?);
    state.with_running(&id, |device, _| {
        device.files_mut().rename(&old, &new)?;
        let entry = device.files().get(&new).ok_or_else(|| missing(&new))?;
        Ok(Json(shown(&new, entry)))
    })
}

pub(super) async fn remove(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let Asked { path, working_dir } = read("remove", &body)?;
    let path = full(&path, working_dir.as_deref())?;
    state.with_running(&id, |device, _| {
        device.files_mut().remove(&path)?;
        Ok(Json(json!({ "message": format!("{path} removed") })))
    })
}
