//! `POST /model`: finds things on a screenshot that this simulator has served.

use super::{
    reply::{ApiError, read},
    state::Shared,
};
use crate::{
    ground,
    phone::{HEIGHT, WIDTH},
    widget::UiNode,
};
use axum::{Json, body::Bytes, extract::State};
use cua_grpo_gbox::wire::{
    Direction, ModelAction, ModelRequest, ModelResponse, ModelResult, Point, ScrollPoint, decode_data_uri,
};

/// What the API answers for a thing that is not there.
const NOT_FOUND: Point = Point { x: -1.0, y: -1.0 };

fn locate(nodes: &[UiNode], text: &str) -> Point {
    ground::find(nodes, text).map_or(NOT_FOUND, |node| {
        let (x, y) = node.bounds.centre();
        Point {
            x: f64::from(x),
            y: f64::from(y),
        }
    })
}

pub(super) async fn model(State(state): State<Shared>, body: Bytes) -> Result<Json<ModelResponse>, ApiError> {
    let request: ModelRequest = read("model", &body)?;
    if !request.screenshot.starts_with("data:") {
        return Err(ApiError::bad(
            "screenshot: this simulator fetches no URLs; send a data URI",
        ));
    }
    let png = decode_data_uri(&request.screenshot).map_err(|error| ApiError::bad(format!("screenshot: {error}")))?;
    let nodes = state.memory.recall(&png).ok_or_else(|| {
        ApiError::bad("screenshot: expected one that this simulator served recently, byte for byte, got another")
    })?;
    let response = match &request.action {
        ModelAction::Click { target } => ModelResult::Click(locate(&nodes, target)),
        ModelAction::Drag { target, destination } => ModelResult::Drag {
            target: locate(&nodes, target),
            destination: locate(&nodes, destination),
        },
        ModelAction::Scroll { location, direction } => {
            let at = locate(&nodes, location);
            // Gesture-wise, as in the simple scroll: `up` reveals what is below. Half a screen.
            let (scroll_x, scroll_y) = match direction {
                Direction::Up => (0.0, f64::from(HEIGHT / 2)),
                Direction::Down => (0.0, -f64::from(HEIGHT / 2)),
                Direction::Left => (f64::from(WIDTH / 2), 0.0),
                Direction::Right => (-f64::from(WIDTH / 2), 0.0),
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
