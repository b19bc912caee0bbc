//! Scrolling, flings, back stack, keyboard, shade, recents, lock screen.

mod common;

use common::tap;
use cua_grpo_phone::{
    Key, Phone,
    state::{Display, Window},
};

fn offset(phone: &Phone) -> f32 {
    phone.state().page().offset("list")
}

#[test]
fn lists_follow_the_finger_and_fling() {
    let mut phone = Phone::new(1, Display::PIXEL);
    phone.state_mut().launch("com.android.settings");
    phone.swipe((540.0, 1800.0), (540.0, 1700.0), 2000);
    phone.settle();
    // A slow drag moves by what the finger moved, less the slop of 8 dp.
    assert!(
        (offset(&phone) - (100.0 / 2.625 - 8.0)).abs() < 0.1,
        "{}",
        offset(&phone)
    );
    let before = offset(&phone);
    phone.swipe((540.0, 2000.0), (540.0, 1600.0), 200);
    let dragged = offset(&phone) - before;
    phone.settle();
    let flung = offset(&phone) - before - dragged;
    // 2000 pixels a second go on by 318 (facts of Android), unless the list ends before.
    assert!((flung * 2.625 - 318.0).abs() < 12.0, "{}", flung * 2.625);
    phone.swipe((540.0, 500.0), (540.0, 2200.0), 300);
    phone.settle();
    assert!(offset(&phone) < 1.0, "a long swipe down ends at the top");
}

#[test]
fn a_touch_stops_a_moving_list_and_opens_nothing() {
    let mut phone = Phone::new(1, Display::PIXEL);
    phone.state_mut().launch("com.android.settings");
    phone.swipe((540.0, 2000.0), (540.0, 1600.0), 100);
    phone.advance(50);
    phone.tap(540.0, 1200.0);
    let stopped = offset(&phone);
    phone.advance(2000);
    assert_eq!(offset(&phone), stopped);
    assert_eq!(phone.state().page().page, "");
}

#[test]
fn back_closes_keyboard_then_dialog_then_page_then_goes_home() {
    let mut phone = Phone::new(1, Display::HALF);
    phone.shell("am start -a android.settings.DEVICE_INFO_SETTINGS");
    let node = phone
        .nodes()
        .into_iter()
        .find(|node| node.text == "Device name")
        .expect("the row is there");
    phone.tap(node.rect.center().0, node.rect.center().1);
    assert!(phone.state().keyboard_shown());
    phone.key(Key::Back);
    assert!(!phone.state().keyboard_shown());
    assert_eq!(phone.state().page().var("dialog"), "device_name");
    phone.key(Key::Back);
    assert_eq!(phone.state().page().var("dialog"), "");
    assert_eq!(phone.state().page().page, "about");
    phone.key(Key::Back);
    assert_eq!(phone.state().front_window(), Window::Home);
}

#[test]
fn gestures_of_the_edges_go_back_home_and_to_recents() {
    let mut phone = Phone::new(1, Display::HALF);
    phone.state_mut().launch("com.android.settings");
    phone.state_mut().open("display");
    phone.swipe((2.0, 600.0), (200.0, 600.0), 200);
    assert_eq!(phone.state().page().page, "");
    phone.swipe((270.0, 1195.0), (270.0, 700.0), 900);
    assert_eq!(phone.state().front_window(), Window::Recents);
    phone.swipe((270.0, 1195.0), (270.0, 700.0), 200);
    assert_eq!(phone.state().front_window(), Window::Home);
    phone.swipe((270.0, 700.0), (270.0, 300.0), 200);
    assert_eq!(phone.state().place(Window::Home).var("drawer"), "1");
    phone.swipe((270.0, 3.0), (270.0, 500.0), 200);
    assert_eq!(phone.state().shade, 1);
    phone.swipe((270.0, 300.0), (270.0, 900.0), 200);
    assert_eq!(phone.state().shade, 2);
    phone.key(Key::Back);
    phone.key(Key::Back);
    assert_eq!(phone.state().shade, 0);
}

#[test]
fn keys_of_the_screen_type_and_long_presses_select() {
    let mut phone = Phone::new(3, Display::HALF);
    phone.state_mut().launch("com.google.android.keep");
    tap(&mut phone, "New text note");
    // A sentence begins with a capital, unless Shift says otherwise.
    tap(&mut phone, "H");
    phone.key(Key::Backspace);
    for key in ["Shift", "h", "i", "Space", "Shift", "B", "o"] {
        tap(&mut phone, key);
    }
    assert_eq!(phone.state().page().typed("body"), "hi Bo");
    assert!(
        phone.state().notes.iter().any(|note| note.body == "hi Bo"),
        "the note is kept as it is typed"
    );
    let field = phone
        .nodes()
        .into_iter()
        .find(|node| node.focused)
        .expect("the field has the focus");
    phone.long_press(field.rect.x + 20.0, field.rect.y + 10.0);
    tap(&mut phone, "Copy");
    assert_eq!(phone.state().clipboard, "Bo");
    tap(&mut phone, "Symbols");
    tap(&mut phone, "!");
    assert_eq!(phone.state().page().typed("body"), "hi Bo!");
}

#[test]
fn a_code_keeps_the_phone_locked() {
    let mut phone = Phone::new(3, Display::HALF);
    assert_eq!(phone.shell("locksettings set-pin 1234").stdout, "Pin set to '1234'\n");
    phone.key(Key::Power);
    assert!(!phone.state().awake);
    phone.key(Key::Power);
    phone.swipe((270.0, 900.0), (270.0, 300.0), 200);
    for key in ["1", "2", "3", "3", "Enter"] {
        tap(&mut phone, key);
    }
    assert!(phone.state().locked);
    for key in ["1", "2", "3", "4", "Enter"] {
        tap(&mut phone, key);
    }
    assert!(!phone.state().locked);
}

#[test]
fn time_rings_and_turns_the_screen_off() {
    let mut phone = Phone::new(3, Display::HALF);
    phone.shell("pm clear com.google.android.deskclock; pm grant com.google.android.deskclock android.permission.POST_NOTIFICATIONS");
    phone.shell("am start -a android.intent.action.SET_TIMER --ei android.intent.extra.alarm.LENGTH 5");
    phone.advance(5100);
    assert!(
        phone
            .shell("cmd notification list")
            .stdout
            .contains("com.google.android.deskclock")
    );
    phone.shell("svc power stayon false; settings put system screen_off_timeout 15000");
    phone.tap(1.0, 600.0);
    phone.advance(14_000);
    assert!(phone.state().awake);
    phone.advance(2000);
    assert!(!phone.state().awake && phone.state().locked);
}
