//! `POST /model`: finds things on a screenshot that this simulator has served.

use super::{
    reply::{ApiError, read},
    state::Shared,
};
use crate::device::Sight;
use axum::{Json, body::Bytes, extract::State};
use cua_grpo_gbox::wire::{
    Direction, ModelAction, ModelRequest, ModelResponse, ModelResult, Point, ScrollPoint, decode_data_uri,
};

/// What the API answers for a thing that is not there.
const NOT_FOUND: Point = Point { x: -1.0, y: -1.0 };

fn locate(sight: &Sight, text: &str) -> Point {
    sight.find(text).map_or(NOT_FOUND, |(x, y)| Point { x, y })
}

pub(super) async fn model(State(state): State<Shared>, body: Bytes) -> Result<Json<ModelResponse>, ApiError> {
    let request: ModelRequest = read("model", &body)?;
    if let Some(model) = &request.model
        && (model.is_empty() || model.chars().any(char::is_control))
    {
        return Err(ApiError::bad("model: expected a name such as gbox-handy-1"));
    }
    let png = match state.store.behind(&request.screenshot) {
        Some(png) => png?.to_vec(),
        None if request.screenshot.starts_with("data:") => {
            decode_data_uri(&request.screenshot).map_err(|error| ApiError::bad(format!("screenshot: {error}")))?
        }
        None => {
            return Err(ApiError::bad(
                "screenshot: expected a data URI or an address of this simulator; it fetches no others",
            ));
        }
    };
    let (sight, (width, height)) = state.memory.recall(&png).ok_or_else(|| {
        ApiError::bad("screenshot: expected one that this simulator served recently, byte for byte, got another")
    })?;
    let half = (f64::from(width / 2), f64::from(height / 2));
    let response = match &request.action {
        ModelAction::Click { target } => ModelResult::Click(locate(&sight, target)),
        ModelAction::Drag { target, destination } => ModelResult::Drag {
            target: locate(&sight, target),
            destination: locate(&sight, destination),
        },
        ModelAction::Scroll { location, direction } => {
            let at = locate(&sight, location);
            // Gesture-wise, as in the simple scroll: `up` reveals what is below. Half a screen.
            let (scroll_x, scroll_y) = match direction {
                Direction::Up => (0.0, half.1),
                Direction::Down => (0.0, -half.1),
                Direction::Left => (half.0, 0.0),
                Direction::Right => (-half.0, 0.0),
                _ => return Err(ApiError::bad("action.direction: expected up, down, left or right")),
            };
            ModelResult::Scroll(ScrollPoint {
                x: at.x,
                y: at.y,
                scroll_x,
                scroll_y,
            })
        }
    };
    Ok(Json(ModelResponse {
        id: uuid::Uuid::new_v4().to_string(),
        response,
    }))
}
