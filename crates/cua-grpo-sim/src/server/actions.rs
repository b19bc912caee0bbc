//! Screenshots: on their own, and around an action.

use super::{
    client::Caller,
    pictures::{Hand, failed},
    reply::{ApiError, read},
    state::{Shared, duration},
};
use crate::{
    device::{Device, Picture},
    render,
    time::iso,
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request, State},
    response::{IntoResponse, Response},
};
use cua_grpo_gbox::wire::{
    ActionOptions, ActionResult, ActionScreenshots, Clip, OutputFormat, Phase, ScreenLayout, Screenshot,
    ScreenshotOption, ScreenshotOptions, ScreenshotRequest,
};
use image::imageops;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// Models that resolve descriptions at the service; here one thing resolves them all.
const MODELS: [&str; 6] = ["gpt-5", "gpt-4o", "gelato", "ui-tars", "uitars", "openai-computer-use"];
/// Longest wait between an action and the picture after it.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Highest picture of a list, in pixels, when nothing is said, and at most.
const HIGHEST: f64 = 4000.0;
const HIGHEST_AT_ALL: f64 = 10_000.0;

/// An action as it was asked for: on which box, by whom, and with what body.
#[derive(Debug)]
pub(super) struct Asked {
    state: Shared,
    caller: Caller,
    id: String,
    body: Bytes,
}

impl FromRequest<Shared> for Asked {
    type Rejection = Response;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Path(id) = Path::<String>::from_request_parts(&mut parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let Ok(caller) = Caller::from_request_parts(&mut parts, state).await;
        let body = Bytes::from_request(Request::from_parts(parts, body), state)
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(Self {
            state: state.clone(),
            caller,
            id,
            body,
        })
    }
}

impl Asked {
    /// The body as a request of this kind; `what` names it in errors.
    pub fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, ApiError> {
        read(what, &self.body)
    }
}

/// What an action did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The parameters really used.
    pub actual: Option<Value>,
    /// Where the screen was touched, in pixels of the picture.
    pub points: Vec<(f64, f64)>,
}

/// What stood beside `options` once; ignored when `options.screenshot` is there.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deprecated {
    include_screenshot: Option<bool>,
    output_format: Option<OutputFormat>,
    screenshot_delay: Option<String>,
    presigned_expires_in: Option<String>,
}

/// Which pictures an action is to leave.
#[derive(Debug, Default)]
struct Shots {
    before: bool,
    after: bool,
    trace: bool,
    delay: Duration,
    format: Option<OutputFormat>,
    presigned_expires_in: Option<String>,
}

impl Shots {
    fn of(options: Option<ActionOptions>, asked: &Asked) -> Result<Self, ApiError> {
        let old: Deprecated = asked.read("action")?;
        let options = options.unwrap_or_default();
        if let Some(model) = &options.model
            && !MODELS.contains(&model.as_str())
        {
            let message = format!("options.model: expected one of {}, got {model:?}", MODELS.join(", "));
            return Err(ApiError::bad(message));
        }
        // What was asked for before it was called `options` is checked, whether or not it counts.
        let beside = ScreenshotOptions {
            phases: None,
            output_format: old.output_format,
            delay: old.screenshot_delay,
            presigned_expires_in: old.presigned_expires_in,
        };
        let beside = Self::detailed(beside, "screenshotDelay")?;
        match options.screenshot {
            Some(ScreenshotOption::Enabled(false)) => Ok(Self::default()),
            Some(ScreenshotOption::Enabled(true)) => Self::detailed(ScreenshotOptions::default(), ""),
            Some(ScreenshotOption::Detailed(detailed)) => Self::detailed(detailed, "options.screenshot.delay"),
            None if old.include_screenshot.unwrap_or(asked.caller.old) => Ok(beside),
            None => Ok(Self::default()),
        }
    }

    fn detailed(detailed: ScreenshotOptions, name: &str) -> Result<Self, ApiError> {
        // A real phone needs 500 ms to settle; this one is settled at once.
        let delay = duration(name, detailed.delay.as_deref(), Duration::ZERO)?;
        if delay > LONGEST_DELAY {
            return Err(ApiError::bad(format!("{name}: expected at most 30s")));
        }
        let has = |phase| detailed.phases.as_ref().is_none_or(|phases| phases.contains(&phase));
        Ok(Self {
            before: has(Phase::Before),
            after: has(Phase::After),
            trace: has(Phase::Trace),
            delay,
            format: detailed.output_format,
            presigned_expires_in: detailed.presigned_expires_in,
        })
    }
}

/// Carries out a gesture on a running box and takes the pictures asked for.
pub(super) async fn act(
    asked: Asked,
    options: Option<ActionOptions>,
    gesture: impl FnOnce(&mut Device) -> Result<Done, ApiError>,
) -> Result<Json<Value>, ApiError> {
    let shots = Shots::of(options, &asked)?;
    let Asked { state, caller, id, .. } = &asked;
    let hand = Hand::new(state, caller, id, shots.format, shots.presigned_expires_in.as_deref())?;
    // Pictures are drawn from copies, so that other requests do not wait for the lock.
    let (before, done, mut after) = state.with_running(id, |device, _| {
        let before = (shots.before || shots.trace).then(|| device.picture());
        let done = gesture(device)?;
        Ok((before, done, shots.after.then(|| device.picture())))
    })?;
    if shots.after && !shots.delay.is_zero() {
        tokio::time::sleep(shots.delay).await;
        after = state.peek(id, |device| device.picture());
    }
    let mut pictures = ActionScreenshots::default();
    if let Some(before) = before {
        pictures.before = shots.before.then(|| hand.whole(&before)).transpose()?;
        pictures.trace = shots.trace.then(|| trace(&hand, &before, &done.points)).transpose()?;
    }
    pictures.after = after.map(|after| hand.whole(&after)).transpose()?;
    let any = shots.before || shots.after || shots.trace;
    let result = ActionResult {
        action_id: Some(uuid::Uuid::new_v4().to_string()),
        message: "Action executed successfully".to_owned(),
        actual: done.actual,
        screenshot: any.then_some(pictures),
    };
    let mut answer = serde_json::to_value(result).map_err(failed)?;
    if caller.old
        && let Some(trace) = answer.pointer("/screenshot/trace").cloned()
    {
        // The old name of it.
        answer["screenshot"]["highlight"] = trace;
    }
    Ok(Json(answer))
}

fn trace(hand: &Hand<'_>, picture: &Picture, points: &[(f64, f64)]) -> Result<Screenshot, ApiError> {
    let mut image = picture.image();
    render::mark(&mut image, points);
    hand.image(&image, picture.state)
}

pub(super) async fn screenshot(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Screenshot>, ApiError> {
    let request: ScreenshotRequest = read("screenshot", &body)?;
    let life = request.presigned_expires_in.as_deref();
    let hand = Hand::new(&state, &caller, &id, request.output_format, life)?;
    let most = match &request.scroll_capture {
        None => None,
        Some(capture) => Some(highest(capture.max_height)?),
    };
    let stays = request
        .scroll_capture
        .as_ref()
        .is_none_or(|capture| capture.scroll_back.unwrap_or(false));
    let (picture, scrolled) = state.with_running(&id, |device, _| {
        let picture = device.picture();
        let scrolled = most.map(|most| picture.clone().scrolled(most));
        let image = match scrolled {
            None => None,
            Some((image, phone)) => {
                if !stays {
                    device.phone = phone;
                }
                Some(image)
            }
        };
        if request.save_to_album.unwrap_or(false) {
            save(device, &picture)?;
        }
        Ok((picture, image))
    })?;
    let shot = match (request.clip, scrolled) {
        (None, None) => hand.whole(&picture),
        (None, Some(image)) => hand.image(&image, picture.state),
        (Some(clip), scrolled) => {
            let image = scrolled.unwrap_or_else(|| picture.image());
            let (x, y, width, height) = pixels(clip, image.dimensions())?;
            hand.image(
                &imageops::crop_imm(&image, x, y, width, height).to_image(),
                picture.state,
            )
        }
    };
    shot.map(Json)
}

fn highest(asked: Option<f64>) -> Result<f64, ApiError> {
    let highest = asked.unwrap_or(HIGHEST);
    if (1.0..=HIGHEST_AT_ALL).contains(&highest) {
        Ok(highest)
    } else {
        Err(ApiError::bad(format!(
            "scrollCapture.maxHeight: expected 1 to {HIGHEST_AT_ALL} pixels, got {highest}"
        )))
    }
}

/// Puts a picture into the album of screenshots.
fn save(device: &mut Device, picture: &Picture) -> Result<(), ApiError> {
    const ALBUM: &str = "Screenshots";
    let png = picture.clone().unscaled().png().map_err(failed)?;
    let digits: String = iso(SystemTime::now()).chars().filter(char::is_ascii_digit).collect();
    if device.album(ALBUM).is_none() {
        device
            .files_mut()
            .make_folder(&format!("/sdcard/Pictures/{ALBUM}"), true)?;
    }
    let name = format!("Screenshot_{}-{}.png", &digits[..8], &digits[8..14]);
    Ok(device.add_media(ALBUM, &name, png)?)
}

fn pixels(clip: Clip, (whole_width, whole_height): (u32, u32)) -> Result<(u32, u32, u32, u32), ApiError> {
    let (right, bottom) = (clip.x + clip.width, clip.y + clip.height);
    let inside = clip.x >= 0.0 && clip.y >= 0.0 && right <= f64::from(whole_width) && bottom <= f64::from(whole_height);
    if !(inside && clip.width >= 1.0 && clip.height >= 1.0) {
        let message = format!("clip: expected a rectangle inside {whole_width} x {whole_height} pixels, got {clip:?}");
        return Err(ApiError::bad(message));
    }
    Ok((clip.x as u32, clip.y as u32, clip.width as u32, clip.height as u32))
}

pub(super) async fn screen_layout(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<ScreenLayout>, ApiError> {
    state.with_running(&id, |device, _| {
        Ok(Json(ScreenLayout {
            content: device.layout(),
        }))
    })
}
