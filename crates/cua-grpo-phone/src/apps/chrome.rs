//! Chrome: an address bar and the pages that the phone has itself.

use crate::{
    app::{App, Icon, Intent, Layer},
    draw::geom::{Color, Rect},
    state::{Place, State, data::Info},
    ui::{FieldLook, Ui, act, sp},
};

const ACTIVITY: &str = "com.google.android.apps.chrome.Main";
/// Its package.
pub const PACKAGE: &str = "com.android.chrome";

/// Chrome.
pub struct Chrome;

/// Pages: address, title, paragraphs.
const SITES: [(&str, &str, &[&str]); 5] = [
    (
        "weather.example.com",
        "Weather for Springfield",
        &[
            "Today 18\u{b0} and sunny, 12\u{b0} at night.",
            "Tomorrow 16\u{b0} with light rain in the afternoon.",
            "Wind 14 km/h from the west. UV index 4.",
        ],
    ),
    (
        "library.example.org",
        "City Library",
        &[
            "Open Monday to Friday 10:00 \u{2013} 19:00, Saturday 10:00 \u{2013} 14:00.",
            "Address: 5 Market Square.",
            "A library card costs $8 a year. Phone (555) 302-1180.",
        ],
    ),
    (
        "recipes.example.com",
        "Lentil soup in 30 minutes",
        &[
            "Serves 4. You need 250 g red lentils, 1 onion, 2 carrots, 1 l stock, cumin and lemon.",
            "Fry the onion, add the rest, cook for 20 minutes, then blend half of it.",
        ],
    ),
    (
        "news.example.com",
        "The Daily Example",
        &[
            "New tram line opens on 12 May: it links the station and the university in 9 minutes.",
            "Local team wins 3:1.",
            "Farmers' market moves to Sunday.",
        ],
    ),
    (
        "trains.example.net",
        "Departures",
        &[
            "08:12 Harbor, platform 2",
            "08:40 Airport, platform 5",
            "09:05 Hill Valley, platform 1",
        ],
    ),
];

impl App for Chrome {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Chrome",
            activity: ACTIVITY,
            permissions: &["ACCESS_FINE_LOCATION", "CAMERA", "RECORD_AUDIO", "POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[
                Layer::Ring(0xEA_4335, 0.50, 0.17, -60.0, 120.0),
                Layer::Ring(0xFB_BC04, 0.50, 0.17, 60.0, 120.0),
                Layer::Ring(0x34_A853, 0.50, 0.17, 180.0, 120.0),
                Layer::Block(0xFF_FFFF, 0.34, 0.34, 0.0, 0.0, 0.17),
                Layer::Block(0x42_85F4, 0.27, 0.27, 0.0, 0.0, 0.135),
            ],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        let url = ui.place.page.clone();
        let (area, theme) = (ui.area, ui.theme);
        let body = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
        if url.is_empty() {
            start(state, ui, body);
        } else {
            site(ui, body, &url);
        }
        ui.fill(Rect::new(0.0, 0.0, area.w, body.y), 0.0, theme.surface);
        let pill = Rect::new(area.x + 16.0, area.y + 9.0, area.w - 112.0, 46.0);
        ui.fill(pill, 23.0, theme.container_high);
        ui.icon(
            if url.is_empty() { "search" } else { "lock_o" },
            Rect::new(pill.x + 12.0, pill.y, 22.0, pill.h),
            18.0,
            theme.on_variant,
        );
        let typing = ui.place.focus.as_deref() == Some("url");
        let hint = if url.is_empty() { "Search or type URL" } else { &url };
        let mut look = FieldLook::new("url", hint).submit(go);
        look.id = "url_bar";
        ui.edit(Rect::new(pill.x + 44.0, pill.y, pill.w - 60.0, pill.h), &look);
        let _ = typing;
        let marks = marks(state);
        let known = marks.contains(&url);
        if !url.is_empty() {
            let (icon, desc) = if known {
                ("star", "Edit bookmark")
            } else {
                ("star_border", "Bookmark")
            };
            ui.icon_button(area.right() - 96.0, area.y + 8.0, icon, desc, move |state| {
                toggle_mark(state, &url)
            });
        }
        ui.icon_button(
            area.right() - 50.0,
            area.y + 8.0,
            "more_vert",
            "Customize and control Google Chrome",
            |state| state.page_mut().set("menu", "more"),
        );
        if ui.place.var("menu") == "more" {
            let fresh = act(|state: &mut State| state.push(Place::new(ACTIVITY, "")));
            let list = act(|state: &mut State| state.page_mut().set("dialog", "marks"));
            ui.menu(
                area.right() - 8.0,
                area.y + 8.0,
                &[("New tab", fresh), ("Bookmarks", list)],
            );
        }
        if ui.place.var("dialog") == "marks" {
            let options: Vec<_> = marks
                .iter()
                .map(|url| {
                    let target = url.clone();
                    (
                        url.clone(),
                        false,
                        act(move |state: &mut State| state.push(Place::new(ACTIVITY, &target))),
                    )
                })
                .collect();
            ui.radio_dialog("Mobile bookmarks", &options);
        }
    }

    fn intent(&self, state: &mut State, intent: &Intent) -> Option<Place> {
        let url = intent
            .data
            .split_once("://")
            .filter(|(scheme, _)| scheme.starts_with("http"))?
            .1;
        let _ = state;
        Some(Place::new(ACTIVITY, url.trim_end_matches('/')))
    }
}

fn marks(state: &State) -> Vec<String> {
    let kept = state
        .packages
        .get(PACKAGE)
        .and_then(|package| package.memory.get("bookmarks"));
    kept.map(|text| text.lines().map(str::to_owned).collect())
        .unwrap_or_default()
}

fn toggle_mark(state: &mut State, url: &str) {
    let mut list = marks(state);
    if list.iter().any(|mark| mark == url) {
        list.retain(|mark| mark != url);
    } else {
        list.push(url.to_owned());
        state.say("Bookmarked");
    }
    if let Some(package) = state.packages.get_mut(PACKAGE) {
        package.memory.insert("bookmarks".to_owned(), list.join("\n"));
    }
}

fn go(state: &mut State) {
    let typed = state.page().typed("url").trim().to_lowercase();
    let url = typed
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    if url.is_empty() {
        return;
    }
    let place = state.page_mut();
    place.fill("url", "");
    place.blur();
    state.push(Place::new(ACTIVITY, &url));
}

fn start(state: &State, ui: &mut Ui, body: Rect) {
    let theme = ui.theme;
    ui.label(
        body.x,
        body.y + 70.0,
        body.w,
        sp(44.0).center(),
        theme.on_surface,
        "Chrome",
    );
    let cell = body.w / 4.0;
    for (index, (url, title, _)) in SITES.iter().enumerate() {
        let rect = Rect::new(
            body.x + (index % 4) as f32 * cell,
            body.y + 180.0 + (index / 4) as f32 * 112.0,
            cell,
            104.0,
        );
        let round = Rect::new(rect.center().0 - 28.0, rect.y, 56.0, 56.0);
        ui.fill(round, 28.0, theme.container_high);
        ui.draw_text_in(round, sp(22.0).medium().center(), theme.primary, &title[..1]);
        let name = url.split('.').next().unwrap_or(url);
        ui.draw_text(rect.x, rect.y + 64.0, cell, sp(13.0).center(), theme.on_surface, name);
        let url = *url;
        ui.node(rect)
            .class("android.widget.FrameLayout")
            .desc(*title)
            .tap(move |state| state.push(Place::new(ACTIVITY, url)));
    }
    if state.network().is_none() && !state.on(crate::state::Toggle::MobileData) {
        ui.label(
            body.x,
            body.y + 420.0,
            body.w,
            sp(14.0).center(),
            theme.on_variant,
            "You are offline",
        );
    }
}

fn site(ui: &mut Ui, body: Rect, url: &str) {
    let theme = ui.theme;
    let found = SITES.iter().find(|(address, ..)| *address == url);
    ui.fill(
        body,
        0.0,
        if theme.dark {
            Color::hex(0x1E_1F25)
        } else {
            Color::WHITE
        },
    );
    let Some((_, title, text)) = found else {
        ui.icon(
            "sentiment_very_dissatisfied_o",
            Rect::new(body.x + 24.0, body.y + 60.0, 56.0, 56.0),
            52.0,
            theme.on_variant,
        );
        ui.label(
            body.x + 24.0,
            body.y + 136.0,
            body.w - 48.0,
            sp(22.0).lines(2),
            theme.on_surface,
            "This site can\u{2019}t be reached",
        );
        let line = format!("{url}\u{2019}s server IP address could not be found.");
        ui.label(
            body.x + 24.0,
            body.y + 180.0,
            body.w - 48.0,
            sp(15.0).lines(3),
            theme.on_variant,
            &line,
        );
        ui.label(
            body.x + 24.0,
            body.y + 236.0,
            body.w,
            sp(13.0),
            theme.on_variant,
            "ERR_NAME_NOT_RESOLVED",
        );
        return;
    };
    ui.scroll("page", body, |ui, top| {
        let width = body.w - 40.0;
        let mut y = top + 24.0;
        y += ui.label(
            body.x + 20.0,
            y,
            width,
            sp(28.0).medium().lines(3).roboto(),
            theme.on_surface,
            title,
        ) + 16.0;
        for paragraph in *text {
            y += ui.label(
                body.x + 20.0,
                y,
                width,
                sp(17.0).lines(12).roboto(),
                theme.on_surface,
                paragraph,
            ) + 14.0;
        }
        y + 40.0
    });
}
