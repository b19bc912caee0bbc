//! Descriptions in words mean what a person would touch.

use cua_grpo_phone::{Phone, state::Display};

fn found(phone: &Phone, words: &str) -> Option<String> {
    let (x, y) = phone.find(words)?;
    let scene = phone.scene();
    let node = scene
        .nodes
        .iter()
        .rev()
        .find(|node| node.rect.contains(x, y) && node.clickable())?;
    let inside = scene
        .nodes
        .iter()
        .find(|other| !other.text.is_empty() && node.rect.clip(other.rect) == other.rect);
    Some(match (node.text.as_str(), node.desc.as_str(), inside) {
        ("", "", Some(inside)) => inside.text.clone(),
        ("", desc, _) => desc.to_owned(),
        (text, ..) => text.to_owned(),
    })
}

#[test]
fn rows_switches_and_buttons_are_found() {
    let mut phone = Phone::new(6, Display::HALF);
    phone.shell("am start -a android.settings.WIRELESS_SETTINGS");
    for (words, title) in [
        ("Airplane mode", Some("Airplane mode")),
        ("the airplane mode switch", Some("Airplane mode")),
        ("Private DNS row", Some("Private DNS")),
        ("hotspot and tethering", Some("Hotspot & tethering")),
        ("Navigate up", Some("Navigate up")),
        ("a blue elephant", None),
        ("", None),
    ] {
        assert_eq!(found(&phone, words).as_deref(), title, "{words:?}");
    }
    phone.shell("am start -a android.settings.DISPLAY_SETTINGS");
    assert_eq!(
        found(&phone, "Screen timeout option").as_deref(),
        Some("Screen timeout")
    );
    let (x, y) = phone.find("screen timeout").expect("it is on the screen");
    phone.tap(x, y);
    assert_eq!(found(&phone, "10 minutes").as_deref(), Some("10 minutes"));
    assert_eq!(found(&phone, "Dark theme"), None, "what a dialog covers is not meant");
    assert_eq!(found(&phone, "minutes"), None, "several fit");
}

#[test]
fn apps_and_keys_are_found() {
    let mut phone = Phone::new(6, Display::HALF);
    assert_eq!(found(&phone, "Phone app icon").as_deref(), Some("Phone"));
    phone.shell("monkey -p com.google.android.keep -c android.intent.category.LAUNCHER 1");
    let (x, y) = phone.find("New text note button").expect("the button is there");
    phone.tap(x, y);
    for key in ["key q", "Space key", "Shift"] {
        let (x, y) = phone.find(key).unwrap_or_else(|| panic!("{key}"));
        phone.tap(x, y);
    }
    assert_eq!(phone.state().page().typed("body"), "Q ");
    assert!(phone.state().keyboard.shift);
}
