//! Whom the phone's traffic goes through. Host and port are in the settings, where the shell finds them too.

use super::{
    reply::{ApiError, read},
    state::Shared,
};
use crate::device::{Device, ProxyDetails};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use cua_grpo_phone::state::Table;
use serde::{Deserialize, Serialize};

/// The setting, as `HOST:PORT`.
const SETTING: &str = "http_proxy";
/// The setting for hosts that are reached directly, with commas.
const EXCLUDED: &str = "global_http_proxy_exclusion_list";

#[derive(Debug, Serialize, Deserialize)]
struct Auth {
    username: String,
    password: String,
}

/// A proxy on the wire. Host and port of none are empty and 0, as Android has it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Proxy {
    host: String,
    port: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excludes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pac_url: Option<String>,
}

impl Proxy {
    fn of(device: &Device) -> Self {
        let set = device.setting(Table::Global, SETTING);
        let Some((host, port)) = set.and_then(|set| set.rsplit_once(':')) else {
            return Self::default();
        };
        let details = &device.proxy;
        let auth = details.auth.clone();
        Self {
            host: host.to_owned(),
            port: port.parse().unwrap_or(0.0),
            auth: auth.map(|(username, password)| Auth { username, password }),
            excludes: details.excludes.clone(),
            pac_url: details.pac_url.clone(),
        }
    }

    fn check(&self) -> Result<(), ApiError> {
        let odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '/';
        if self.host.is_empty() || self.host.len() > 255 || self.host.contains(odd) {
            return Err(ApiError::bad(format!(
                "host: expected the name of a host, got {:?}",
                self.host
            )));
        }
        if self.port.fract() != 0.0 || !(1.0..=65_535.0).contains(&self.port) {
            return Err(ApiError::bad(format!("port: expected 1 to 65535, got {}", self.port)));
        }
        Ok(())
    }
}

pub(super) async fn get(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Proxy>, ApiError> {
    state.with_running(&id, |device, _| Ok(Json(Proxy::of(device))))
}

pub(super) async fn set(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Proxy>, ApiError> {
    let mut proxy: Proxy = read("proxy", &body)?;
    proxy.check()?;
    let excludes = proxy
        .excludes
        .get_or_insert_with(|| vec!["127.0.0.1".to_owned(), "localhost".to_owned()]);
    let excluded = excludes.join(",");
    state.with_running(&id, |device, _| {
        let address = format!("{}:{}", proxy.host, proxy.port);
        device.set_setting(Table::Global, SETTING, Some(address));
        device.set_setting(Table::Global, EXCLUDED, Some(excluded));
        let auth = proxy.auth.as_ref();
        device.proxy = ProxyDetails {
            auth: auth.map(|auth| (auth.username.clone(), auth.password.clone())),
            excludes: proxy.excludes.clone(),
            pac_url: proxy.pac_url.clone(),
        };
        Ok(Json(Proxy::of(device)))
    })
}

pub(super) async fn clear(State(state): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        device.set_setting(Table::Global, SETTING, None);
        device.set_setting(Table::Global, EXCLUDED, None);
        device.proxy = ProxyDetails::default();
        Ok(StatusCode::OK)
    })
}
