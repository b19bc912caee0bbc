//! The pickers of Material: a clock face and a month.

use super::{build::Ui, controls::FieldLook, node::Act, theme::sp};
use crate::{
    draw::geom::{Color, Rect},
    state::{Place, State, time::Civil},
};
use std::sync::Arc;

/// What picking a time does with hour and minute.
pub type PickTime = Arc<dyn Fn(&mut State, u32, u32) + Send + Sync>;
/// What picking a day does with its first millisecond, of the local clock.
pub type PickDay = Arc<dyn Fn(&mut State, i64) + Send + Sync>;

/// Opens a dialog of a page with the clock face on a time.
pub fn ask_time(place: &mut Place, dialog: &str, hour: u32, minute: u32) {
    place.set("dialog", dialog);
    place.set("pick_hour", hour.to_string());
    place.set("pick_minute", minute.to_string());
    place.set("pick_part", "");
    place.set("pick_keys", "");
}

/// Opens a dialog of a page with the month of a day.
pub fn ask_day(place: &mut Place, dialog: &str, local: i64) {
    place.set("dialog", dialog);
    place.set("pick_day", local.to_string());
    place.set("pick_month", "");
}

fn number(place: &Place, name: &str) -> u32 {
    place.number(name).unwrap_or(0).max(0) as u32
}

impl Ui<'_> {
    /// The dialog that picks a time, on a face or by typing.
    pub fn time_picker(&mut self, full_day: bool, pick: PickTime) {
        self.scrim();
        let keys = self.place.var("pick_keys") == "1";
        let (hour, minute) = (
            number(&self.place, "pick_hour") % 24,
            number(&self.place, "pick_minute") % 60,
        );
        let part = self.place.var("pick_part") == "minute";
        let theme = self.theme;
        let height = if keys { 250.0 } else { 500.0 };
        let width = 328.0_f32.min(self.screen.w - 32.0);
        let top = (self.area.y + (self.area.h - height) / 2.0).max(self.area.y);
        let rect = Rect::new((self.screen.w - width) / 2.0, top, width, height);
        self.fill(rect, 28.0, theme.container_high);
        self.node(rect)
            .class("android.widget.FrameLayout")
            .id("android:id/content")
            .tap(|_| ());
        self.open();
        let title = if keys { "Enter time" } else { "Select time" };
        self.label(
            rect.x + 24.0,
            rect.y + 22.0,
            width - 48.0,
            sp(13.0).medium(),
            theme.on_variant,
            title,
        );
        let shown = if full_day { hour } else { (hour + 11) % 12 + 1 };
        let box_y = rect.y + 54.0;
        if keys {
            self.typed_time(rect, box_y);
        } else {
            for (index, text) in [format!("{shown:02}"), format!("{minute:02}")].into_iter().enumerate() {
                let cell = Rect::new(rect.x + 24.0 + index as f32 * 120.0, box_y, 96.0, 80.0);
                let on = part == (index == 1);
                let (back, front) = if on {
                    (theme.primary_container, theme.on_primary_container)
                } else {
                    (theme.container_highest, theme.on_surface)
                };
                self.fill(cell, 8.0, back);
                self.draw_text_in(cell, sp(52.0).center(), front, &text);
                let desc = format!("{text} {}", if index == 0 { "o'clock" } else { "minutes" });
                self.node(cell)
                    .class("android.widget.RadioButton")
                    .text(text)
                    .desc(desc)
                    .check(on)
                    .tap(move |state| {
                        let window = state.front_window();
                        state
                            .place_mut(window)
                            .set("pick_part", if index == 1 { "minute" } else { "" });
                    });
            }
            self.draw_text_in(
                Rect::new(rect.x + 120.0, box_y, 24.0, 80.0),
                sp(52.0).center(),
                theme.on_surface,
                ":",
            );
        }
        if !full_day {
            self.halves(Rect::new(rect.x + 252.0, box_y, 52.0, 80.0), hour);
        }
        if !keys {
            self.face(rect, box_y + 112.0, hour, minute, part, full_day);
        }
        self.picker_buttons(rect, keys, full_day, pick);
        self.close();
    }

    fn typed_time(&mut self, rect: Rect, y: f32) {
        for (index, (key, word)) in [("pick_h", "Hour"), ("pick_m", "Minute")].into_iter().enumerate() {
            let cell = Rect::new(rect.x + 24.0 + index as f32 * 120.0, y, 96.0, 72.0);
            let on = self.place.focus.as_deref() == Some(key);
            let theme = self.theme;
            self.fill(
                cell,
                8.0,
                if on {
                    theme.primary_container
                } else {
                    theme.container_highest
                },
            );
            if on {
                self.stroke(cell, 8.0, 2.0, theme.primary);
            }
            let mut look = FieldLook::new(key, "");
            look.style = sp(45.0);
            self.edit(cell.inset(20.0, 4.0), &look);
            self.draw_text(cell.x, cell.bottom() + 6.0, 96.0, sp(12.0), theme.on_variant, word);
            let px = self.px(cell);
            if let Some(node) = self.scene.nodes.iter_mut().rev().find(|node| node.field.is_some()) {
                node.rect = px;
                node.desc(word);
            }
        }
        self.draw_text_in(
            Rect::new(rect.x + 120.0, y, 24.0, 72.0),
            sp(52.0).center(),
            self.theme.on_surface,
            ":",
        );
    }

    /// AM and PM.
    fn halves(&mut self, rect: Rect, hour: u32) {
        let theme = self.theme;
        self.stroke(rect, 8.0, 1.0, theme.outline);
        for (index, word) in ["AM", "PM"].into_iter().enumerate() {
            let half = Rect::new(rect.x, rect.y + index as f32 * rect.h / 2.0, rect.w, rect.h / 2.0);
            let on = (hour >= 12) == (index == 1);
            if on {
                let radii = if index == 0 {
                    [8.0, 8.0, 0.0, 0.0]
                } else {
                    [0.0, 0.0, 8.0, 8.0]
                };
                self.fill_corners(half, radii, theme.secondary_container);
            }
            self.draw_text_in(half, sp(15.0).medium().center(), theme.on_surface, word);
            self.node(half)
                .class("android.widget.RadioButton")
                .text(word)
                .check(on)
                .tap(move |state| {
                    let window = state.front_window();
                    let place = state.place_mut(window);
                    let hour = number(place, "pick_hour") % 12 + 12 * index as u32;
                    place.set("pick_hour", hour.to_string());
                });
        }
    }

    fn face(&mut self, rect: Rect, y: f32, hour: u32, minute: u32, minutes: bool, full_day: bool) {
        let theme = self.theme;
        let dial = Rect::new(rect.x + rect.w / 2.0 - 128.0, y, 256.0, 256.0);
        self.fill(dial, 128.0, theme.container_highest);
        let (cx, cy) = dial.center();
        let place = |index: f32, radius: f32| {
            let angle = (index * 30.0).to_radians();
            (cx + radius * angle.sin(), cy - radius * angle.cos())
        };
        let inner = !minutes && full_day && (hour == 0 || hour > 12);
        let (at, radius) = if minutes {
            (minute as f32 / 5.0, 104.0)
        } else {
            ((hour % 12) as f32, if inner { 68.0 } else { 104.0 })
        };
        let hand = place(at, radius);
        self.line((cx, cy), hand, 2.0, theme.primary);
        self.fill(Rect::new(cx - 4.0, cy - 4.0, 8.0, 8.0), 4.0, theme.primary);
        self.fill(Rect::new(hand.0 - 24.0, hand.1 - 24.0, 48.0, 48.0), 24.0, theme.primary);
        let rings: &[(u32, f32)] = if !minutes && full_day {
            &[(0, 104.0), (12, 68.0)]
        } else {
            &[(0, 104.0)]
        };
        for (first, radius) in rings.iter().copied() {
            for index in 0..12_u32 {
                let value = match (minutes, full_day) {
                    (true, _) => index * 5,
                    // The outer ring has 12 at the top, the inner one 00.
                    (false, true) if first == 0 => {
                        if index == 0 {
                            12
                        } else {
                            index
                        }
                    }
                    (false, true) => {
                        if index == 0 {
                            0
                        } else {
                            index + 12
                        }
                    }
                    (false, false) => index + if hour >= 12 { 12 } else { 0 },
                };
                let text = match (minutes, full_day) {
                    (true, _) => format!("{value:02}"),
                    (false, true) => {
                        if value == 0 {
                            "00".to_owned()
                        } else {
                            value.to_string()
                        }
                    }
                    (false, false) => ((value + 11) % 12 + 1).to_string(),
                };
                let on = if minutes { value == minute } else { value == hour };
                let (x, y) = place(index as f32, radius);
                let cell = Rect::new(x - 20.0, y - 20.0, 40.0, 40.0);
                let style = if radius < 100.0 { sp(13.0) } else { sp(16.0) };
                let color = if on { theme.on_primary } else { theme.on_surface };
                self.draw_text_in(cell, style.center(), color, &text);
                let desc = if minutes {
                    format!("{value} minutes")
                } else {
                    format!("{text} o'clock")
                };
                self.node(cell)
                    .class("android.widget.TextView")
                    .text(text)
                    .desc(desc)
                    .tap(move |state| {
                        let window = state.front_window();
                        let place = state.place_mut(window);
                        if minutes {
                            place.set("pick_minute", value.to_string());
                        } else {
                            place.set("pick_hour", value.to_string());
                            place.set("pick_part", "minute");
                        }
                    });
            }
        }
    }

    fn picker_buttons(&mut self, rect: Rect, keys: bool, full_day: bool, pick: PickTime) {
        let y = rect.bottom() - 60.0;
        let (icon, desc) = if keys {
            ("access_time", "Switch to clock mode for the time input.")
        } else {
            ("keyboard_o", "Switch to text input mode for the time input.")
        };
        self.icon_button(rect.x + 12.0, y - 2.0, icon, desc, move |state| {
            let window = state.front_window();
            let place = state.place_mut(window);
            if keys {
                take_typed(place, full_day);
                place.set("pick_keys", "");
                place.focus = None;
            } else {
                let (hour, minute) = (number(place, "pick_hour"), number(place, "pick_minute"));
                let shown = if full_day { hour } else { (hour + 11) % 12 + 1 };
                place.set("pick_keys", "1");
                place.fill("pick_h", shown.to_string());
                place.fill("pick_m", format!("{minute:02}"));
                place.focus("pick_h");
                if let Some(field) = place.fields.get_mut("pick_h") {
                    field.anchor = Some(0);
                }
            }
        });
        let left = self.text_button(rect.right() - 16.0, y, "OK", move |state| {
            let window = state.front_window();
            let place = state.place_mut(window);
            if keys && !take_typed(place, full_day) {
                return;
            }
            let (hour, minute) = (number(place, "pick_hour") % 24, number(place, "pick_minute") % 60);
            place.close_over();
            pick(state, hour, minute);
        });
        self.text_button(left - 4.0, y, "Cancel", |state| {
            let window = state.front_window();
            state.place_mut(window).close_over();
        });
    }

    /// The dialog that picks a day.
    pub fn day_picker(&mut self, pick: PickDay) {
        self.scrim();
        let theme = self.theme;
        let chosen = Civil::new(self.place.number("pick_day").unwrap_or(0));
        let shift = self.place.number("pick_month").unwrap_or(0);
        let months = chosen.year * 12 + i64::from(chosen.month) - 1 + shift;
        let first = Civil::new(Civil::ms(
            months.div_euclid(12),
            months.rem_euclid(12) as u32 + 1,
            1,
            0,
            0,
        ));
        let width = 328.0_f32.min(self.screen.w - 32.0);
        let rect = Rect::new(
            (self.screen.w - width) / 2.0,
            (self.screen.h - 512.0) / 2.0,
            width,
            512.0,
        );
        self.fill(rect, 28.0, theme.container_high);
        self.node(rect)
            .class("android.widget.FrameLayout")
            .id("android:id/content")
            .tap(|_| ());
        self.open();
        self.label(
            rect.x + 24.0,
            rect.y + 18.0,
            width,
            sp(13.0).medium(),
            theme.on_variant,
            "Select date",
        );
        self.label(
            rect.x + 24.0,
            rect.y + 54.0,
            width - 48.0,
            sp(32.0),
            theme.on_surface,
            &chosen.short_date(),
        );
        self.fill(
            Rect::new(rect.x, rect.y + 116.0, width, 1.0),
            0.0,
            theme.outline_variant,
        );
        let title = format!("{} {}", first.month_name(), first.year);
        self.label(
            rect.x + 24.0,
            rect.y + 136.0,
            180.0,
            sp(15.0).medium(),
            theme.on_variant,
            &title,
        );
        for (x, icon, desc, by) in [
            (104.0, "chevron_left", "Previous month", -1),
            (56.0, "chevron_right", "Next month", 1),
        ] {
            self.icon_button(rect.right() - x, rect.y + 122.0, icon, desc, move |state| {
                let window = state.front_window();
                state.place_mut(window).set("pick_month", (shift + by).to_string());
            });
        }
        let cell = (width - 24.0) / 7.0;
        for (index, letter) in ["S", "M", "T", "W", "T", "F", "S"].into_iter().enumerate() {
            let x = rect.x + 12.0 + index as f32 * cell;
            self.draw_text(x, rect.y + 180.0, cell, sp(14.0).center(), theme.on_surface, letter);
        }
        for day in 1..=first.month_days() {
            let slot = first.weekday + day - 1;
            let (column, row) = ((slot % 7) as f32, (slot / 7) as f32);
            let place = Rect::new(rect.x + 12.0 + column * cell, rect.y + 206.0 + row * 40.0, cell, 40.0);
            let local = Civil::ms(first.year, first.month, day, 0, 0);
            let at = Civil::new(local);
            let on = (at.year, at.month, at.day) == (chosen.year, chosen.month, chosen.day);
            if on {
                self.fill(place.middle(38.0, 38.0), 19.0, theme.primary);
            }
            let color: Color = if on { theme.on_primary } else { theme.on_surface };
            self.draw_text_in(place, sp(15.0).center(), color, &day.to_string());
            let desc = format!("{}, {} {day}, {}", at.weekday_name(), at.month_name(), at.year);
            self.node(place)
                .class("android.widget.TextView")
                .text(day.to_string())
                .desc(desc)
                .select(on)
                .tap(move |state| {
                    let window = state.front_window();
                    let place = state.place_mut(window);
                    place.set("pick_day", local.to_string());
                    place.set("pick_month", "");
                });
        }
        let y = rect.bottom() - 52.0;
        let left = self.text_button(rect.right() - 16.0, y, "OK", move |state| {
            let window = state.front_window();
            let place = state.place_mut(window);
            let day = place.number("pick_day").unwrap_or(0);
            place.close_over();
            pick(state, day);
        });
        let cancel: Act = Arc::new(|state: &mut State| {
            let window = state.front_window();
            state.place_mut(window).close_over();
        });
        self.text_button(left - 4.0, y, "Cancel", move |state| cancel(state));
        self.close();
    }
}

/// Takes over hour and minute that were typed; `false` where they are none.
fn take_typed(place: &mut Place, full_day: bool) -> bool {
    let hour = place.typed("pick_h").trim().parse::<u32>().ok();
    let minute = place.typed("pick_m").trim().parse::<u32>().ok();
    let (Some(hour), Some(minute @ 0..=59)) = (hour, minute) else {
        return false;
    };
    let hour = match (full_day, hour) {
        (true, 0..=23) => hour,
        (false, 1..=12) => hour % 12 + if number(place, "pick_hour") >= 12 { 12 } else { 0 },
        _ => return false,
    };
    place.set("pick_hour", hour.to_string());
    place.set("pick_minute", minute.to_string());
    true
}
