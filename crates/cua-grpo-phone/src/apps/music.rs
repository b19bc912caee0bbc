//! Music: songs, playlists, and what plays.

use crate::{
    app::{App, Icon, Layer},
    draw::{
        geom::{Color, Rect},
        paint::Paint,
    },
    state::{State, data::Info},
    ui::{FieldLook, Ui, act, sp},
};

/// Its package.
pub const PACKAGE: &str = "com.google.android.apps.youtube.music";

/// Music.
pub struct Music;

/// Songs: title, artist, seconds.
pub const SONGS: [(&str, &str, u32); 10] = [
    ("Morning Walk", "The Larches", 201),
    ("Evening Rain", "The Larches", 187),
    ("Paper Boats", "Nina Falk", 214),
    ("Harbor Lights", "Nina Falk", 256),
    ("Slow Train", "Duo Meridian", 243),
    ("Glass Garden", "Duo Meridian", 178),
    ("Northern Wind", "Olaf Strand", 225),
    ("Little Planets", "Kite & Co", 198),
    ("Copper Sky", "Kite & Co", 232),
    ("Last Tram Home", "Olaf Strand", 269),
];

impl App for Music {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Music",
            activity: "com.google.android.apps.youtube.music.activities.MusicActivity",
            permissions: &["POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xE8_3A3A,
            layers: &[
                Layer::Ring(0xFF_FFFF, 0.56, 0.05, 0.0, 360.0),
                Layer::Glyph("play_arrow", 0xFF_FFFF, 0.46, 0.01, 0.0),
            ],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        let tab = ui.place.number("tab").unwrap_or(0).clamp(0, 2) as usize;
        let whole = ui.area;
        let playing = song(state);
        let typing = state.keyboard_shown();
        let below = if typing { 0.0 } else { 80.0 } + if playing.is_some() { 64.0 } else { 0.0 };
        ui.keep_above(whole.bottom() - below);
        let wanted: Vec<usize> = match tab {
            1 => list(state, "favourites"),
            2 => Vec::new(),
            _ => (0..SONGS.len()).collect(),
        };
        if tab == 2 {
            playlists(state, ui);
        } else {
            songs(state, ui, &wanted);
        }
        ui.top_bar(["Songs", "Favorites", "Playlists"][tab], false);
        if let Some(index) = playing {
            player(state, ui, index, whole.bottom() - below);
        }
        ui.area = whole;
        if !typing {
            let tabs = [
                ("music_note", "Songs"),
                ("favorite_border", "Favorites"),
                ("queue_music", "Playlists"),
            ];
            ui.bottom_bar(&tabs, tab);
        }
        if ui.place.var("dialog") == "playlist" {
            let look = FieldLook::new("name", "Name");
            let make = act(|state: &mut State| {
                let name = state.page().typed("name").trim().replace('\n', " ");
                if !name.is_empty() {
                    remember(state, &format!("playlist {name}"), String::new());
                }
            });
            ui.field_dialog("New playlist", &look, "Create", make);
        }
        if ui.place.var("dialog") == "add" {
            let about = ui.place.number("about").unwrap_or(0) as usize;
            let names = playlist_names(state);
            let options: Vec<_> = names
                .into_iter()
                .map(|name| {
                    let key = format!("playlist {name}");
                    let add = act(move |state: &mut State| toggle(state, &key, about, true));
                    (name, false, add)
                })
                .collect();
            ui.radio_dialog("Add to playlist", &options);
        }
    }
}

fn memory<'a>(state: &'a State, key: &str) -> &'a str {
    let kept = state.packages.get(PACKAGE).and_then(|package| package.memory.get(key));
    kept.map_or("", String::as_str)
}

fn remember(state: &mut State, key: &str, value: String) {
    if let Some(package) = state.packages.get_mut(PACKAGE) {
        package.memory.insert(key.to_owned(), value);
    }
}

/// The songs of a list that is kept, by their numbers.
fn list(state: &State, key: &str) -> Vec<usize> {
    let numbers = memory(state, key).split(',').filter_map(|number| number.parse().ok());
    numbers.filter(|index| *index < SONGS.len()).collect()
}

fn toggle(state: &mut State, key: &str, index: usize, only_add: bool) {
    let mut numbers = list(state, key);
    if numbers.contains(&index) {
        if !only_add {
            numbers.retain(|number| *number != index);
        }
    } else {
        numbers.push(index);
    }
    let text: Vec<String> = numbers.iter().map(usize::to_string).collect();
    remember(state, key, text.join(","));
}

fn playlist_names(state: &State) -> Vec<String> {
    let kept = state.packages.get(PACKAGE).map(|package| package.memory.keys());
    kept.into_iter()
        .flatten()
        .filter_map(|key| key.strip_prefix("playlist "))
        .map(str::to_owned)
        .collect()
}

/// The song that is in the player.
fn song(state: &State) -> Option<usize> {
    memory(state, "song").parse().ok().filter(|index| *index < SONGS.len())
}

/// The picture of a record.
fn cover(ui: &mut Ui, rect: Rect, index: usize) {
    const COLORS: [[u32; 2]; 5] = [
        [0xF0_9A6B, 0x8E_3B46],
        [0x7B_C4C4, 0x2E_5E73],
        [0xC9_A7EB, 0x5E_4B8B],
        [0xF4_D35E, 0xC4_7335],
        [0x9F_CC8B, 0x3C_6E47],
    ];
    let artist: usize = SONGS[index].1.len();
    let px = ui.px(rect);
    let radius = 8.0 * ui.frame.k;
    ui.paint(Paint::Gradient {
        rect: px,
        radius,
        colors: COLORS[artist % COLORS.len()].map(Color::hex),
    });
    ui.icon("music_note", rect, rect.h * 0.5, Color::WHITE.alpha(0.85));
}

fn songs(state: &State, ui: &mut Ui, shown: &[usize]) {
    let (area, theme) = (ui.area, ui.theme);
    let liked = list(state, "favourites");
    if shown.is_empty() {
        ui.nothing_here("favorite_border", "Songs you like appear here");
    }
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    ui.scroll("list", rect, |ui, top| {
        let mut y = top;
        for index in shown {
            let index = *index;
            let (title, artist, seconds) = SONGS[index];
            let row = Rect::new(area.x, y, area.w, 68.0);
            ui.node(row)
                .class("android.view.ViewGroup")
                .desc(format!("{title}, {artist}"))
                .tap(move |state| {
                    remember(state, "song", index.to_string());
                    remember(state, "playing", "1".to_owned());
                });
            ui.open();
            cover(ui, Rect::new(area.x + 16.0, y + 10.0, 48.0, 48.0), index);
            let color = if song(state) == Some(index) {
                theme.primary
            } else {
                theme.on_surface
            };
            ui.label(area.x + 80.0, y + 12.0, area.w - 190.0, sp(16.0), color, title);
            let line = format!("{artist} \u{2022} {}:{:02}", seconds / 60, seconds % 60);
            ui.label(
                area.x + 80.0,
                y + 36.0,
                area.w - 190.0,
                sp(14.0),
                theme.on_variant,
                &line,
            );
            ui.close();
            let on = liked.contains(&index);
            let (icon, desc) = if on {
                ("favorite", "Unlike")
            } else {
                ("favorite_border", "Like")
            };
            ui.icon_button(
                area.right() - 100.0,
                y + 10.0,
                icon,
                &format!("{desc} {title}"),
                move |state| {
                    toggle(state, "favourites", index, false);
                },
            );
            ui.icon_button(
                area.right() - 54.0,
                y + 10.0,
                "playlist_add",
                &format!("Add {title} to playlist"),
                move |state| {
                    let place = state.page_mut();
                    place.set("about", index.to_string());
                    place.set("dialog", "add");
                },
            );
            y += 68.0;
        }
        y + 24.0
    });
}

fn playlists(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let names = playlist_names(state);
    if names.is_empty() {
        ui.nothing_here("queue_music", "No playlists");
    }
    let open = ui.place.var("open").to_owned();
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    ui.scroll("list", rect, |ui, top| {
        let mut y = top;
        for name in &names {
            let inside = list(state, &format!("playlist {name}"));
            let shown = name.clone();
            let row = Rect::new(area.x, y, area.w, 68.0);
            ui.node(row).class("android.view.ViewGroup").tap(move |state| {
                let now = state.page().var("open").to_owned();
                state
                    .page_mut()
                    .set("open", if now == shown { String::new() } else { shown.clone() });
            });
            ui.open();
            ui.icon(
                "queue_music",
                Rect::new(area.x + 16.0, y + 10.0, 48.0, 48.0),
                26.0,
                theme.on_variant,
            );
            ui.label(
                area.x + 80.0,
                y + 12.0,
                area.w - 100.0,
                sp(16.0),
                theme.on_surface,
                name,
            );
            ui.label(
                area.x + 80.0,
                y + 36.0,
                200.0,
                sp(14.0),
                theme.on_variant,
                &format!("{} songs", inside.len()),
            );
            ui.close();
            y += 68.0;
            if open == *name {
                for index in inside {
                    let color = theme.on_surface;
                    ui.label(area.x + 96.0, y + 10.0, area.w - 120.0, sp(15.0), color, SONGS[index].0);
                    y += 40.0;
                }
            }
        }
        y + 96.0
    });
    ui.fab("add", "New playlist", |state| {
        let place = state.page_mut();
        place.fill("name", "");
        place.focus("name");
        place.set("dialog", "playlist");
    });
}

/// The player along the lower edge of the list.
fn player(state: &State, ui: &mut Ui, index: usize, top: f32) {
    let theme = ui.theme;
    let bar = Rect::new(ui.area.x, top, ui.area.w, 64.0);
    ui.fill(bar, 0.0, theme.container_high);
    cover(ui, Rect::new(bar.x + 12.0, top + 10.0, 44.0, 44.0), index);
    let (title, artist, _) = SONGS[index];
    ui.label(
        bar.x + 68.0,
        top + 11.0,
        bar.w - 190.0,
        sp(15.0).medium(),
        theme.on_surface,
        title,
    );
    if let Some(node) = ui.last() {
        node.id("player_title");
    }
    ui.label(
        bar.x + 68.0,
        top + 34.0,
        bar.w - 190.0,
        sp(13.0),
        theme.on_variant,
        artist,
    );
    let on = memory(state, "playing") == "1";
    let (icon, desc) = if on { ("pause", "Pause") } else { ("play_arrow", "Play") };
    ui.icon_button(bar.right() - 104.0, top + 8.0, icon, desc, move |state| {
        remember(state, "playing", if on { String::new() } else { "1".to_owned() });
    });
    ui.icon_button(bar.right() - 56.0, top + 8.0, "skip_next", "Next", move |state| {
        remember(state, "song", ((index + 1) % SONGS.len()).to_string());
    });
}
