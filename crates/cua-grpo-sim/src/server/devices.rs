//! The devices that boxes run on: one for each place that the quota has.

use super::{
    reply::{ApiError, Parameters, read},
    state::Shared,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use cua_grpo_gbox::wire::CreateBoxConfig;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the number of a device follows.
const PREFIX: &str = "sim-";

fn shown(place: usize, busy: bool) -> Value {
    json!({
        "deviceId": format!("{PREFIX}{place}"), "productModel": "Simulated phone", "providerId": "cua-grpo-sim",
        "providerType": "virtual", "status": "online", "enable": "enabled", "isIdle": !busy,
    })
}

/// The place of a device.
fn place(state: &Shared, device: &str) -> Result<usize, ApiError> {
    let place = device.strip_prefix(PREFIX).and_then(|number| number.parse().ok());
    let place = place.filter(|place| *place < state.config.quota);
    place.ok_or_else(|| ApiError::not_found(format!("device {device:?}: not found")))
}

pub(super) async fn list(State(state): State<Shared>, query: Parameters) -> Result<Json<Value>, ApiError> {
    let (page, size) = (query.count("page", 1)? as usize, query.count("pageSize", 10)? as usize);
    let busy = state.places();
    let places = (0..state.config.quota).skip((page - 1).saturating_mul(size)).take(size);
    let data: Vec<Value> = places
        .map(|place| shown(place, busy.iter().any(|(taken, _)| *taken == place)))
        .collect();
    Ok(Json(
        json!({ "data": data, "message": "success", "total": state.config.quota }),
    ))
}

pub(super) async fn get(State(state): State<Shared>, Path(device): Path<String>) -> Result<Json<Value>, ApiError> {
    let place = place(&state, &device)?;
    let busy = state.places().iter().any(|(taken, _)| *taken == place);
    Ok(Json(shown(place, busy)))
}

#[derive(Debug, Default, Deserialize)]
struct ToBox {
    force: Option<bool>,
}

/// A box on a device, by its id as plain text. One that is on it is ended with `force`; without, it keeps the device.
pub(super) async fn to_box(
    State(state): State<Shared>,
    Path(device): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, String), ApiError> {
    let ToBox { force } = read("box of a device", &body)?;
    let place = place(&state, &device)?;
    let holder = state.places().into_iter().find(|(taken, _)| *taken == place);
    if let Some((_, holder)) = holder {
        if !force.unwrap_or(false) {
            let message = format!("device {device}: box {holder} is on it; use force to end that");
            return Err(ApiError::new(StatusCode::LOCKED, message));
        }
        state.terminate(&holder)?;
    }
    let object = state.create(CreateBoxConfig::default(), Some(place))?;
    Ok((StatusCode::CREATED, object.id))
}
