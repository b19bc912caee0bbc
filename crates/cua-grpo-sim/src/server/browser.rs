//! The browser of a box: its tabs, its proxy, and where a debugger reaches it.

use super::{
    client::Caller,
    reply::{ApiError, read},
    state::{Shared, duration},
};
use crate::device::{BROWSER, BrowserProxy, Device, Tab};
use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Life of an address for debuggers when nothing is said.
const LIFE: Duration = Duration::from_secs(3 * 3600);

fn shown(device: &Device, tab: &Tab) -> Value {
    let active = device.browser.active().is_some_and(|active| active.id == tab.id);
    json!({
        "id": tab.id, "title": tab.title(), "url": tab.url, "favicon": tab.favicon(),
        "active": active, "loading": false,
    })
}

fn no_tab(id: &str) -> ApiError {
    ApiError::not_found(format!("tab {id:?}: not found"))
}

#[derive(Debug, Deserialize)]
struct Address {
    url: String,
}

pub(super) async fn tabs(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    state.with_running(&id, |device, _| {
        let tabs: Vec<Value> = device.browser.tabs.iter().map(|tab| shown(device, tab)).collect();
        Ok(Json(json!({ "data": tabs })))
    })
}

pub(super) async fn open_tab(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let Address { url } = read("tab", &body)?;
    state.with_running(&id, |device, _| {
        let tab = device.browser.open(&url).map_err(ApiError::bad)?;
        device.show_tab();
        Ok((StatusCode::CREATED, Json(shown(device, &tab))))
    })
}

pub(super) async fn update_tab(
    State(state): State<Shared>,
    Path((id, tab)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let Address { url } = read("tab", &body)?;
    state.with_running(&id, |device, _| {
        let updated = device.browser.update(&tab, &url).map_err(ApiError::bad)?;
        let updated = updated.ok_or_else(|| no_tab(&tab))?;
        if device.browser.active().is_some_and(|active| active.id == updated.id) {
            device.show_tab();
        }
        Ok(Json(shown(device, &updated)))
    })
}

pub(super) async fn switch_tab(
    State(state): State<Shared>,
    Path((id, tab)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    state.with_running(&id, |device, _| {
        let switched = device.browser.switch(&tab).ok_or_else(|| no_tab(&tab))?;
        device.show_tab();
        Ok(Json(shown(device, &switched)))
    })
}

pub(super) async fn close_tab(
    State(state): State<Shared>,
    Path((id, tab)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    state.with_running(&id, |device, _| {
        if !device.browser.close(&tab) {
            return Err(no_tab(&tab));
        }
        if device.phone.front() == BROWSER {
            device.show_tab();
        }
        Ok(Json(json!({ "message": format!("Tab {tab} closed") })))
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "read to be checked; a phone's browser always fills its screen")]
struct Opening {
    maximize: Option<bool>,
    show_controls: Option<bool>,
    size: Option<String>,
}

pub(super) async fn open(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let _: Opening = read("browser", &body)?;
    state.with_running(&id, |device, _| {
        device.show_tab();
        Ok(Json(json!({ "cdpUrl": cdp(&state, &caller, &id) })))
    })
}

pub(super) async fn close(State(state): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        device.close(BROWSER).map_err(ApiError::bad)?;
        device.browser.tabs.clear();
        Ok(StatusCode::OK)
    })
}

fn cdp(state: &Shared, caller: &Caller, id: &str) -> String {
    let token = state.links.token(id);
    format!("{}/devtools/{id}/{token}", caller.socket_origin())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connecting {
    expires_in: Option<String>,
}

/// The address as plain text.
pub(super) async fn cdp_url(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<String, ApiError> {
    let request: Connecting = read("connect url", &body)?;
    duration("expiresIn", request.expires_in.as_deref(), LIFE)?;
    state.with_running(&id, |_, _| Ok(cdp(&state, &caller, &id)))
}

/// The old form of it.
pub(super) async fn connect_url(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    state.with_running(&id, |_, _| Ok(Json(json!({ "cdpUrl": cdp(&state, &caller, &id) }))))
}

/// A debugger's connection: the few commands of the DevTools protocol that need no page.
pub(super) async fn devtools(
    State(state): State<Shared>,
    Path((id, token)): Path<(String, String)>,
    socket: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    state.links.check(&id, &token)?;
    let socket = socket.max_message_size(state.config.limits.body_bytes);
    Ok(socket.on_upgrade(move |socket| debug(state, id, socket)))
}

async fn debug(state: Shared, id: String, mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let request: Value = serde_json::from_str(&text).unwrap_or_default();
        let number = request["id"].clone();
        let method = request["method"].as_str().unwrap_or_default();
        let answer = match devtool(&state, &id, method, &request["params"]) {
            Ok(result) => json!({ "id": number, "result": result }),
            Err(message) => json!({ "id": number, "error": { "code": -32601, "message": message } }),
        };
        if socket.send(Message::text(answer.to_string())).await.is_err() {
            return;
        }
    }
}

fn devtool(state: &Shared, id: &str, method: &str, parameters: &Value) -> Result<Value, String> {
    let url = || parameters["url"].as_str().unwrap_or("about:blank");
    let target = || parameters["targetId"].as_str().unwrap_or_default();
    let outcome = state.with_running(id, |device, _| {
        Ok(match method {
            "Browser.getVersion" => Ok(json!({
                "protocolVersion": "1.3", "product": "Chrome/simulated", "revision": "", "userAgent": "cua-grpo-sim",
                "jsVersion": "",
            })),
            "Target.getTargets" => {
                let tabs = device.browser.tabs.iter().map(|tab| {
                    json!({
                        "targetId": tab.id, "type": "page", "title": tab.title(), "url": tab.url, "attached": false,
                        "canAccessOpener": false,
                    })
                });
                Ok(json!({ "targetInfos": tabs.collect::<Vec<_>>() }))
            }
            "Target.createTarget" => device.browser.open(url()).map(|tab| {
                device.show_tab();
                json!({ "targetId": tab.id })
            }),
            "Target.activateTarget" => match device.browser.switch(target()) {
                Some(_) => {
                    device.show_tab();
                    Ok(json!({}))
                }
                None => Err("No target with given id found".to_owned()),
            },
            "Target.closeTarget" => Ok(json!({ "success": device.browser.close(target()) })),
            other => Err(format!("'{other}' wasn't found: pages are not simulated")),
        })
    });
    outcome.map_err(|error| error.to_string())?
}

/// The browser's own proxy on the wire; all empty means none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProxyBody {
    http_server: String,
    https_server: String,
    socks5_server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bypass_list: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pac_url: Option<String>,
}

pub(super) async fn get_proxy(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<ProxyBody>, ApiError> {
    state.with_running(&id, |device, _| {
        let proxy = device.browser.proxy.clone();
        Ok(Json(ProxyBody {
            http_server: proxy.http,
            https_server: proxy.https,
            socks5_server: proxy.socks5,
            bypass_list: proxy.bypass,
            pac_url: proxy.pac_url,
        }))
    })
}

pub(super) async fn set_proxy(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let proxy: ProxyBody = read("browser proxy", &body)?;
    state.with_running(&id, |device, _| {
        device.browser.proxy = BrowserProxy {
            http: proxy.http_server,
            https: proxy.https_server,
            socks5: proxy.socks5_server,
            bypass: proxy.bypass_list,
            pac_url: proxy.pac_url,
        };
        Ok(StatusCode::OK)
    })
}

pub(super) async fn clear_proxy(State(state): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        device.browser.proxy = BrowserProxy::default();
        Ok(StatusCode::OK)
    })
}
