//! Notes: cards, and an editor that keeps what is typed.

use super::people::search_bar;
use crate::{
    app::{App, Icon, Layer},
    draw::geom::{Color, Rect},
    state::{
        State,
        data::{Info, Note},
    },
    ui::{FieldLook, Theme, Ui, act, sp},
};

/// Notes.
pub struct Keep;

impl App for Keep {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.keep",
            label: "Keep Notes",
            activity: "com.google.android.apps.keep.ui.activities.BrowseActivity",
            permissions: &["POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_BA00,
            layers: &[Layer::Glyph("lightbulb", 0xFF_FFFF, 0.58, 0.0, 0.0)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        if ui.place.page == "note" {
            editor(state, ui);
        } else {
            cards(state, ui);
        }
    }

    fn after(&self, state: &mut State) {
        keep_typed(state);
    }
}

/// The colour of a card.
fn back(theme: Theme, color: u8) -> Color {
    let light = [0, 0xFA_F3D1, 0xD3_F0DC, 0xD4_E4ED, 0xF6_E2DD];
    let dark = [0, 0x54_4A1F, 0x26_4D3B, 0x25_6377, 0x69_2B17];
    match color {
        1..=4 => Color::hex(if theme.dark { dark } else { light }[usize::from(color)]),
        _ => theme.surface,
    }
}

fn cards(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let holds = |note: &&Note| {
        let text = format!("{}\n{}", note.title, note.body).to_lowercase();
        text.contains(&wanted) || note.items.iter().any(|(item, _)| item.to_lowercase().contains(&wanted))
    };
    let mut list: Vec<Note> = state.notes.iter().filter(holds).cloned().collect();
    list.sort_by_key(|note| (!note.pinned, std::cmp::Reverse(note.changed), note.id));
    if list.is_empty() {
        ui.nothing_here(
            "lightbulb_o",
            if wanted.is_empty() {
                "Notes you add appear here"
            } else {
                "No matching notes"
            },
        );
    }
    let rect = Rect::new(area.x, area.y + 72.0, area.w, area.h - 72.0);
    ui.scroll("list", rect, |ui, top| {
        // Two columns, each card under the shorter one, as the app lays them out.
        let width = (area.w - 32.0 - 8.0) / 2.0;
        let mut ends = [top + 8.0; 2];
        for note in &list {
            let column = usize::from(ends[1] < ends[0]);
            let x = area.x + 16.0 + column as f32 * (width + 8.0);
            let text = body_text(note);
            let title_height = if note.title.is_empty() {
                0.0
            } else {
                ui.measure(&note.title, sp(16.0).medium().lines(3), width - 32.0).1 + 8.0
            };
            let text_height = if text.is_empty() {
                0.0
            } else {
                ui.measure(&text, sp(14.0).lines(9), width - 32.0).1
            };
            let card = Rect::new(x, ends[column], width, 32.0 + title_height + text_height);
            ui.fill(card, 14.0, back(theme, note.color));
            if note.color == 0 {
                ui.stroke(card, 14.0, 1.0, theme.outline_variant);
            }
            let (id, held) = (note.id, note.id);
            let spoken = format!("{}. {}", note.title, text.replace('\n', " "));
            let node = ui.node(card);
            node.class("androidx.cardview.widget.CardView")
                .id("browse_note_interior_content")
                .desc(spoken);
            node.tap(move |state| open(state, id));
            node.long(move |state| {
                state.page_mut().set("about", held.to_string());
                state.page_mut().set("menu", "note");
            });
            ui.open();
            if !note.title.is_empty() {
                ui.label(
                    x + 16.0,
                    card.y + 16.0,
                    width - 32.0,
                    sp(16.0).medium().lines(3),
                    theme.on_surface,
                    &note.title,
                );
            }
            if !text.is_empty() {
                ui.label(
                    x + 16.0,
                    card.y + 16.0 + title_height,
                    width - 32.0,
                    sp(14.0).lines(9),
                    theme.on_surface,
                    &text,
                );
            }
            ui.close();
            ends[column] = card.bottom() + 8.0;
        }
        ends[0].max(ends[1]) + 100.0
    });
    search_bar(ui, "Search your notes");
    ui.fab("add", "New text note", |state| {
        let id = state.fresh_id();
        state.notes.insert(
            0,
            Note {
                id,
                changed: state.now,
                ..Note::default()
            },
        );
        open(state, id);
        state.page_mut().focus("body");
    });
    if ui.place.var("menu") == "note" {
        let id = ui.place.number("about").unwrap_or(0) as u32;
        ui.menu(
            area.right() - 8.0,
            area.y + 8.0,
            &[
                ("Delete", act(move |state: &mut State| delete(state, id))),
                (
                    "Pin",
                    act(move |state: &mut State| change(state, id, |note| note.pinned = !note.pinned)),
                ),
            ],
        );
    }
}

/// The text of a card; ticked items are at the end.
fn body_text(note: &Note) -> String {
    let item = |(text, done): &(String, bool)| format!("{} {text}", if *done { "\u{2022}" } else { "\u{25e6}" });
    let items: Vec<String> = note.items.iter().map(item).collect();
    if items.is_empty() {
        note.body.clone()
    } else {
        items.join("\n").replace('\u{25e6}', "\u{2013}")
    }
}

fn open(state: &mut State, id: u32) {
    let Some(note) = state.notes.iter().find(|note| note.id == id).cloned() else {
        return;
    };
    state.open_about("note", id);
    let place = state.page_mut();
    place.fill("title", note.title);
    place.fill("body", note.body);
}

fn change(state: &mut State, id: u32, change: impl Fn(&mut Note)) {
    if let Some(note) = state.notes.iter_mut().find(|note| note.id == id) {
        change(note);
    }
}

fn delete(state: &mut State, id: u32) {
    state.notes.retain(|note| note.id != id);
    state.say("Note moved to trash");
}

/// Takes over what the editor of a note holds; a note that was left empty is dropped.
fn keep_typed(state: &mut State) {
    let now = state.now;
    let pages: Vec<(u32, String, String)> = state
        .tasks
        .iter()
        .filter(|task| task.package == "com.google.android.keep")
        .flat_map(|task| &task.places)
        .filter(|place| place.page == "note")
        .filter_map(|place| {
            let id = place.number("id")? as u32;
            Some((id, place.typed("title").to_owned(), place.typed("body").to_owned()))
        })
        .collect();
    for (id, title, body) in &pages {
        if let Some(note) = state.notes.iter_mut().find(|note| note.id == *id)
            && (note.title != *title || note.body != *body)
        {
            (note.title, note.body, note.changed) = (title.clone(), body.clone(), now);
        }
    }
    state.notes.retain(|note| {
        let edited = pages.iter().any(|(id, ..)| *id == note.id);
        edited || !(note.title.is_empty() && note.body.is_empty() && note.items.is_empty())
    });
}

fn editor(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let id = ui.place.number("id").unwrap_or(0) as u32;
    let Some(note) = state.notes.iter().find(|note| note.id == id).cloned() else {
        ui.top_bar("", true);
        ui.nothing_here("delete_o", "This note is gone");
        return;
    };
    ui.fill(ui.screen, 0.0, back(theme, note.color));
    let foot = area.bottom() - 48.0;
    let rect = Rect::new(area.x, area.y + 64.0, area.w, foot - area.y - 64.0);
    ui.scroll("note", rect, |ui, top| {
        let title = Rect::new(area.x + 20.0, top, area.w - 40.0, 48.0);
        let mut look = FieldLook::new("title", "Title").style(sp(22.0));
        look.id = "editable_title";
        look.submit = Some(act(|state: &mut State| state.page_mut().focus("body")));
        ui.edit(title, &look);
        let mut y = title.bottom() + 4.0;
        for (index, (item, done)) in note.items.iter().enumerate() {
            let row = Rect::new(area.x + 12.0, y, area.w - 24.0, 44.0);
            ui.draw_check(Rect::new(row.x + 8.0, y, 24.0, 44.0), *done);
            let color = if *done { theme.on_variant } else { theme.on_surface };
            ui.draw_text_in(Rect::new(row.x + 44.0, y, row.w - 60.0, 44.0), sp(16.0), color, item);
            ui.node(row)
                .class("android.widget.CheckBox")
                .text(item.clone())
                .check(*done)
                .tap(move |state| {
                    change(state, id, |note| {
                        if let Some(item) = note.items.get_mut(index) {
                            item.1 = !item.1;
                        }
                    });
                });
            y += 44.0;
        }
        let text = ui.place.typed("body").to_owned();
        let height = ui.measure(&text, sp(16.0).lines(200), area.w - 40.0).1.max(220.0) + 24.0;
        let mut look = FieldLook::new("body", "Note").style(sp(16.0)).multiline();
        look.id = "edit_note_text";
        ui.edit(Rect::new(area.x + 20.0, y, area.w - 40.0, height), &look);
        y + height + 16.0
    });
    ui.fill(Rect::new(0.0, area.y, area.w, 64.0), 0.0, back(theme, note.color));
    ui.icon_button(
        area.x + 4.0,
        area.y + 8.0,
        "arrow_back",
        "Navigate up",
        State::close_page,
    );
    let pin = if note.pinned {
        ("push_pin", "Unpin")
    } else {
        ("push_pin_o", "Pin")
    };
    ui.icon_button(area.right() - 104.0, area.y + 8.0, pin.0, pin.1, move |state| {
        change(state, id, |note| note.pinned = !note.pinned);
    });
    ui.icon_button(area.right() - 56.0, area.y + 8.0, "archive_o", "Archive", |state| {
        state.say("Note archived")
    });
    ui.fill(Rect::new(0.0, foot, area.w, 48.0), 0.0, back(theme, note.color));
    ui.icon_button(area.x + 4.0, foot, "palette_o", "Background", move |state| {
        change(state, id, |note| note.color = (note.color + 1) % 5);
    });
    ui.icon_button(area.right() - 52.0, foot, "more_vert", "Action", |state| {
        state.page_mut().set("menu", "action")
    });
    let edited = format!("Edited {}", state.clock_of(note.changed));
    ui.label_in(
        Rect::new(area.x + 60.0, foot, area.w - 120.0, 48.0),
        sp(12.0).center(),
        theme.on_variant,
        &edited,
    );
    if ui.place.var("menu") == "action" {
        let gone = act(move |state: &mut State| {
            delete(state, id);
            state.close_page();
        });
        let copy = act(move |state: &mut State| {
            if let Some(mut note) = state.notes.iter().find(|note| note.id == id).cloned() {
                note.id = state.fresh_id();
                state.notes.insert(0, note);
            }
        });
        ui.menu(
            area.right() - 8.0,
            foot - 120.0,
            &[("Delete", gone), ("Make a copy", copy)],
        );
    }
}
