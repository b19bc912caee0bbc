//! Clock: alarms, world clock, timer, stopwatch.

mod alarms;
mod rest;

use crate::{
    app::{App, Icon, Intent, Layer},
    state::{Place, State, data::Info},
    ui::Ui,
};

/// The package.
const PACKAGE: &str = "com.google.android.deskclock";
const ACTIVITY: &str = "com.android.deskclock.DeskClock";

/// Clock.
pub struct Clock;

impl App for Clock {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Clock",
            activity: ACTIVITY,
            permissions: &["POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xF1_F3F4,
            layers: &[
                Layer::Ring(0x42_85F4, 0.72, 0.07, 0.0, 360.0),
                Layer::Block(0x20_2124, 0.06, 0.26, 0.0, -0.11, 0.03),
                Layer::Block(0xEA_4335, 0.20, 0.06, 0.08, 0.0, 0.03),
            ],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        let tab = ui.place.number("tab").unwrap_or(0).clamp(0, 3) as usize;
        let tabs = [
            ("alarm", "Alarm"),
            ("access_time", "Clock"),
            ("hourglass_empty", "Timer"),
            ("timer_o", "Stopwatch"),
        ];
        let titles = ["Alarm", "Clock", "Timer", "Stopwatch"];
        let whole = ui.area;
        let above = if state.keyboard_shown() {
            whole.bottom()
        } else {
            whole.bottom() - 80.0
        };
        ui.keep_above(above);
        match tab {
            0 => alarms::build(state, ui),
            1 => rest::world(state, ui),
            2 => rest::timer(state, ui),
            _ => rest::stopwatch(state, ui),
        }
        ui.top_bar(titles[tab], false);
        ui.area = whole;
        if !state.keyboard_shown() {
            ui.bottom_bar(&tabs, tab);
        }
        alarms::dialogs(state, ui);
        rest::dialogs(state, ui);
    }

    fn intent(&self, state: &mut State, intent: &Intent) -> Option<Place> {
        let number = |name: &str| intent.extra(name).and_then(|value| value.parse::<u32>().ok());
        let mut place = Place::new(ACTIVITY, "");
        match intent.action.rsplit('.').next().unwrap_or_default() {
            "SET_ALARM" => {
                let hour = number("android.intent.extra.alarm.HOUR")? % 24;
                let minute = number("android.intent.extra.alarm.MINUTES").unwrap_or(0) % 60;
                let label = intent.extra("android.intent.extra.alarm.MESSAGE").unwrap_or_default();
                alarms::add(state, hour, minute, label);
            }
            "SHOW_ALARMS" => {}
            "SET_TIMER" => {
                let length = i64::from(number("android.intent.extra.alarm.LENGTH")?) * 1000;
                state.timer = crate::state::data::Timer {
                    length,
                    left: length,
                    ends: Some(state.now + length),
                };
                place.set("tab", "2");
            }
            "SHOW_TIMERS" => place.set("tab", "2"),
            _ => return None,
        }
        Some(place)
    }
}
