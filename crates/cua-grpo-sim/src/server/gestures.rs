//! The gestures of one finger: from bodies to what they do on the phone.

use super::{
    actions::{Asked, Done, act},
    places::{FARTHEST, Xy, centre, described, lasting, on_earth, place, place_ref, point},
    reply::ApiError,
};
use crate::device::Device;
use axum::Json;
use cua_grpo_android::action::KEYS;
use cua_grpo_gbox::wire::{Click, Direction, Distance, Drag, LongPress, MouseButton, Scroll, Swipe, Tap};
use serde_json::{Value, json};

type Answer = Result<Json<Value>, ApiError>;

pub(super) async fn click(asked: Asked) -> Answer {
    let Click {
        place: at,
        button,
        double,
        modifier_keys,
        options,
    } = asked.read("click")?;
    if let Some(unknown) = modifier_keys.iter().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ApiError::bad(format!("modifierKeys: {unknown:?} is not a key")));
    }
    let (button, double) = (button.unwrap_or_default(), double.unwrap_or(false));
    act(asked, options, |device| {
        let (x, y) = place(device, &at)?;
        // Only the left button does something: no context menus are simulated.
        if button == MouseButton::Left {
            (0..if double { 2 } else { 1 }).for_each(|_| device.tap((x, y)));
        }
        let actual = json!({ "x": x, "y": y, "button": button, "double": double });
        Ok(Done {
            actual: Some(actual),
            points: vec![(x, y)],
        })
    })
    .await
}

pub(super) async fn tap(asked: Asked) -> Answer {
    let Tap { place: at, options } = asked.read("tap")?;
    act(asked, options, |device| {
        let (x, y) = place(device, &at)?;
        device.tap((x, y));
        Ok(Done {
            actual: Some(point((x, y))),
            points: vec![(x, y)],
        })
    })
    .await
}

pub(super) async fn long_press(asked: Asked) -> Answer {
    let LongPress {
        place: at,
        duration: text,
        options,
    } = asked.read("long-press")?;
    lasting(text.as_deref())?;
    act(asked, options, |device| {
        let (x, y) = place(device, &at)?;
        device.long_press((x, y));
        let actual = json!({ "x": x, "y": y, "duration": text.unwrap_or_else(|| "1s".to_owned()) });
        Ok(Done {
            actual: Some(actual),
            points: vec![(x, y)],
        })
    })
    .await
}

/// The unit step of a direction, y downwards.
fn step(direction: Direction) -> Xy {
    match direction {
        Direction::Up => (0.0, -1.0),
        Direction::Down => (0.0, 1.0),
        Direction::Left => (-1.0, 0.0),
        Direction::Right => (1.0, 0.0),
        Direction::UpLeft => (-1.0, -1.0),
        Direction::UpRight => (1.0, -1.0),
        Direction::DownLeft => (-1.0, 1.0),
        Direction::DownRight => (1.0, 1.0),
    }
}

/// Pixels of a distance along a direction: words are shares of the picture's side, and without any it is `default` of it.
fn pixels(device: &Device, distance: Option<&Distance>, direction: Direction, default: f64) -> Result<f64, ApiError> {
    let (dx, _) = step(direction);
    let (width, height) = device.geometry().picture();
    let side = f64::from(if dx == 0.0 { height } else { width });
    match distance {
        None => Ok(default * side),
        Some(Distance::Pixels(pixels)) if (0.0..=FARTHEST).contains(pixels) => Ok(*pixels),
        Some(Distance::Pixels(pixels)) => Err(ApiError::bad(format!(
            "distance: expected 0 to {FARTHEST} pixels, got {pixels}"
        ))),
        Some(Distance::Named(name)) => match name.as_str() {
            "tiny" => Ok(0.1 * side),
            "short" => Ok(0.25 * side),
            "medium" => Ok(0.5 * side),
            "long" => Ok(0.75 * side),
            other => Err(ApiError::bad(format!(
                "distance: expected tiny, short, medium or long, got {other:?}"
            ))),
        },
    }
}

/// Drags from one point to another.
fn drag_between(device: &mut Device, start: Xy, end: Xy, text: Option<String>) -> Result<Done, ApiError> {
    let ms = lasting(text.as_deref())?;
    device.swipe(start, end, ms);
    let duration = text.unwrap_or_else(|| "500ms".to_owned());
    let actual = json!({ "start": point(start), "end": point(end), "duration": duration });
    Ok(Done {
        actual: Some(actual),
        points: vec![start, end],
    })
}

pub(super) async fn swipe(asked: Asked) -> Answer {
    match asked.read("swipe")? {
        Swipe::Points(swipe) => {
            act(asked, swipe.options, |device| {
                let (start, end) = (place_ref(device, &swipe.start)?, place_ref(device, &swipe.end)?);
                drag_between(device, start, end, swipe.duration)
            })
            .await
        }
        Swipe::Direction(swipe) => {
            let (dx, dy) = step(swipe.direction);
            act(asked, swipe.options, |device| {
                // Without a distance it goes to the edge: half a side from the centre, a whole one from elsewhere.
                let (start, default) = match &swipe.location {
                    None => (centre(device), 0.5),
                    Some(text) => (described(device, text)?, 1.0),
                };
                let length = pixels(device, swipe.distance.as_ref(), swipe.direction, default)?;
                let (width, height) = device.geometry().picture();
                let end = (
                    (start.0 + dx * length).clamp(0.0, f64::from(width)),
                    (start.1 + dy * length).clamp(0.0, f64::from(height)),
                );
                drag_between(device, start, end, swipe.duration)
            })
            .await
        }
    }
}

pub(super) async fn drag(asked: Asked) -> Answer {
    match asked.read("drag")? {
        Drag::Points(drag) => {
            act(asked, drag.options, |device| {
                let (start, end) = (place_ref(device, &drag.start)?, place_ref(device, &drag.end)?);
                drag_between(device, start, end, drag.duration)
            })
            .await
        }
        Drag::Path(drag) => {
            let (Some(first), Some(last)) = (drag.path.first(), drag.path.last()) else {
                return Err(ApiError::bad("drag: expected a path of at least one point, got none"));
            };
            let (start, end) = (on_earth(first.x, first.y)?, on_earth(last.x, last.y)?);
            act(asked, drag.options, |device| {
                drag_between(device, start, end, drag.duration)
            })
            .await
        }
    }
}

pub(super) async fn scroll(asked: Asked) -> Answer {
    match asked.read("scroll")? {
        Scroll::By(scroll) => {
            let (at, by) = (
                on_earth(scroll.x, scroll.y)?,
                on_earth(scroll.scroll_x, scroll.scroll_y)?,
            );
            act(asked, scroll.options, |device| Ok(scroll_at(device, at, by))).await
        }
        Scroll::Direction(scroll) => {
            let (dx, dy) = step(scroll.direction);
            if dx != 0.0 && dy != 0.0 {
                return Err(ApiError::bad("direction: expected up, down, left or right"));
            }
            lasting(scroll.duration.as_deref())?;
            act(asked, scroll.options, |device| {
                // The direction is that of the content: `up` reveals what is below.
                let length = pixels(device, scroll.distance.as_ref(), scroll.direction, 0.5)?;
                let location = scroll.location.as_ref();
                let at = location.map_or_else(|| Ok(centre(device)), |text| described(device, text))?;
                Ok(scroll_at(device, at, (-dx * length, -dy * length)))
            })
            .await
        }
    }
}

fn scroll_at(device: &mut Device, (x, y): Xy, by: Xy) -> Done {
    device.scroll((x, y), by);
    Done {
        actual: Some(json!({ "x": x, "y": y, "scrollX": by.0, "scrollY": by.1 })),
        points: vec![(x, y)],
    }
}
