//! Several fingers, a pointer that only moves, and how the phone is held.

use super::{
    actions::{Asked, Done, act},
    places::{Xy, lasting, on_earth},
    reply::ApiError,
    state::duration,
};
use axum::Json;
use cua_grpo_gbox::wire::{ActionOptions, Point};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

type Answer = Result<Json<Value>, ApiError>;

/// Fingers of a request, and what each may do.
const MOST_FINGERS: usize = 10;
const MOST_STEPS: usize = 1000;
/// From when on a touch is a long one.
const LONG: Duration = Duration::from_millis(500);

#[derive(Debug, Deserialize)]
struct Move {
    x: f64,
    y: f64,
    options: Option<ActionOptions>,
}

/// A touch screen shows no pointer, so nothing happens but the pictures.
pub(super) async fn hover(asked: Asked) -> Answer {
    let request: Move = asked.read("move")?;
    let at = on_earth(request.x, request.y)?;
    act(asked, request.options, |_| {
        Ok(Done {
            actual: None,
            points: vec![at],
        })
    })
    .await
}

#[derive(Debug, Deserialize)]
struct Touch {
    points: Vec<Finger>,
    options: Option<ActionOptions>,
}

/// A finger: where it goes down, and what it does until it goes up.
#[derive(Debug, Serialize, Deserialize)]
struct Finger {
    start: Point,
    #[serde(default)]
    actions: Vec<Step>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Step {
    Move {
        x: f64,
        y: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration: Option<String>,
    },
    Wait {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration: Option<String>,
    },
}

impl Finger {
    /// Where the finger goes down and up, how long it waited, and how many ms it moved.
    fn path(&self) -> Result<(Xy, Xy, Duration, i64), ApiError> {
        let start = on_earth(self.start.x, self.start.y)?;
        let (mut end, mut waited, mut moved) = (start, Duration::ZERO, 0);
        for step in &self.actions {
            match step {
                Step::Move { x, y, duration } => {
                    moved += lasting(duration.as_deref())?;
                    end = on_earth(*x, *y)?;
                }
                Step::Wait { duration: text } => {
                    lasting(text.as_deref())?;
                    waited += duration("duration", text.as_deref(), LONG)?;
                }
            }
        }
        Ok((start, end, waited, moved))
    }
}

/// One finger taps, presses long or drags. Several at once do nothing: nothing on this phone is turned or pinched.
pub(super) async fn touch(asked: Asked) -> Answer {
    let Touch { points, options } = asked.read("touch")?;
    let steps: usize = points.iter().map(|finger| finger.actions.len()).sum();
    if !(1..=MOST_FINGERS).contains(&points.len()) || steps > MOST_STEPS {
        return Err(ApiError::bad(format!(
            "points: expected 1 to {MOST_FINGERS} fingers of together at most {MOST_STEPS} actions, got {} of {steps}",
            points.len()
        )));
    }
    let paths: Vec<_> = points.iter().map(Finger::path).collect::<Result<_, _>>()?;
    let actual = json!({ "points": points });
    act(asked, options, |device| {
        if let [(start, end, waited, moved)] = paths[..] {
            if start != end {
                device.swipe(start, end, moved);
            } else if waited >= LONG {
                device.long_press(start);
            } else {
                device.tap(start);
            }
        }
        Ok(Done {
            actual: Some(actual),
            points: paths.iter().flat_map(|(start, end, ..)| [*start, *end]).collect(),
        })
    })
    .await
}

/// Ways to hold the phone, by quarter turns to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Orientation {
    Portrait,
    LandscapeLeft,
    PortraitUpsideDown,
    LandscapeRight,
}

/// The names of the orientations, by quarter turns to the left.
pub(super) const ORIENTATIONS: [&str; 4] = ["portrait", "landscapeLeft", "portraitUpsideDown", "landscapeRight"];

#[derive(Debug, Deserialize)]
struct Rotation {
    orientation: Orientation,
    options: Option<ActionOptions>,
}

/// The settings and the display know how the phone is held. All its apps are made for portrait, so they look the same.
pub(super) async fn rotate(asked: Asked) -> Answer {
    let Rotation { orientation, options } = asked.read("screen-rotation")?;
    act(asked, options, |device| {
        device.rotate(orientation as usize);
        Ok(Done::default())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finger_moves_and_waits() {
        let text = r#"{"start":{"x":1,"y":2},"actions":[{"type":"wait","duration":"1s"},{"type":"move","x":5,"y":6}]}"#;
        let finger: Finger = serde_json::from_str(text).expect("a finger");
        let path = finger.path().expect("good steps");
        assert_eq!(path, ((1.0, 2.0), (5.0, 6.0), Duration::from_secs(1), 500));
        for text in [
            r#"{"start":{"x":1}}"#,
            r#"{"start":{"x":1,"y":2},"actions":[{"type":"jump"}]}"#,
            r#"{"start":{"x":1,"y":2},"actions":[{"type":"move","x":5}]}"#,
        ] {
            assert!(serde_json::from_str::<Finger>(text).is_err(), "{text}");
        }
    }
}
