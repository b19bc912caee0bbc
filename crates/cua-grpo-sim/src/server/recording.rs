//! Films of the screen, and looking back at its last minutes.

use super::{
    client::Caller,
    reply::{ApiError, read},
    state::{Shared, duration},
    storage::DEFAULT_LIFE,
};
use crate::device::LONGEST_REWIND;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// What is looked back when nothing is said.
const DEFAULT_REWIND: Duration = Duration::from_secs(30);

fn kept(state: &Shared, caller: &Caller, id: &str, film: Bytes) -> Json<Value> {
    let (key, address) = state.keep(caller, id, ("mp4", "video/mp4"), film, DEFAULT_LIFE);
    Json(json!({ "storageKey": key, "presignedUrl": address }))
}

pub(super) async fn start(State(state): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        if device.recorder.start() {
            Ok(StatusCode::OK)
        } else {
            Err(ApiError::bad("recording: there is one already; stop it first"))
        }
    })
}

pub(super) async fn stop(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    let film = state.with_running(&id, |device, _| {
        let size = device.geometry().unscaled().picture();
        Ok(device.recorder.stop(size))
    })?;
    let film = film.ok_or_else(|| ApiError::bad("recording: there is none; start one first"))?;
    Ok(kept(&state, &caller, &id, film))
}

pub(super) async fn enable_rewind(State(state): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        device.recorder.enable_rewind();
        Ok(StatusCode::OK)
    })
}

pub(super) async fn disable_rewind(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        device.recorder.disable_rewind();
        Ok(StatusCode::OK)
    })
}

#[derive(Debug, Deserialize)]
struct Extract {
    duration: Option<String>,
}

pub(super) async fn extract(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let request: Extract = read("extract", &body)?;
    let length = duration("duration", request.duration.as_deref(), DEFAULT_REWIND)?;
    if length.is_zero() || length > LONGEST_REWIND {
        return Err(ApiError::bad("duration: expected more than 0 and at most 5m"));
    }
    let film = state.with_running(&id, |device, _| {
        let size = device.geometry().unscaled().picture();
        Ok(device.recorder.extract(length, size))
    })?;
    let film = film.ok_or_else(|| ApiError::bad("rewind: it is not enabled; enable it first"))?;
    Ok(kept(&state, &caller, &id, film))
}
