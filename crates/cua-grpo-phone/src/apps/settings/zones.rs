//! The choice of a time zone, and of date and time by hand.

use super::system::zone_words;
use crate::{
    draw::geom::Rect,
    state::{
        State,
        time::{Civil, ZONES},
    },
    ui::{End, FieldLook, Row, Ui, act},
};

/// All zones with a search field above.
pub fn zone(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let rect = Rect::new(ui.area.x + 16.0, y, ui.area.w - 32.0, 56.0);
    ui.fill(rect, 28.0, ui.theme.container_high);
    ui.icon(
        "search",
        Rect::new(rect.x + 16.0, rect.y, 24.0, 56.0),
        24.0,
        ui.theme.on_variant,
    );
    let look = FieldLook::new("zone_search", "Search for a city");
    ui.edit(Rect::new(rect.x + 56.0, rect.y, rect.w - 72.0, 56.0), &look);
    let wanted = ui.place.typed("zone_search").trim().to_lowercase();
    let now = state.zone().to_owned();
    let found = ZONES.iter().filter(|zone| {
        wanted.is_empty() || zone.1.to_lowercase().contains(&wanted) || zone.2.to_lowercase().contains(&wanted)
    });
    found.fold(rect.bottom() + 8.0, |y, (id, city, ..)| {
        let id = *id;
        let words = zone_words(id);
        let row = Row::new(city).summary(&words).end(End::Radio(now == id));
        ui.row(
            y,
            row.tap(move |state| {
                state.props.insert("persist.sys.timezone".to_owned(), id.to_owned());
                state.close_page();
            }),
        )
    })
}

/// A field for the date or the time.
pub fn date_dialog(ui: &mut Ui, dialog: &str) {
    if dialog == "set_date" {
        let look = FieldLook::new("date", "mm/dd/yyyy");
        ui.field_dialog(
            "Set date",
            &look,
            "OK",
            act(|state| {
                let text = state.page().typed("date").to_owned();
                let parts: Vec<u32> = text.split('/').filter_map(|part| part.trim().parse().ok()).collect();
                match parts.as_slice() {
                    [month @ 1..=12, day @ 1..=31, year @ 1970..=2037] => {
                        let now = state.civil();
                        let local = Civil::ms(i64::from(*year), *month, *day, now.hour, now.minute);
                        move_clock(state, local);
                    }
                    _ => state.say("Enter a date as mm/dd/yyyy"),
                }
            }),
        );
    } else {
        let look = FieldLook::new("time", "hh:mm");
        ui.field_dialog(
            "Set time",
            &look,
            "OK",
            act(|state| {
                let text = state.page().typed("time").to_owned();
                let parts: Vec<u32> = text.split(':').filter_map(|part| part.trim().parse().ok()).collect();
                match parts.as_slice() {
                    [hour @ 0..=23, minute @ 0..=59] => {
                        let now = state.civil();
                        let local = Civil::ms(now.year, now.month, now.day, *hour, *minute);
                        move_clock(state, local);
                    }
                    _ => state.say("Enter a time as hh:mm"),
                }
            }),
        );
    }
}

/// Sets the clock to a local time.
fn move_clock(state: &mut State, local: i64) {
    let offset = state.local(0);
    state.set_clock(local - offset);
}
