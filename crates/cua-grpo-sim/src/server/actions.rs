//! Screenshots: on their own, and around an action.

use super::{
    reply::{ApiError, read},
    state::{Shared, SimState, duration},
};
use crate::{
    phone::{HEIGHT, Phone, WIDTH},
    render,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use cua_grpo_gbox::wire::{
    ActionOptions, ActionResult, ActionScreenshots, Clip, OutputFormat, Phase, ScreenLayout, Screenshot,
    ScreenshotOption, ScreenshotRequest, data_uri,
};
use image::imageops;
use serde_json::Value;
use std::time::Duration;

/// What an action did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The parameters really used.
    pub actual: Option<Value>,
    /// Where the screen was touched.
    pub points: Vec<(f64, f64)>,
}

/// Which pictures an action is to leave.
#[derive(Debug, Default)]
struct Shots {
    before: bool,
    after: bool,
    trace: bool,
    delay: Duration,
}

impl Shots {
    fn of(options: Option<ActionOptions>) -> Result<Self, ApiError> {
        let detailed = match options.and_then(|options| options.screenshot) {
            None | Some(ScreenshotOption::Enabled(false)) => return Ok(Self::default()),
            Some(ScreenshotOption::Enabled(true)) => Default::default(),
            Some(ScreenshotOption::Detailed(detailed)) => detailed,
        };
        inline(detailed.output_format)?;
        // A real phone needs 500 ms to settle; this one is settled at once.
        let delay = duration("options.screenshot.delay", detailed.delay.as_deref(), Duration::ZERO)?;
        if delay > Duration::from_secs(30) {
            return Err(ApiError::bad("options.screenshot.delay: expected at most 30s"));
        }
        let has = |phase| detailed.phases.as_ref().is_none_or(|phases| phases.contains(&phase));
        Ok(Self {
            before: has(Phase::Before),
            after: has(Phase::After),
            trace: has(Phase::Trace),
            delay,
        })
    }
}

fn inline(format: Option<OutputFormat>) -> Result<(), ApiError> {
    match format {
        None | Some(OutputFormat::Base64) => Ok(()),
        Some(OutputFormat::StorageKey) => Err(ApiError::bad(
            "outputFormat: this simulator has no object store; use base64",
        )),
    }
}

fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("encode screenshot: {error}"))
}

/// Pictures a phone and remembers what is on the picture.
fn shoot(state: &SimState, phone: &Phone) -> Result<Screenshot, ApiError> {
    let png = phone.screenshot_png().map_err(failed)?;
    state.memory.remember(&png, phone);
    Ok(Screenshot {
        uri: data_uri("image/png", &png),
        presigned_url: None,
        state: Some(phone.state()),
    })
}

fn shoot_trace(phone: &Phone, points: &[(f64, f64)]) -> Result<Screenshot, ApiError> {
    let mut image = phone.render();
    render::mark(&mut image, points);
    let png = render::encode(&image).map_err(failed)?;
    Ok(Screenshot {
        uri: data_uri("image/png", &png),
        presigned_url: None,
        state: Some(phone.state()),
    })
}

/// Carries out a gesture on a running box and takes the pictures asked for.
pub(super) async fn act(
    state: &SimState,
    id: &str,
    options: Option<ActionOptions>,
    gesture: impl FnOnce(&mut Phone) -> Result<Done, ApiError>,
) -> Result<Json<ActionResult>, ApiError> {
    let shots = Shots::of(options)?;
    // Pictures are drawn from copies, so that other boxes do not wait for the lock.
    let (before, done, mut after) = state.with_running(id, |phone, _| {
        let before = (shots.before || shots.trace).then(|| phone.clone());
        let done = gesture(phone)?;
        Ok((before, done, shots.after.then(|| phone.clone())))
    })?;
    if shots.after && !shots.delay.is_zero() {
        tokio::time::sleep(shots.delay).await;
        after = state.peek(id, |phone| phone.clone());
    }
    let mut pictures = ActionScreenshots::default();
    if let Some(before) = before {
        pictures.before = shots.before.then(|| shoot(state, &before)).transpose()?;
        pictures.trace = shots.trace.then(|| shoot_trace(&before, &done.points)).transpose()?;
    }
    pictures.after = after.map(|after| shoot(state, &after)).transpose()?;
    let any = shots.before || shots.after || shots.trace;
    Ok(Json(ActionResult {
        action_id: Some(uuid::Uuid::new_v4().to_string()),
        message: "Action executed successfully".to_owned(),
        actual: done.actual,
        screenshot: any.then_some(pictures),
    }))
}

pub(super) async fn screenshot(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Screenshot>, ApiError> {
    let request: ScreenshotRequest = read("screenshot", &body)?;
    inline(request.output_format)?;
    if request.scroll_capture.is_some() {
        return Err(ApiError::bad(
            "scrollCapture: this simulator pictures only what is visible",
        ));
    }
    let phone = state.with_running(&id, |phone, _| Ok(phone.clone()))?;
    match request.clip {
        None => shoot(&state, &phone).map(Json),
        Some(clip) => {
            let (x, y, width, height) = pixels(clip)?;
            let image = imageops::crop_imm(&phone.render(), x, y, width, height).to_image();
            let png = render::encode(&image).map_err(failed)?;
            Ok(Json(Screenshot {
                uri: data_uri("image/png", &png),
                presigned_url: None,
                state: Some(phone.state()),
            }))
        }
    }
}

fn pixels(clip: Clip) -> Result<(u32, u32, u32, u32), ApiError> {
    let (right, bottom) = (clip.x + clip.width, clip.y + clip.height);
    let inside = clip.x >= 0.0 && clip.y >= 0.0 && right <= f64::from(WIDTH) && bottom <= f64::from(HEIGHT);
    if !(inside && clip.width >= 1.0 && clip.height >= 1.0) {
        let message = format!("clip: expected a rectangle inside {WIDTH} x {HEIGHT} pixels, got {clip:?}");
        return Err(ApiError::bad(message));
    }
    Ok((clip.x as u32, clip.y as u32, clip.width as u32, clip.height as u32))
}

pub(super) async fn screen_layout(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<ScreenLayout>, ApiError> {
    state.with_running(&id, |phone, _| {
        Ok(Json(ScreenLayout {
            content: phone.screen_layout(),
        }))
    })
}
