//! Colours of the light and the dark theme.

use super::canvas::{Colour, mix};
use crate::phone::Phone;
use cua_grpo_android::names::Toggle;

pub(super) struct Theme {
    pub background: Colour,
    pub bar: Colour,
    pub text: Colour,
    pub faint: Colour,
    pub line: Colour,
    pub panel: Colour,
    pub field: Colour,
    pub off_track: Colour,
    pub off_knob: Colour,
    pub accent: Colour,
    pub wallpaper: (Colour, Colour),
}

impl Theme {
    pub fn of(phone: &Phone) -> Self {
        let (accent, (top, bottom)) = (phone.appearance.accent, phone.appearance.wallpaper);
        if phone.settings.is_on(Toggle::DarkTheme) {
            let night = |colour| mix(colour, [10, 12, 18], 0.62);
            Self {
                background: [22, 24, 28],
                bar: [34, 37, 43],
                text: [232, 234, 237],
                faint: [150, 156, 164],
                line: [48, 52, 58],
                panel: [46, 50, 57],
                field: [36, 39, 45],
                off_track: [84, 88, 96],
                off_knob: [164, 168, 176],
                accent: mix(accent, [255, 255, 255], 0.25),
                wallpaper: (night(top), night(bottom)),
            }
        } else {
            Self {
                background: [250, 250, 252],
                bar: [232, 235, 240],
                text: [32, 33, 36],
                faint: [112, 118, 126],
                line: [224, 227, 231],
                panel: [255, 255, 255],
                field: [238, 240, 244],
                off_track: [196, 200, 206],
                off_knob: [248, 248, 250],
                accent,
                wallpaper: (top, bottom),
            }
        }
    }
}
