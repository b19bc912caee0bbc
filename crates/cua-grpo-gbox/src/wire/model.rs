//! Bodies of `POST /model`: from a description and a screenshot to coordinates.

use super::{Direction, Point};
use serde::{Deserialize, Serialize};

/// Body of `POST /model`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// Name of the grounding model (server default `gbox-handy-1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `https://...` or `data:image/png;base64,...`.
    pub screenshot: String,
    /// What is to be found.
    pub action: ModelAction,
}

/// What [`ModelRequest`] looks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ModelAction {
    /// A point to click.
    Click {
        /// The thing, in words.
        target: String,
    },
    /// Two points of a drag.
    Drag {
        /// What to drag, in words.
        target: String,
        /// Where to, in words.
        destination: String,
    },
    /// A point and an amount to scroll.
    Scroll {
        /// Where, in words.
        location: String,
        /// Up, down, left or right.
        direction: Direction,
    },
}

/// Answer of `POST /model`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `id` and `response`")]
pub struct ModelResponse {
    /// UUID of the call.
    pub id: String,
    /// What was found.
    pub response: ModelResult,
}

/// Coordinates in pixels of the screenshot; -1 for both x and y means "not found".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `type` (click, drag or scroll) and `coordinates`")]
#[serde(tag = "type", content = "coordinates", rename_all = "lowercase")]
pub enum ModelResult {
    /// For [`ModelAction::Click`].
    Click(Point),
    /// For [`ModelAction::Drag`].
    Drag {
        /// Where the finger goes down.
        target: Point,
        /// Where it goes up.
        destination: Point,
    },
    /// For [`ModelAction::Scroll`].
    Scroll(ScrollPoint),
}

/// Coordinates of a scroll, as the advanced form of the scroll action takes them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `x`, `y`, `scrollX` and `scrollY`")]
#[serde(rename_all = "camelCase")]
pub struct ScrollPoint {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
    /// Pixels to scroll; positive reveals what is to the right.
    pub scroll_x: f64,
    /// Pixels to scroll; positive reveals what is below.
    pub scroll_y: f64,
}
