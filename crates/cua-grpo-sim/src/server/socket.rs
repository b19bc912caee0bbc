//! Commands and code over a WebSocket: one request comes, then output by lines, then the end.

use super::{client::Caller, commands::Job, reply::ApiError, state::Shared};
use axum::{
    Json,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
};
use cua_grpo_gbox::wire::CommandResult;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for the request.
const PATIENCE: Duration = Duration::from_secs(30);

/// `GET /boxes/{id}/websocket-url`.
pub(super) async fn urls(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    state.with_running(&id, |_, _| Ok(()))?;
    let base = format!("{}/boxes/{id}/websocket", caller.socket_origin());
    Ok(Json(
        json!({ "command": format!("{base}/command"), "runCode": format!("{base}/run-code") }),
    ))
}

pub(super) async fn command(
    State(state): State<Shared>,
    Path(id): Path<String>,
    socket: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    open(state, id, socket, |request| Job::command(parse("command", request)?))
}

pub(super) async fn run_code(
    State(state): State<Shared>,
    Path(id): Path<String>,
    socket: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    open(state, id, socket, |request| Job::code(parse("runCode", request)?))
}

fn open(
    state: Shared,
    id: String,
    socket: WebSocketUpgrade,
    job: fn(Value) -> Result<Job, ApiError>,
) -> Result<Response, ApiError> {
    state.with_running(&id, |_, _| Ok(()))?;
    let socket = socket.max_message_size(state.config.limits.body_bytes);
    Ok(socket.on_upgrade(move |socket| serve(state, id, socket, job)))
}

/// Reads a request: what is run under its name, and around it, or in it, everything else.
fn parse<T: DeserializeOwned>(name: &str, mut request: Value) -> Result<T, ApiError> {
    let mut inner = request.get_mut(name).map(Value::take);
    if let (Some(Value::Object(inner)), Value::Object(outer)) = (&mut inner, request) {
        for (key, value) in outer {
            if key != name {
                inner.entry(key).or_insert(value);
            }
        }
    }
    let inner = inner.ok_or_else(|| ApiError::bad(format!("{name}: expected an object, got none")))?;
    serde_json::from_value(inner).map_err(|error| ApiError::bad(format!("read {name}: {error}")))
}

async fn serve(state: Shared, id: String, mut socket: WebSocket, job: fn(Value) -> Result<Job, ApiError>) {
    let Ok(Some(Ok(Message::Text(text)))) = tokio::time::timeout(PATIENCE, socket.recv()).await else {
        return;
    };
    let request = serde_json::from_str(&text).map_err(|error| ApiError::bad(format!("read request: {error}")));
    let result = match request.and_then(job) {
        Ok(job) => job.run(&state, &id).await,
        Err(error) => Err(error),
    };
    let result = result.unwrap_or_else(|error| CommandResult {
        stderr: format!("{error}\n"),
        exit_code: 1,
        ..CommandResult::default()
    });
    let lines = |event: &'static str, text: &str| {
        let lines: Vec<Value> = text
            .split_inclusive('\n')
            .map(|line| json!({ "event": event, "data": line }))
            .collect();
        lines
    };
    let end = json!({ "event": "end", "exitCode": result.exit_code });
    let events = lines("stdout", &result.stdout)
        .into_iter()
        .chain(lines("stderr", &result.stderr))
        .chain([end]);
    for event in events {
        if socket.send(Message::text(event.to_string())).await.is_err() {
            // The client went away.
            return;
        }
    }
    // The client closes. Reading on until nothing comes any more sends it our half of that.
    while let Ok(Some(Ok(_))) = tokio::time::timeout(PATIENCE, socket.recv()).await {}
}
