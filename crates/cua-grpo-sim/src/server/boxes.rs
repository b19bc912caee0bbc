//! The box endpoints: create, list, get, terminate, display, and shell commands.

use super::{
    reply::{ApiError, read},
    state::{Shared, duration},
};
use crate::phone::{HEIGHT, WIDTH};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
};
use cua_grpo_gbox::wire::{BoxList, BoxObject, Command, CommandResult, CreateBox, Display, Resolution, Terminate};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) async fn create_android(
    State(state): State<Shared>,
    body: Bytes,
) -> Result<(StatusCode, Json<BoxObject>), ApiError> {
    let request: CreateBox = read("create box", &body)?;
    let timeout = duration("timeout", request.timeout.as_deref(), Duration::from_secs(30))?;
    if timeout > Duration::from_secs(300) {
        return Err(ApiError::bad("timeout: expected at most 5m"));
    }
    let mut object = state.create(request.config.unwrap_or_default())?;
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

pub(super) async fn list(
    State(state): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, ApiError> {
    let (mut page, mut page_size) = (1_u32, 10_u32);
    let mut data = state.objects();
    for (name, value) in &query {
        let listed = |word: &str| value.split(',').any(|item| item == word || item == "all");
        let number = || {
            let parsed = value.parse::<u32>().ok().filter(|number| *number > 0);
            parsed.ok_or_else(|| ApiError::bad(format!("list boxes: expected {name} above 0, got {value:?}")))
        };
        match name.as_str() {
            "page" => page = number()?,
            "pageSize" => page_size = number()?,
            "status" => data.retain(|object| listed(object.status.as_str())),
            "type" => data.retain(|object| listed(&object.kind)),
            "deviceType" => data.retain(|object| object.config.device_type.as_deref().is_some_and(listed)),
            name => match name.strip_prefix("labels[").and_then(|rest| rest.strip_suffix(']')) {
                Some(label) => data.retain(|object| object.config.labels.get(label) == Some(value)),
                None => return Err(ApiError::bad(format!("list boxes: unknown parameter {name:?}"))),
            },
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

pub(super) async fn display(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Display>, ApiError> {
    let resolution = Resolution {
        width: f64::from(WIDTH),
        height: f64::from(HEIGHT),
    };
    state.with_running(&id, |_, _| {
        Ok(Json(Display {
            orientation: "portrait".to_owned(),
            resolution,
        }))
    })
}

pub(super) async fn commands(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<CommandResult>, ApiError> {
    let request: Command = read("command", &body)?;
    duration("timeout", request.timeout.as_deref(), Duration::from_secs(30))?;
    state.with_running(&id, |phone, object| {
        let mut variables = object.config.envs.clone();
        variables.extend(request.envs);
        let output = phone.shell_with(&request.command, &variables);
        Ok(Json(CommandResult {
            stdout: output.stdout,
            stderr: output.stderr,
            exit_code: i64::from(output.exit_code),
        }))
    })
}
