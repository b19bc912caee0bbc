//! The settings app: the root list and its sub pages.

use super::list::{FULL_ROW, RowWidgets};
use crate::{
    phone::{Phone, ROW, Screen},
    settings::TIMEOUTS,
    widget::{Effect, Glyph, Look, NodeKind, Rect, Trailing, Widget},
};
use cua_grpo_android::names::Level;
use cua_grpo_android::names::{Page, Toggle};

/// Left end and length of the brightness slider in pixels.
pub(crate) const TRACK: (i32, i32) = (16, 160);

/// The brightness that a touch at `x` sets, 0 to 255.
pub(crate) fn brightness_at(x: f64) -> u8 {
    let share = (x - f64::from(TRACK.0)) / f64::from(TRACK.1);
    (share.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// The rows of the root list, in the order of this phone.
pub(super) fn root(phone: &Phone) -> Vec<RowWidgets> {
    let row = |&page: &Page| {
        let look = Look::Row {
            icon: Some(page_icon(page)),
            trailing: Trailing::Chevron,
        };
        let widget = Widget::new(page.label(), NodeKind::Row, FULL_ROW, look);
        vec![widget.on_tap(Effect::Open(Screen::SettingsPage(page)))]
    };
    phone.appearance.root.iter().map(row).collect()
}

/// The rows of a sub page, in the order of this phone.
pub(super) fn page(phone: &Phone, page: Page) -> Vec<RowWidgets> {
    // The label of the slider and the slider itself stay together: shuffle groups of rows.
    let mut groups: Vec<Vec<RowWidgets>> = Vec::new();
    for toggle in page.toggles() {
        groups.push(vec![vec![switch(phone, toggle)]]);
    }
    if page == Page::Display {
        groups.push(vec![
            vec![text("Brightness", "", (Glyph::Sun, [245, 160, 30]))],
            slider(phone),
        ]);
        groups.push(vec![vec![timeout(phone)]]);
    }
    for &(label, value) in fillers(page) {
        groups.push(vec![vec![text(label, value, (Glyph::Info, [150, 156, 162]))]]);
    }
    phone.appearance.shuffled(page, groups).into_iter().flatten().collect()
}

fn switch(phone: &Phone, toggle: Toggle) -> Widget {
    let on = phone.settings.is_on(toggle);
    let look = Look::Row {
        icon: Some(toggle_icon(toggle)),
        trailing: Trailing::Switch(on),
    };
    Widget::new(toggle.label(), NodeKind::Switch, FULL_ROW, look)
        .on_tap(Effect::Flip(toggle))
        .checked(on)
}

fn text(label: &str, value: &str, icon: (Glyph, [u8; 3])) -> Widget {
    let trailing = if value.is_empty() {
        Trailing::Nothing
    } else {
        Trailing::Value(value.to_owned())
    };
    Widget::new(
        label,
        NodeKind::Text,
        FULL_ROW,
        Look::Row {
            icon: Some(icon),
            trailing,
        },
    )
}

fn timeout(phone: &Phone) -> Widget {
    let ms = phone.settings.timeout_ms();
    let known = TIMEOUTS.iter().find(|choice| choice.0 == ms);
    let short = known.map_or_else(|| format!("{} s", ms / 1000), |choice| choice.2.to_owned());
    let look = Look::Row {
        icon: Some((Glyph::Clock, [0, 150, 136])),
        trailing: Trailing::Value(short),
    };
    Widget::new("Screen timeout", NodeKind::Row, FULL_ROW, look).on_tap(Effect::ChooseTimeout)
}

fn slider(phone: &Phone) -> RowWidgets {
    let level = phone.settings.brightness();
    let mut widgets = vec![Widget::new("", NodeKind::Slider, FULL_ROW, Look::Track(level))];
    let (start, length) = TRACK;
    for (third, part_level) in Level::ALL.into_iter().enumerate() {
        let (left, right) = (
            start + length * third as i32 / 3,
            start + length * (third as i32 + 1) / 3,
        );
        let bounds = Rect::new(left, 0, right - left, ROW);
        let part = Widget::new(
            format!("Brightness slider {}", part_level.key()),
            NodeKind::Slider,
            bounds,
            Look::Hidden,
        );
        widgets.push(part.on_tap(Effect::Brightness).checked(Level::of(level) == part_level));
    }
    widgets
}

fn fillers(page: Page) -> &'static [(&'static str, &'static str)] {
    match page {
        Page::Network => &[("Hotspot", "Off"), ("VPN", "None")],
        Page::Display => &[("Font size", "Normal")],
        Page::Sound => &[("Ringtone", "Chime"), ("Media volume", "60%"), ("Vibration", "On")],
        Page::Battery => &[("Level", "81%"), ("Health", "Good"), ("Last charge", "7 h")],
        Page::Location => &[("Recent access", "None"), ("App access", "4 apps")],
        Page::About => &[
            ("Model", "Sim 1"),
            ("Android", "13"),
            ("Build", "SIM.24"),
            ("SIM status", "Ready"),
        ],
        Page::Storage => &[("Used", "12 GB"), ("Free", "20 GB")],
        Page::Security => &[("Screen lock", "None"), ("Last update", "May")],
        Page::Privacy => &[("Permissions", "9 apps"), ("Clipboard", "On")],
        Page::Accounts => &[("Signed in", "Nobody")],
        Page::Apps => &[("Installed", "10"), ("Unused", "0")],
        Page::Accessibility => &[("Screen reader", "Off"), ("Captions", "Off")],
        Page::Languages => &[("System", "English"), ("Keyboard", "Latin")],
    }
}

fn page_icon(page: Page) -> (Glyph, [u8; 3]) {
    match page {
        Page::Network => (Glyph::Waves, [30, 120, 230]),
        Page::Display => (Glyph::Sun, [245, 160, 30]),
        Page::Sound => (Glyph::Speaker, [214, 60, 120]),
        Page::Battery => (Glyph::Battery, [70, 170, 70]),
        Page::Location => (Glyph::Pin, [220, 60, 50]),
        Page::About => (Glyph::Info, [110, 120, 130]),
        Page::Storage => (Glyph::Drive, [120, 90, 200]),
        Page::Security => (Glyph::Lock, [20, 140, 110]),
        Page::Privacy => (Glyph::Eye, [60, 90, 180]),
        Page::Accounts => (Glyph::Person, [200, 110, 40]),
        Page::Apps => (Glyph::Grid, [90, 160, 200]),
        Page::Accessibility => (Glyph::Figure, [40, 160, 160]),
        Page::Languages => (Glyph::Letter, [150, 70, 150]),
    }
}

fn toggle_icon(toggle: Toggle) -> (Glyph, [u8; 3]) {
    match toggle {
        Toggle::Wifi => (Glyph::Waves, [30, 120, 230]),
        Toggle::Bluetooth => (Glyph::Rune, [60, 70, 200]),
        Toggle::Airplane => (Glyph::Plane, [240, 120, 40]),
        Toggle::MobileData => (Glyph::Bars, [40, 160, 90]),
        Toggle::DarkTheme => (Glyph::Moon, [80, 70, 150]),
        Toggle::AutoRotate => (Glyph::Rotate, [200, 80, 140]),
        Toggle::DoNotDisturb => (Glyph::Minus, [210, 50, 50]),
        Toggle::BatterySaver => (Glyph::Leaf, [110, 160, 40]),
        Toggle::Location => (Glyph::Pin, [220, 60, 50]),
    }
}
