//! Snapshots: exact copies of boxes, from which new ones can be made.

use super::{
    reply::{ApiError, Parameters, read},
    state::Shared,
};
use crate::device::{Device, is_plain};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Snapshots that are kept.
const MOST: usize = 1000;

#[derive(Debug)]
struct Snapshot {
    id: String,
    device: Device,
}

/// All snapshots, by name.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    by_name: Mutex<BTreeMap<String, Snapshot>>,
}

impl Snapshots {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Snapshot>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what a snapshot has.
    pub fn device(&self, name: &str) -> Result<Device, ApiError> {
        let device = self.all().get(name).map(|snapshot| snapshot.device.clone());
        device.ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::not_found(format!("snapshot {name:?}: not found"))
}

fn shown(name: &str, snapshot: &Snapshot) -> Value {
    json!({ "id": snapshot.id, "name": name, "boxType": "android", "providerType": "vm", "status": "Available" })
}

#[derive(Debug, Deserialize)]
struct Create {
    name: String,
}

pub(super) async fn create(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let Create { name } = read("snapshot", &body)?;
    if !is_plain(&name) {
        return Err(ApiError::bad(format!("name: expected a word, got {name:?}")));
    }
    let device = state.with_running(&id, |device, _| {
        let mut copy = device.clone();
        // What is recorded belongs to the box alone.
        copy.recorder = Default::default();
        Ok(copy)
    })?;
    let mut all = state.snapshots.all();
    if all.contains_key(&name) || all.len() >= MOST {
        return Err(ApiError::bad(format!(
            "name: {name:?} is taken, or there are {MOST} snapshots"
        )));
    }
    let snapshot = Snapshot {
        id: uuid::Uuid::new_v4().to_string(),
        device,
    };
    let value = shown(&name, &snapshot);
    all.insert(name, snapshot);
    Ok((StatusCode::CREATED, Json(value)))
}

pub(super) async fn list(State(state): State<Shared>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let (page, size) = (query.count("page", 1)?, query.count("pageSize", 10)?);
    let all = state.snapshots.all();
    let start = (page as usize - 1).saturating_mul(size as usize);
    let data = all
        .iter()
        .skip(start)
        .take(size as usize)
        .map(|(name, snapshot)| shown(name, snapshot));
    let data: Vec<Value> = data.collect();
    Ok(Json(
        json!({ "data": data, "page": page, "pageSize": size, "total": all.len() }),
    ))
}

pub(super) async fn get(State(state): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let all = state.snapshots.all();
    let snapshot = all.get(&name).ok_or_else(|| missing(&name))?;
    Ok(Json(shown(&name, snapshot)))
}

pub(super) async fn remove(State(state): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    let removed = state.snapshots.all().remove(&name);
    removed.map(|_| StatusCode::OK).ok_or_else(|| missing(&name))
}
