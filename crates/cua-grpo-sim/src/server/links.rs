//! Pages for a person: the screen of a box as it changes, and a terminal. Whoever has the address may open it.

use super::{
    client::Caller,
    commands::{CommandBody, Job},
    pictures::failed,
    reply::{ApiError, read},
    state::{Shared, duration},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use cua_grpo_gbox::wire::CommandResult;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Life of an address when nothing is said.
const LIFE: Duration = Duration::from_secs(180 * 60);

/// Makes addresses that nobody can guess.
#[derive(Debug, Default)]
pub(super) struct Links {
    secret: RandomState,
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl Links {
    /// A token for a box, without an end.
    pub fn token(&self, id: &str) -> String {
        self.until(id, u64::MAX)
    }

    fn until(&self, id: &str, end: u64) -> String {
        format!("{end:x}-{:016x}", self.secret.hash_one((id, end)))
    }

    /// Whether a token is ours and still good.
    pub fn check(&self, id: &str, token: &str) -> Result<(), ApiError> {
        let end = token
            .split_once('-')
            .and_then(|(end, _)| u64::from_str_radix(end, 16).ok());
        match end {
            Some(end) if self.until(id, end) == token && seconds() <= end => Ok(()),
            _ => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "the address is not ours or has expired; ask for another",
            )),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    expires_in: Option<String>,
}

/// A token for a box that runs, with the end that was asked for.
fn token(state: &Shared, id: &str, body: &Bytes) -> Result<String, ApiError> {
    let asked: Asked = read("url", body)?;
    let life = duration("expiresIn", asked.expires_in.as_deref(), LIFE)?;
    state.with_running(id, |_, _| Ok(()))?;
    Ok(state.links.until(id, seconds().saturating_add(life.as_secs())))
}

pub(super) async fn live_view_url(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let base = format!("{}/live/{id}/{}", caller.origin(), token(&state, &id, &body)?);
    Ok(Json(json!({ "url": base, "rawUrl": format!("{base}/screen.png") })))
}

pub(super) async fn web_terminal_url(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let url = format!("{}/terminal/{id}/{}", caller.origin(), token(&state, &id, &body)?);
    Ok(Json(json!({ "url": url })))
}

const LIVE: &str = r#"<!doctype html><meta charset="utf-8"><title>Screen</title>
<style>body{margin:0;background:#222;display:grid;place-items:center;height:100vh}
img{max-height:100vh;image-rendering:pixelated;height:96vh}</style>
<img alt="The screen of the box"><script>
const image = document.querySelector("img"), base = location.pathname.replace(/\/$/, "");
const next = () => { image.src = base + "/screen.png?" + Date.now(); };
image.onload = () => setTimeout(next, 500); image.onerror = () => setTimeout(next, 3000); next();
</script>"#;

const TERMINAL: &str = r#"<!doctype html><meta charset="utf-8"><title>Terminal</title>
<style>body{background:#111;color:#ddd;font:14px monospace;margin:1em}input{width:80%;background:#222;color:#fff;
border:1px solid #555;font:inherit;padding:.3em}pre{white-space:pre-wrap}</style>
<pre></pre><form>$ <input autofocus autocomplete="off" aria-label="Command"></form><script>
const out = document.querySelector("pre"), field = document.querySelector("input");
document.querySelector("form").onsubmit = async (event) => {
  event.preventDefault();
  const command = field.value; field.value = "";
  const answer = await fetch(location.pathname.replace(/\/$/, "") + "/run", { method: "POST", body: JSON.stringify({ command }) });
  const result = await answer.json();
  out.textContent += "$ " + command + "\n" + (result.stdout ?? "") + (result.stderr ?? result.message ?? "");
  scrollTo(0, document.body.scrollHeight);
};
</script>"#;

type Link = Path<(String, String)>;

pub(super) async fn live(State(state): State<Shared>, Path((id, token)): Link) -> Result<Html<&'static str>, ApiError> {
    state.links.check(&id, &token)?;
    Ok(Html(LIVE))
}

/// The screen now; looking does not count as a request to the box.
pub(super) async fn screen(State(state): State<Shared>, Path((id, token)): Link) -> Result<Response, ApiError> {
    state.links.check(&id, &token)?;
    let picture = state.peek(&id, |device| device.picture());
    let picture = picture.ok_or_else(|| ApiError::not_found(format!("box {id}: not found")))?;
    let png = picture.png().map_err(failed)?;
    let headers = [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, png).into_response())
}

pub(super) async fn terminal(
    State(state): State<Shared>,
    Path((id, token)): Link,
) -> Result<Html<&'static str>, ApiError> {
    state.links.check(&id, &token)?;
    Ok(Html(TERMINAL))
}

pub(super) async fn run(
    State(state): State<Shared>,
    Path((id, token)): Link,
    body: Bytes,
) -> Result<Json<CommandResult>, ApiError> {
    state.links.check(&id, &token)?;
    let body: CommandBody = read("command", &body)?;
    Job::command(body)?.run(&state, &id).await.map(Json)
}
