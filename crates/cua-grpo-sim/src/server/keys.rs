//! Text, keys and buttons.

use super::{
    actions::{Asked, Done, act},
    reply::ApiError,
};
use axum::Json;
use cua_grpo_android::action::KEYS;
use cua_grpo_gbox::wire::{PressButton, PressKey, TypeMode, TypeText};
use serde_json::Value;

type Answer = Result<Json<Value>, ApiError>;

/// Keys that one request may press.
const MOST_KEYS: usize = 100;

pub(super) async fn type_text(asked: Asked) -> Answer {
    let TypeText {
        text,
        mode,
        press_enter,
        options,
    } = asked.read("type")?;
    act(asked, options, |device| {
        device
            .phone
            .type_text(&text, mode.unwrap_or_default() == TypeMode::Replace);
        if press_enter.unwrap_or(false) {
            device.phone.press("enter");
        }
        Ok(Done::default())
    })
    .await
}

pub(super) async fn press_key(asked: Asked) -> Answer {
    let request: PressKey = asked.read("press-key")?;
    press(asked, request).await
}

/// The old form of it: names as browsers have them, such as `Enter`, `ArrowUp` and `Control`, are taken too.
pub(super) async fn press_old(asked: Asked) -> Answer {
    let mut request: PressKey = asked.read("press")?;
    for key in &mut request.keys {
        let known = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key));
        let renamed = match key.to_ascii_lowercase().as_str() {
            "ctrl" => Some("control"),
            "esc" => Some("escape"),
            "return" => Some("enter"),
            " " => Some("space"),
            _ => None,
        };
        if let Some(known) = renamed.or(known.copied()) {
            known.clone_into(key);
        }
    }
    press(asked, request).await
}

async fn press(asked: Asked, request: PressKey) -> Answer {
    let PressKey {
        keys,
        combination,
        options,
    } = request;
    if !(1..=MOST_KEYS).contains(&keys.len()) {
        return Err(ApiError::bad(format!(
            "keys: expected 1 to {MOST_KEYS} keys, got {}",
            keys.len()
        )));
    }
    if let Some(unknown) = keys.iter().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ApiError::bad(format!(
            "keys: {unknown:?} is not a key; names are such as enter, a, arrowUp"
        )));
    }
    act(asked, options, |device| {
        if keys.len() == 1 || !combination.unwrap_or(false) {
            keys.iter().for_each(|key| device.phone.press(key));
        } else {
            device.phone.shortcut(&keys);
        }
        Ok(Done::default())
    })
    .await
}

pub(super) async fn press_button(asked: Asked) -> Answer {
    let PressButton { buttons, options } = asked.read("press-button")?;
    if !(1..=MOST_KEYS).contains(&buttons.len()) {
        let message = format!("buttons: expected 1 to {MOST_KEYS} buttons, got {}", buttons.len());
        return Err(ApiError::bad(message));
    }
    act(asked, options, |device| {
        for button in buttons {
            device.phone.button(button);
        }
        Ok(Done::default())
    })
    .await
}
