//! From what a body says of a place to a point on the picture.

use super::{reply::ApiError, state::duration};
use crate::device::Device;
use cua_grpo_gbox::wire::{Place, PlaceRef, Point, TargetRef};
use serde_json::{Value, json};
use std::time::Duration;

/// A point in pixels of the picture.
pub(super) type Xy = (f64, f64);

/// Largest coordinate or distance that is accepted, in pixels.
pub(super) const FARTHEST: f64 = 100_000.0;
/// Longest that a finger may stay or move.
const LONGEST: Duration = Duration::from_secs(60);

/// Where a description is on the screen.
pub(super) fn described(device: &Device, text: &str) -> Result<Xy, ApiError> {
    let found = device.find(text);
    found.ok_or_else(|| ApiError::bad(format!("target: {text:?} is not on the screen")))
}

/// A point as it was sent, which may lie beside the screen but not out of the world.
pub(super) fn on_earth(x: f64, y: f64) -> Result<Xy, ApiError> {
    if x.abs() <= FARTHEST && y.abs() <= FARTHEST {
        Ok((x, y))
    } else {
        let message = format!("expected pixels of a picture of the screen, got x {x}, y {y}");
        Err(ApiError::bad(message))
    }
}

/// The middle of the picture.
pub(super) fn centre(device: &Device) -> Xy {
    let (width, height) = device.geometry().picture();
    (f64::from(width) / 2.0, f64::from(height) / 2.0)
}

pub(super) fn place(device: &Device, place: &Place) -> Result<Xy, ApiError> {
    match place {
        Place::Point(point) => on_earth(point.x, point.y),
        Place::Target {
            target: TargetRef::Description(text),
        } => described(device, text),
        Place::Target {
            target: TargetRef::Element(element),
        } => on_earth(element.center_x, element.center_y),
    }
}

pub(super) fn place_ref(device: &Device, place: &PlaceRef) -> Result<Xy, ApiError> {
    match place {
        PlaceRef::Point(Point { x, y }) => on_earth(*x, *y),
        PlaceRef::Description(text) => described(device, text),
    }
}

/// A point on the wire.
pub(super) fn point((x, y): Xy) -> Value {
    json!({ "x": x, "y": y })
}

/// How long a gesture is to take, in ms; half a second where nothing is said.
pub(super) fn lasting(text: Option<&str>) -> Result<i64, ApiError> {
    let time = duration("duration", text, Duration::from_millis(500))?;
    if time > LONGEST {
        return Err(ApiError::bad("duration: expected at most 1m"));
    }
    Ok(i64::try_from(time.as_millis()).unwrap_or_default())
}
