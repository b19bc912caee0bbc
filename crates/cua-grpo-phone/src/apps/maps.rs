//! Maps: a drawn town, its places, and the way to them.

use crate::{
    app::{App, Icon, Intent, Layer},
    draw::geom::{Color, Rect},
    state::{Place, State, Toggle, data::Info},
    ui::{Button, FieldLook, Row, Ui, Way, sp},
};

/// Its package.
pub const PACKAGE: &str = "com.google.android.apps.maps";
const ACTIVITY: &str = "com.google.android.maps.MapsActivity";

/// Maps.
pub struct Maps;

/// A place: name, kind, address, hours, rating in tenths, and where it is on the map in dp.
type Spot = (&'static str, &'static str, &'static str, &'static str, u32, (f32, f32));

const SPOTS: [Spot; 9] = [
    (
        "City Library",
        "Library",
        "5 Market Square",
        "10 AM \u{2013} 7 PM",
        46,
        (40.0, -60.0),
    ),
    (
        "Corner Bistro",
        "Restaurant",
        "2 Harbor Street",
        "11 AM \u{2013} 11 PM",
        43,
        (-90.0, 40.0),
    ),
    (
        "Blue Oak Bakery",
        "Bakery",
        "18 Mill Road",
        "7 AM \u{2013} 6 PM",
        47,
        (130.0, 90.0),
    ),
    (
        "Harbor Clinic",
        "Hospital",
        "30 Harbor Street",
        "Open 24 hours",
        39,
        (-150.0, -150.0),
    ),
    (
        "Central Station",
        "Train station",
        "1 Station Square",
        "Open 24 hours",
        41,
        (170.0, -180.0),
    ),
    (
        "North Field",
        "Sports ground",
        "77 North Avenue",
        "8 AM \u{2013} 9 PM",
        44,
        (10.0, -320.0),
    ),
    (
        "City Hall",
        "Government office",
        "1 Market Square",
        "9 AM \u{2013} 4 PM",
        38,
        (80.0, -20.0),
    ),
    (
        "Garage Meyer",
        "Car repair",
        "40 Mill Road",
        "8 AM \u{2013} 5 PM",
        45,
        (220.0, 200.0),
    ),
    (
        "River Cinema",
        "Cinema",
        "9 Quay",
        "2 PM \u{2013} midnight",
        42,
        (-40.0, 210.0),
    ),
];

impl App for Maps {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Maps",
            activity: ACTIVITY,
            permissions: &["ACCESS_FINE_LOCATION", "POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[
                Layer::Glyph("place", 0x34_A853, 0.66, 0.0, 0.0),
                Layer::Block(0xFF_FFFF, 0.14, 0.14, 0.0, -0.09, 0.07),
            ],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        let area = ui.area;
        let (x, y) = (offset(&ui.place, "x"), offset(&ui.place, "y"));
        let middle = (ui.screen.w / 2.0 + x, ui.screen.h * 0.42 + y);
        town(ui, middle);
        let map = ui.node(ui.screen);
        map.class("android.view.View").desc("Google Map");
        map.swipe(move |state, way| {
            const STEP: f32 = 140.0;
            let (dx, dy) = match way {
                Way::Left => (-STEP, 0.0),
                Way::Right => (STEP, 0.0),
                Way::Up => (0.0, -STEP),
                Way::Down => (0.0, STEP),
            };
            let place = state.page_mut();
            place.set("x", (x + dx).clamp(-420.0, 420.0).to_string());
            place.set("y", (y + dy).clamp(-420.0, 420.0).to_string());
        });
        pins(ui, middle);
        if state.on(Toggle::Location) {
            let dot = Rect::new(middle.0 - 10.0, middle.1 - 10.0, 20.0, 20.0);
            ui.fill(dot.inset(-12.0, -12.0), 22.0, Color::hex(0x42_85F4).alpha(0.2));
            ui.fill(dot, 10.0, Color::WHITE);
            ui.fill(dot.inset(3.0, 3.0), 7.0, Color::hex(0x42_85F4));
        }
        if let Some(spot) = chosen(ui) {
            sheet(state, ui, spot);
        } else {
            let rect = Rect::new(area.right() - 72.0, area.bottom() - 88.0, 56.0, 56.0);
            ui.fab_at(rect, 28.0, "my_location", "Re-center map to your location", |state| {
                if state.on(Toggle::Location) {
                    state.page_mut().set("x", "");
                    state.page_mut().set("y", "");
                } else {
                    state.say("Turn on location in the settings");
                }
            });
        }
        search(ui);
    }

    fn intent(&self, _state: &mut State, intent: &Intent) -> Option<Place> {
        let wanted = intent
            .data
            .strip_prefix("geo:")?
            .split("q=")
            .nth(1)?
            .replace(['+', '_'], " ");
        let mut place = Place::new(ACTIVITY, "");
        let found = SPOTS.iter().position(|spot| spot.0.eq_ignore_ascii_case(&wanted));
        place.set("spot", found.map(|index| index.to_string()).unwrap_or_default());
        Some(place)
    }
}

fn offset(place: &Place, name: &str) -> f32 {
    place.var(name).parse().unwrap_or(0.0)
}

fn chosen(ui: &Ui) -> Option<usize> {
    ui.place
        .number("spot")
        .map(|index| index as usize)
        .filter(|index| *index < SPOTS.len())
}

/// Land, river, park, houses and streets around a point.
fn town(ui: &mut Ui, (x, y): (f32, f32)) {
    let dark = ui.theme.dark;
    let tone = |day: u32, night: u32| Color::hex(if dark { night } else { day });
    ui.fill(ui.screen, 0.0, tone(0xF1_F0EC, 0x24_2B38));
    let water = tone(0xA9_D6F0, 0x17_263C);
    for step in 0..24 {
        let t = step as f32 / 23.0;
        let (px, py) = (x - 560.0 + t * 1150.0, y + 150.0 + (t * 7.0).sin() * 46.0);
        ui.fill(Rect::new(px - 40.0, py - 34.0, 80.0, 68.0), 34.0, water);
    }
    ui.fill(
        Rect::new(x - 250.0, y - 370.0, 210.0, 150.0),
        20.0,
        tone(0xC5_E8C5, 0x26_3C3F),
    );
    ui.fill(
        Rect::new(x + 60.0, y + 250.0, 260.0, 130.0),
        20.0,
        tone(0xC5_E8C5, 0x26_3C3F),
    );
    let (road, main) = (tone(0xFF_FFFF, 0x38_4150), tone(0xFB_E3A4, 0x74_6855));
    for index in -5..=5_i32 {
        let at = index as f32 * 92.0 + if index % 2 == 0 { 12.0 } else { 0.0 };
        let (color, width) = if index == 0 { (main, 12.0) } else { (road, 7.0) };
        ui.line((x - 560.0, y + at - 20.0), (x + 560.0, y + at + 16.0), width, color);
        ui.line((x + at + 18.0, y - 560.0), (x + at - 24.0, y + 560.0), width, color);
    }
    let names = [
        ("Harbor Street", -170.0, 66.0),
        ("Mill Road", 96.0, 166.0),
        ("Market Square", 6.0, -36.0),
        ("North Avenue", -60.0, -260.0),
    ];
    for (name, dx, dy) in names {
        ui.draw_text(x + dx, y + dy, 140.0, sp(11.0), tone(0x6B_6B6B, 0x9A_A5B1), name);
    }
}

fn pins(ui: &mut Ui, (x, y): (f32, f32)) {
    let open = chosen(ui);
    for (index, (name, kind, _, _, _, (dx, dy))) in SPOTS.iter().enumerate() {
        let (color, icon) = match *kind {
            "Restaurant" | "Bakery" => (0xE3_7400, "restaurant"),
            "Train station" => (0x1A_73E8, "train"),
            "Hospital" => (0xD9_3025, "local_hospital"),
            "Sports ground" => (0x1E_8E3E, "sports_soccer"),
            _ => (0x5F_6368, "place"),
        };
        let size = if open == Some(index) { 40.0 } else { 26.0 };
        let rect = Rect::new(x + dx - size / 2.0, y + dy - size / 2.0, size, size);
        ui.fill(rect, size / 2.0, Color::hex(color));
        ui.icon(icon, rect, size * 0.6, Color::WHITE);
        let front = if ui.theme.dark {
            Color::WHITE
        } else {
            Color::hex(0x3C_4043)
        };
        ui.draw_text(
            rect.right() + 4.0,
            rect.y + size / 2.0 - 8.0,
            130.0,
            sp(12.0).medium(),
            front,
            name,
        );
        ui.node(rect.inset(-6.0, -6.0))
            .class("android.view.View")
            .desc(*name)
            .tap(move |state| {
                state.page_mut().set("spot", index.to_string());
            });
    }
}

fn search(ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let typing = ui.place.focus.as_deref() == Some("search");
    if typing {
        ui.fill(Rect::new(0.0, 0.0, ui.screen.w, area.bottom()), 0.0, theme.surface);
        ui.modal();
        let list = Rect::new(area.x, area.y + 76.0, area.w, area.h - 76.0);
        ui.scroll("found", list, |ui, top| {
            let fits = |spot: &&Spot| {
                let text = format!("{} {} {}", spot.0, spot.1, spot.2).to_lowercase();
                text.contains(&wanted)
            };
            SPOTS.iter().filter(fits).fold(top, |y, spot| {
                let index = SPOTS.iter().position(|other| other.0 == spot.0).unwrap_or(0);
                ui.row(
                    y,
                    Row::new(spot.0)
                        .icon("place_o")
                        .summary(spot.2)
                        .tap(move |state| show(state, index)),
                )
            })
        });
    }
    let bar = Rect::new(area.x + 16.0, area.y + 8.0, area.w - 32.0, 54.0);
    if !typing {
        ui.shadow(bar, 27.0, 3.0);
    }
    ui.fill(bar, 27.0, if typing { theme.container_high } else { theme.surface });
    if typing {
        ui.icon_button(bar.x + 4.0, bar.y + 3.0, "arrow_back", "Back", |state| {
            let place = state.page_mut();
            place.blur();
            place.fill("search", "");
        });
    } else {
        ui.icon(
            "place",
            Rect::new(bar.x + 14.0, bar.y, 26.0, bar.h),
            24.0,
            Color::hex(0x34_A853),
        );
    }
    let first = SPOTS
        .iter()
        .position(|spot| !wanted.is_empty() && spot.0.to_lowercase().contains(&wanted));
    let look = FieldLook::new("search", "Search here").submit(move |state| match first {
        Some(index) => show(state, index),
        None => state.say("No results"),
    });
    ui.edit(Rect::new(bar.x + 56.0, bar.y, bar.w - 110.0, bar.h), &look);
    if !typing {
        ui.avatar(Rect::new(bar.right() - 44.0, bar.y + 11.0, 32.0, 32.0), "Alex");
    }
}

/// Shows a place in the middle of what is free.
fn show(state: &mut State, index: usize) {
    let (dx, dy) = SPOTS[index].5;
    let place = state.page_mut();
    place.blur();
    place.fill("search", "");
    place.set("spot", index.to_string());
    place.set("x", (-dx).to_string());
    place.set("y", (-dy - 60.0).to_string());
    place.set("route", "");
}

fn saved(state: &State) -> Vec<String> {
    let kept = state
        .packages
        .get(PACKAGE)
        .and_then(|package| package.memory.get("saved"));
    kept.map(|text| text.lines().map(str::to_owned).collect())
        .unwrap_or_default()
}

fn sheet(state: &State, ui: &mut Ui, index: usize) {
    let theme = ui.theme;
    let (name, kind, address, hours, rating, (dx, dy)) = SPOTS[index];
    let rect = Rect::new(0.0, ui.screen.h - 300.0, ui.screen.w, 300.0);
    ui.shadow(rect, 28.0, 6.0);
    ui.fill_corners(rect, [28.0, 28.0, 0.0, 0.0], theme.surface);
    ui.fill(
        Rect::new(rect.w / 2.0 - 16.0, rect.y + 10.0, 32.0, 4.0),
        2.0,
        theme.outline_variant,
    );
    ui.node(rect)
        .class("android.widget.FrameLayout")
        .id("bottom_sheet")
        .tap(|_| ());
    ui.open();
    ui.label(24.0, rect.y + 26.0, rect.w - 100.0, sp(24.0), theme.on_surface, name);
    ui.icon_button(rect.right() - 60.0, rect.y + 16.0, "close", "Close", |state| {
        state.page_mut().set("spot", "")
    });
    let line = format!("{}.{} stars \u{2022} {kind}", rating / 10, rating % 10);
    ui.label(24.0, rect.y + 60.0, rect.w - 48.0, sp(14.0), theme.on_variant, &line);
    // Streets are a grid: the way is along both sides, at 80 m a minute, 1 dp being 4 m.
    let metres = (dx.abs() + dy.abs()) * 4.0;
    let walk = (metres / 80.0).ceil() as u32;
    if ui.place.var("route") == "1" {
        let text = format!(
            "{walk} min  ({:.1} km) walking, {} min by car",
            metres / 1000.0,
            walk.div_ceil(5)
        );
        ui.label(
            24.0,
            rect.y + 84.0,
            rect.w - 48.0,
            sp(16.0).medium(),
            theme.primary,
            &text,
        );
    } else {
        ui.label(
            24.0,
            rect.y + 84.0,
            rect.w - 48.0,
            sp(14.0),
            theme.on_variant,
            &format!("Open: {hours}"),
        );
    }
    let known = saved(state).iter().any(|other| other == name);
    let width = (rect.w - 64.0) / 2.0;
    let y = rect.y + 120.0;
    ui.button(Rect::new(24.0, y, width, 44.0), Button::Filled, "Directions", |state| {
        if state.on(Toggle::Location) {
            state.page_mut().set("route", "1");
        } else {
            state.say("Turn on location in the settings");
        }
    });
    let word = if known { "Saved" } else { "Save" };
    ui.button(
        Rect::new(40.0 + width, y, width, 44.0),
        Button::Tonal,
        word,
        move |state| {
            let mut list = saved(state);
            if known {
                list.retain(|other| other != name);
            } else {
                list.push(name.to_owned());
            }
            if let Some(package) = state.packages.get_mut(PACKAGE) {
                package.memory.insert("saved".to_owned(), list.join("\n"));
            }
        },
    );
    for (index, (icon, text)) in [("place_o", address), ("access_time", hours)].into_iter().enumerate() {
        let row = Rect::new(24.0, y + 60.0 + index as f32 * 42.0, rect.w - 48.0, 42.0);
        ui.icon(icon, Rect::new(row.x, row.y, 24.0, row.h), 22.0, theme.primary);
        ui.label_in(
            Rect::new(row.x + 44.0, row.y, row.w - 44.0, row.h),
            sp(15.0),
            theme.on_surface,
            text,
        );
    }
    ui.close();
}
