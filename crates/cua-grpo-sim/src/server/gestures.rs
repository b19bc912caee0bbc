//! The action endpoints: from bodies to gestures on the phone.

use super::{
    actions::{Done, act},
    reply::{ApiError, read},
    state::{Shared, duration},
};
use crate::phone::{HEIGHT, Key, Phone, WIDTH};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use cua_grpo_android::action::KEYS;
use cua_grpo_gbox::wire::{
    ActionResult, Button, Click, Direction, Distance, Drag, LongPress, MouseButton, Place, PlaceRef, Point,
    PressButton, PressKey, Scroll, Swipe, Tap, TargetRef, TypeMode, TypeText,
};
use serde_json::json;
use std::time::Duration;

type Answer = Result<Json<ActionResult>, ApiError>;
type XY = (f64, f64);

/// Largest coordinate or distance that is accepted, in pixels.
const FARTHEST: f64 = 100_000.0;

const CENTRE: XY = (WIDTH as f64 / 2.0, HEIGHT as f64 / 2.0);

fn described(phone: &Phone, text: &str) -> Result<XY, ApiError> {
    let (x, y) = phone
        .resolve(text)
        .ok_or_else(|| ApiError::bad(format!("target: {text:?} is not on the screen")))?;
    Ok((f64::from(x), f64::from(y)))
}

/// A point as it was sent, which may lie beside the screen but not out of the world.
fn on_earth(x: f64, y: f64) -> Result<XY, ApiError> {
    if x.abs() <= FARTHEST && y.abs() <= FARTHEST {
        Ok((x, y))
    } else {
        let message = format!("expected pixels of a screen of {WIDTH} x {HEIGHT}, got x {x}, y {y}");
        Err(ApiError::bad(message))
    }
}

fn place(phone: &Phone, place: &Place) -> Result<XY, ApiError> {
    match place {
        Place::Point(point) => on_earth(point.x, point.y),
        Place::Target {
            target: TargetRef::Description(text),
        } => described(phone, text),
        Place::Target {
            target: TargetRef::Element(element),
        } => on_earth(element.center_x, element.center_y),
    }
}

fn place_ref(phone: &Phone, place: &PlaceRef) -> Result<XY, ApiError> {
    match place {
        PlaceRef::Point(Point { x, y }) => on_earth(*x, *y),
        PlaceRef::Description(text) => described(phone, text),
    }
}

fn point((x, y): XY) -> serde_json::Value {
    json!({ "x": x, "y": y })
}

pub(super) async fn click(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let Click {
        place: at,
        button,
        double,
        options,
        ..
    } = read("click", &body)?;
    let (button, double) = (button.unwrap_or_default(), double.unwrap_or(false));
    act(&state, &id, options, |phone| {
        let (x, y) = place(phone, &at)?;
        // Only the left button does something: no context menus are simulated.
        if button == MouseButton::Left {
            (0..if double { 2 } else { 1 }).for_each(|_| phone.tap(x, y));
        }
        let actual = json!({ "x": x, "y": y, "button": button, "double": double });
        Ok(Done {
            actual: Some(actual),
            points: vec![(x, y)],
        })
    })
    .await
}

pub(super) async fn tap(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let Tap { place: at, options } = read("tap", &body)?;
    act(&state, &id, options, |phone| {
        let (x, y) = place(phone, &at)?;
        phone.tap(x, y);
        Ok(Done {
            actual: Some(point((x, y))),
            points: vec![(x, y)],
        })
    })
    .await
}

pub(super) async fn long_press(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let LongPress {
        place: at,
        duration: text,
        options,
    } = read("long-press", &body)?;
    duration("duration", text.as_deref(), Duration::ZERO)?;
    act(&state, &id, options, |phone| {
        let (x, y) = place(phone, &at)?;
        phone.long_press(x, y);
        let actual = json!({ "x": x, "y": y, "duration": text.unwrap_or_else(|| "1s".to_owned()) });
        Ok(Done {
            actual: Some(actual),
            points: vec![(x, y)],
        })
    })
    .await
}

/// The unit step of a direction, y downwards.
fn step(direction: Direction) -> XY {
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

/// Pixels of a distance along a direction: words are shares of the screen's side, and without any it is `default`.
fn pixels(distance: Option<&Distance>, direction: Direction, default: f64) -> Result<f64, ApiError> {
    let (dx, _) = step(direction);
    let side = f64::from(if dx == 0.0 { HEIGHT } else { WIDTH });
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
fn drag_between(phone: &mut Phone, start: XY, end: XY, text: Option<String>) -> Done {
    phone.swipe(start, end);
    let duration = text.unwrap_or_else(|| "500ms".to_owned());
    let actual = json!({ "start": point(start), "end": point(end), "duration": duration });
    Done {
        actual: Some(actual),
        points: vec![start, end],
    }
}

pub(super) async fn swipe(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    match read("swipe", &body)? {
        Swipe::Points(swipe) => {
            act(&state, &id, swipe.options, |phone| {
                let (start, end) = (place_ref(phone, &swipe.start)?, place_ref(phone, &swipe.end)?);
                Ok(drag_between(phone, start, end, swipe.duration))
            })
            .await
        }
        Swipe::Direction(swipe) => {
            let (dx, dy) = step(swipe.direction);
            let length = pixels(swipe.distance.as_ref(), swipe.direction, 0.5)?;
            act(&state, &id, swipe.options, |phone| {
                let start = swipe
                    .location
                    .as_ref()
                    .map_or(Ok(CENTRE), |text| described(phone, text))?;
                let end = (
                    (start.0 + dx * length).clamp(0.0, f64::from(WIDTH)),
                    (start.1 + dy * length).clamp(0.0, f64::from(HEIGHT)),
                );
                Ok(drag_between(phone, start, end, swipe.duration))
            })
            .await
        }
    }
}

pub(super) async fn drag(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    match read("drag", &body)? {
        Drag::Points(drag) => {
            act(&state, &id, drag.options, |phone| {
                let (start, end) = (place_ref(phone, &drag.start)?, place_ref(phone, &drag.end)?);
                Ok(drag_between(phone, start, end, drag.duration))
            })
            .await
        }
        Drag::Path(drag) => {
            let (Some(first), Some(last)) = (drag.path.first(), drag.path.last()) else {
                return Err(ApiError::bad("drag: expected a path of at least one point, got none"));
            };
            let (start, end) = (on_earth(first.x, first.y)?, on_earth(last.x, last.y)?);
            act(&state, &id, drag.options, |phone| {
                Ok(drag_between(phone, start, end, drag.duration))
            })
            .await
        }
    }
}

pub(super) async fn scroll(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let (location, options, at, by) = match read("scroll", &body)? {
        Scroll::By(scroll) => (
            None,
            scroll.options,
            on_earth(scroll.x, scroll.y)?,
            on_earth(scroll.scroll_x, scroll.scroll_y)?,
        ),
        Scroll::Direction(scroll) => {
            let (dx, dy) = step(scroll.direction);
            if dx != 0.0 && dy != 0.0 {
                return Err(ApiError::bad("direction: expected up, down, left or right"));
            }
            // The direction is that of the content: `up` reveals what is below.
            let length = pixels(scroll.distance.as_ref(), scroll.direction, 0.5)?;
            (scroll.location, scroll.options, CENTRE, (-dx * length, -dy * length))
        }
    };
    act(&state, &id, options, |phone| {
        let (x, y) = location.map_or(Ok(at), |text| described(phone, &text))?;
        phone.scroll(x, y, by.0, by.1);
        let actual = json!({ "x": x, "y": y, "scrollX": by.0, "scrollY": by.1 });
        Ok(Done {
            actual: Some(actual),
            points: vec![(x, y)],
        })
    })
    .await
}

pub(super) async fn type_text(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let TypeText {
        text,
        mode,
        press_enter,
        options,
    } = read("type", &body)?;
    act(&state, &id, options, |phone| {
        phone.type_text(&text, mode.unwrap_or_default() == TypeMode::Replace);
        if press_enter.unwrap_or(false) {
            phone.key(Key::Enter);
        }
        Ok(Done::default())
    })
    .await
}

pub(super) async fn press_key(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let PressKey {
        keys,
        combination,
        options,
    } = read("press-key", &body)?;
    if keys.is_empty() {
        return Err(ApiError::bad("keys: expected at least one key, got none"));
    }
    if let Some(unknown) = keys.iter().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ApiError::bad(format!(
            "keys: {unknown:?} is not a key; names are such as enter, a, arrowUp"
        )));
    }
    act(&state, &id, options, |phone| {
        // Several keys at once are a shortcut, of which this phone has none.
        if keys.len() == 1 || !combination.unwrap_or(false) {
            keys.iter().for_each(|key| phone.press(key));
        }
        Ok(Done::default())
    })
    .await
}

pub(super) async fn press_button(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let PressButton { buttons, options } = read("press-button", &body)?;
    if buttons.is_empty() {
        return Err(ApiError::bad("buttons: expected at least one button, got none"));
    }
    act(&state, &id, options, |phone| {
        for button in buttons {
            phone.key(match button {
                Button::Back => Key::Back,
                Button::Home => Key::Home,
                _ => Key::Other,
            });
        }
        Ok(Done::default())
    })
    .await
}
