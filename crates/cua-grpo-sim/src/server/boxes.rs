//! The box endpoints: create, list, get, terminate, display, scale and clipboard.

use super::{
    reply::{ApiError, Parameters, read},
    state::{Shared, duration, resolution},
    touch::ORIENTATIONS,
};
use crate::device::SIDES;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use cua_grpo_gbox::wire::{BoxList, BoxObject, CreateBox, Display, Resolution, Terminate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Words for the status of boxes, those of old clients among them.
const STATUSES: [&str; 7] = ["all", "pending", "running", "error", "terminated", "stopped", "deleted"];
/// Pixels of a screen.
const MOST_PIXELS: u32 = 8_000_000;
/// What the clipboard takes, in bytes.
const LARGEST_CLIPBOARD: usize = 1024 * 1024;

pub(super) async fn create_android(
    State(state): State<Shared>,
    body: Bytes,
) -> Result<(StatusCode, Json<BoxObject>), ApiError> {
    let request: CreateBox = read("create box", &body)?;
    let timeout = duration("timeout", request.timeout.as_deref(), Duration::from_secs(30))?;
    if timeout > Duration::from_secs(300) {
        return Err(ApiError::bad("timeout: expected at most 5m"));
    }
    let mut object = state.create(request.config.unwrap_or_default(), None)?;
    if request.wait.unwrap_or(true) {
        let boot = state.config.latency.boot;
        tokio::time::sleep(boot.min(timeout)).await;
        if boot > timeout {
            state.discard(&object.id);
            let message = "create box: the box did not run within the timeout and was deleted";
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, message));
        }
        object = state.object(&object.id)?;
    }
    Ok((StatusCode::CREATED, Json(object)))
}

pub(super) async fn create_linux() -> ApiError {
    ApiError::bad("create box: this simulator has Android phones only; use /boxes/android")
}

pub(super) async fn list(State(state): State<Shared>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let (mut page, page_size) = (query.count("page", 1)?, query.count("pageSize", 10)?);
    let mut data = state.objects();
    let listed = |words: &Option<Vec<&str>>, word: &str| {
        words
            .as_ref()
            .is_none_or(|words| words.iter().any(|wanted| *wanted == word || *wanted == "all"))
    };
    let statuses = query.words("status", &STATUSES)?;
    let kinds = query.words("type", &["all", "linux", "android"])?;
    let devices = query.words("deviceType", &["all", "virtual", "physical", "container", "vm"])?;
    data.retain(|object| {
        listed(&statuses, object.status.as_str())
            && listed(&kinds, &object.kind)
            && listed(&devices, object.config.device_type.as_deref().unwrap_or_default())
    });
    for (name, value) in &query.0 {
        let label = name.strip_prefix("labels[").and_then(|rest| rest.strip_suffix(']'));
        let known = ["page", "pageSize", "status", "type", "deviceType", "status[]", "type[]"];
        match label {
            Some(label) => data.retain(|object| object.config.labels.get(label) == Some(value)),
            None if known.contains(&name.as_str()) => {}
            None => return Err(ApiError::bad(format!("list boxes: unknown parameter {name:?}"))),
        }
    }
    let faults = &state.config.faults;
    if faults.pages_ignored {
        page = 1;
    }
    let total = data.len() as u64;
    let start = (page as usize - 1).saturating_mul(page_size as usize);
    let data = data.into_iter().skip(start).take(page_size as usize).collect();
    let list = BoxList {
        data,
        page,
        page_size,
        total,
    };
    let mut list = json!(list);
    if let Some(data) = list["data"].as_array_mut() {
        data.extend((0..faults.foreign_boxes).map(foreign));
    }
    Ok(Json(list))
}

/// A box of someone else, as this version of the API does not know them.
fn foreign(number: usize) -> Value {
    json!({"id": format!("foreign-{number}"), "status": "hibernating", "config": {"labels": {"owner": "someone else"}}})
}

pub(super) async fn get(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<BoxObject>, ApiError> {
    Ok(Json(state.object(&id)?))
}

pub(super) async fn terminate(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let _: Terminate = read("terminate box", &body)?;
    state.terminate(&id)?;
    Ok(StatusCode::OK)
}

/// Starting and stopping change nothing: a box runs from its birth to its end.
pub(super) async fn keep_running(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<BoxObject>, ApiError> {
    let _: Terminate = read("box", &body)?;
    state.with_running(&id, |_, object| Ok(Json(object.clone())))
}

pub(super) async fn display(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Display>, ApiError> {
    state.with_running(&id, |device, _| {
        Ok(Json(Display {
            orientation: ORIENTATIONS[device.rotation()].to_owned(),
            resolution: resolution(device.geometry()),
        }))
    })
}

/// The phone draws as before; its pictures, and what is touched on them, have the new size.
pub(super) async fn set_resolution(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Resolution>, ApiError> {
    let asked: Resolution = read("resolution", &body)?;
    let side = |name: &str, pixels: f64| {
        let whole = pixels as u32;
        if pixels.fract() == 0.0 && SIDES.contains(&whole) {
            return Ok(whole);
        }
        let (least, most) = SIDES.into_inner();
        Err(ApiError::bad(format!(
            "{name}: expected {least} to {most} whole pixels, got {pixels}"
        )))
    };
    let (width, height) = (side("width", asked.width)?, side("height", asked.height)?);
    if width * height > MOST_PIXELS {
        let message = format!("resolution: expected at most {MOST_PIXELS} pixels, got {width} x {height}");
        return Err(ApiError::bad(message));
    }
    let geometry = state.with_running(&id, |device, _| {
        device.resize(width, height);
        Ok(device.geometry())
    })?;
    state.resized(&id, geometry);
    Ok(Json(resolution(geometry)))
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Scale {
    scale: f64,
}

pub(super) async fn settings(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Scale>, ApiError> {
    state.with_running(&id, |device, _| {
        Ok(Json(Scale {
            scale: device.geometry().scale,
        }))
    })
}

pub(super) async fn set_settings(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Scale>, ApiError> {
    let Scale { scale } = read("settings", &body)?;
    if !(scale > 0.1 && scale <= 1.0) {
        return Err(ApiError::bad(format!(
            "scale: expected more than 0.1 and at most 1, got {scale}"
        )));
    }
    rescale(&state, &id, scale)
}

pub(super) async fn reset_settings(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Scale>, ApiError> {
    rescale(&state, &id, 1.0)
}

fn rescale(state: &Shared, id: &str, scale: f64) -> Result<Json<Scale>, ApiError> {
    state.with_running(id, |device, _| {
        device.rescale(scale);
        Ok(Json(Scale { scale }))
    })
}

#[derive(Debug, Deserialize)]
struct Clipboard {
    content: String,
}

/// The clipboard as plain text.
pub(super) async fn clipboard(State(state): State<Shared>, Path(id): Path<String>) -> Result<String, ApiError> {
    state.with_running(&id, |device, _| Ok(device.clipboard().to_owned()))
}

pub(super) async fn set_clipboard(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let Clipboard { content } = read("clipboard", &body)?;
    if content.len() > LARGEST_CLIPBOARD {
        return Err(ApiError::bad(format!(
            "content: expected at most {LARGEST_CLIPBOARD} bytes"
        )));
    }
    state.with_running(&id, |device, _| {
        device.set_clipboard(content);
        Ok(StatusCode::OK)
    })
}
