//! Files: folders, files, and what can be done with them.

use crate::{
    app::{App, Icon, Layer},
    draw::geom::{Color, Rect},
    state::{
        State,
        data::{File, Info},
        time::Civil,
    },
    ui::{FieldLook, Ui, act, sp},
};

const ROOT: &str = "/sdcard";

/// Files.
pub struct Files;

impl App for Files {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.documentsui",
            label: "Files",
            activity: "com.android.documentsui.files.FilesActivity",
            permissions: &[],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[Layer::Glyph("folder", 0x1A_73E8, 0.62, 0.0, 0.0)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        let folder = folder(ui);
        let (area, theme) = (ui.area, ui.theme);
        let moving = ui.place.var("moving").to_owned();
        let chosen: Vec<String> = ui.place.var("mode").lines().map(str::to_owned).collect();
        let wanted = ui.place.typed("search").trim().to_lowercase();
        let searching = ui.place.var("search") == "1";
        let list = entries(state, &folder, if searching { &wanted } else { "" });
        let foot = if moving.is_empty() { 0.0 } else { 64.0 };
        let rect = Rect::new(area.x, area.y + 112.0, area.w, area.h - 112.0 - foot);
        if list.is_empty() {
            ui.nothing_here(
                "folder_o",
                if searching {
                    "No items match your search"
                } else {
                    "No items"
                },
            );
        }
        ui.scroll("list", rect, |ui, top| {
            list.iter()
                .fold(top, |y, (path, file)| row(state, ui, y, path, file, &chosen))
                + 24.0
        });
        ui.fill(Rect::new(0.0, 0.0, area.w, rect.y), 0.0, theme.surface);
        if chosen.is_empty() {
            bar(ui, &folder, searching);
        } else {
            selection_bar(ui, &chosen);
        }
        let crumbs = folder.replacen(ROOT, "Pixel 7", 1).replace('/', "  \u{203a}  ");
        ui.label(
            area.x + 24.0,
            area.y + 76.0,
            area.w - 48.0,
            sp(14.0).medium(),
            theme.on_variant,
            &crumbs,
        );
        if foot > 0.0 {
            paste_bar(ui, &moving, &folder);
        }
        menus(ui, &folder, &chosen);
    }
}

fn folder(ui: &Ui) -> String {
    if ui.place.page.is_empty() {
        ROOT.to_owned()
    } else {
        ui.place.page.clone()
    }
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What a folder holds, folders first; a word looks through all that is below.
fn entries(state: &State, folder: &str, wanted: &str) -> Vec<(String, File)> {
    let inside = |path: &str| {
        let rest = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|rest| {
            if wanted.is_empty() {
                !rest.contains('/')
            } else {
                name(rest).to_lowercase().contains(wanted)
            }
        })
    };
    let mut list: Vec<(String, File)> = state
        .files
        .iter()
        .filter(|(path, _)| inside(path))
        .map(|(path, file)| (path.clone(), file.clone()))
        .collect();
    list.sort_by_key(|(path, file)| (file.content.is_some(), name(path).to_lowercase()));
    list
}

fn icon(path: &str, file: &File) -> (&'static str, u32) {
    let end = path.rsplit('.').next().unwrap_or_default();
    match end {
        _ if file.content.is_none() => ("folder", 0x5F_6368),
        "jpg" | "png" => ("image", 0xD9_3025),
        "mp3" | "m4a" | "wav" => ("audiotrack", 0xE3_7400),
        "pdf" => ("picture_as_pdf", 0xC5_221F),
        "mp4" => ("movie", 0xD9_3025),
        _ => ("description", 0x1A_73E8),
    }
}

fn row(state: &State, ui: &mut Ui, y: f32, path: &str, file: &File, chosen: &[String]) -> f32 {
    let (area, theme) = (ui.area, ui.theme);
    let rect = Rect::new(area.x, y, area.w, 72.0);
    let on = chosen.iter().any(|other| other == path);
    if on {
        ui.fill(rect, 0.0, theme.secondary_container);
    }
    let selecting = !chosen.is_empty();
    let (opened, held) = (path.to_owned(), path.to_owned());
    let is_folder = file.content.is_none();
    let toggle = move |state: &mut State| {
        let place = state.page_mut();
        let mut list: Vec<String> = place.var("mode").lines().map(str::to_owned).collect();
        if list.contains(&held) {
            list.retain(|other| *other != held);
        } else {
            list.push(held.clone());
        }
        place.set("mode", list.join("\n"));
    };
    let (held, marked) = (toggle.clone(), toggle.clone());
    let node = ui.node(rect);
    node.class("android.widget.LinearLayout").id("item_root").select(on);
    node.tap(move |state| {
        if selecting {
            toggle(state);
        } else if is_folder {
            let moving = state.page().var("moving").to_owned();
            let how = state.page().var("how").to_owned();
            state.open(&opened);
            state.page_mut().set("moving", moving);
            state.page_mut().set("how", how);
        } else {
            state.page_mut().set("dialog", "open");
            state.page_mut().set("about", opened.as_str());
        }
    });
    node.long(held);
    ui.open();
    let square = Rect::new(area.x + 20.0, y + 16.0, 40.0, 40.0);
    ui.node(square)
        .class("android.widget.ImageView")
        .id("icon_mime")
        .desc(format!("Select {}", name(path)))
        .tap(marked);
    let (icon, color) = icon(path, file);
    let color = if theme.dark {
        Color::hex(color).mix(Color::WHITE, 0.45)
    } else {
        Color::hex(color)
    };
    if on {
        ui.fill(square, 20.0, theme.primary);
        ui.icon("check", square, 24.0, theme.on_primary);
    } else {
        ui.icon(icon, square, 28.0, color);
    }
    ui.label(
        area.x + 76.0,
        y + 14.0,
        area.w - 96.0,
        sp(16.0),
        theme.on_surface,
        name(path),
    );
    if let Some(node) = ui.last() {
        node.id("android:id/title");
    }
    let at = Civil::new(state.local(file.changed));
    let day = format!("{} {}", &at.month_name()[..3], at.day);
    let below = if is_folder {
        day
    } else {
        format!("{day}, {}", size(file.size))
    };
    ui.label(
        area.x + 76.0,
        y + 38.0,
        area.w - 96.0,
        sp(14.0),
        theme.on_variant,
        &below,
    );
    ui.close();
    rect.bottom()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.2} kB", bytes as f64 / 1e3),
        _ => format!("{:.2} MB", bytes as f64 / 1e6),
    }
}

fn bar(ui: &mut Ui, folder: &str, searching: bool) {
    let (area, theme) = (ui.area, ui.theme);
    if searching {
        ui.icon_button(area.x + 4.0, area.y + 8.0, "arrow_back", "Back", |state| {
            let place = state.page_mut();
            place.close_over();
            place.fill("search", "");
        });
        let look = FieldLook::new("search", "Search this phone")
            .style(sp(17.0))
            .submit(|state| state.keyboard.hidden = true);
        ui.edit(Rect::new(area.x + 56.0, area.y + 4.0, area.w - 72.0, 56.0), &look);
        return;
    }
    let (icon, desc) = if folder == ROOT {
        ("menu", "Show roots")
    } else {
        ("arrow_back", "Navigate up")
    };
    let root = folder == ROOT;
    ui.icon_button(area.x + 4.0, area.y + 8.0, icon, desc, move |state| {
        if !root {
            state.close_page();
        }
    });
    let title = if root { "Files" } else { name(folder) };
    ui.label_in(
        Rect::new(area.x + 60.0, area.y, area.w - 180.0, 64.0),
        sp(22.0),
        theme.on_surface,
        title,
    );
    ui.icon_button(area.right() - 104.0, area.y + 8.0, "search", "Search", |state| {
        let place = state.page_mut();
        place.set("search", "1");
        place.focus("search");
    });
    ui.icon_button(
        area.right() - 56.0,
        area.y + 8.0,
        "more_vert",
        "More options",
        |state| state.page_mut().set("menu", "more"),
    );
}

fn selection_bar(ui: &mut Ui, chosen: &[String]) {
    let (area, theme) = (ui.area, ui.theme);
    ui.icon_button(area.x + 4.0, area.y + 8.0, "close", "Done", |state| {
        state.page_mut().close_over();
    });
    let title = format!("{} selected", chosen.len());
    ui.label_in(
        Rect::new(area.x + 60.0, area.y, 160.0, 64.0),
        sp(20.0),
        theme.on_surface,
        &title,
    );
    ui.icon_button(area.right() - 104.0, area.y + 8.0, "delete_o", "Delete", |state| {
        let list = state.page().var("mode").to_owned();
        state.page_mut().set("chosen", list);
        state.page_mut().set("dialog", "delete");
    });
    ui.icon_button(
        area.right() - 56.0,
        area.y + 8.0,
        "more_vert",
        "More options",
        |state| state.page_mut().set("menu", "selected"),
    );
}

fn paste_bar(ui: &mut Ui, moving: &str, folder: &str) {
    let (area, theme) = (ui.area, ui.theme);
    let bar = Rect::new(area.x, area.bottom() - 64.0, area.w, 64.0);
    ui.fill(bar, 0.0, theme.container);
    let how = ui.place.var("how").to_owned();
    let word = if how == "copy" { "Copy here" } else { "Move here" };
    let (list, folder) = (moving.to_owned(), folder.to_owned());
    ui.button(
        Rect::new(bar.right() - 140.0, bar.y + 12.0, 124.0, 40.0),
        crate::ui::Button::Filled,
        word,
        move |state| {
            for path in list.lines() {
                state.move_file(path, &format!("{folder}/{}", name(path)), how == "copy");
            }
            for task in &mut state.tasks {
                for place in &mut task.places {
                    place.set("moving", "");
                }
            }
        },
    );
    ui.button(
        Rect::new(bar.x + 16.0, bar.y + 12.0, 96.0, 40.0),
        crate::ui::Button::Text,
        "Cancel",
        |state| {
            state.page_mut().set("moving", "");
        },
    );
}

fn menus(ui: &mut Ui, folder: &str, chosen: &[String]) {
    let (area, folder) = (ui.area, folder.to_owned());
    let dialog = |name: &'static str| {
        act(move |state: &mut State| {
            let place = state.page_mut();
            let first = place.var("chosen").lines().next().unwrap_or_default().to_owned();
            place.fill("name", if name == "rename" { self::name(&first) } else { "" });
            place.focus("name");
            place.set("dialog", name);
        })
    };
    let list = chosen.join("\n");
    match ui.place.var("menu").to_owned().as_str() {
        "more" => ui.menu(
            area.right() - 8.0,
            area.y + 8.0,
            &[
                ("New folder", dialog("folder")),
                ("Sort by\u{2026}", act(|_: &mut State| ())),
                ("Select all", {
                    let folder = folder.clone();
                    act(move |state: &mut State| {
                        let all: Vec<String> = entries(state, &folder, "").into_iter().map(|(path, _)| path).collect();
                        state.page_mut().set("mode", all.join("\n"));
                    })
                }),
            ],
        ),
        "selected" => {
            let take = |how: &'static str| {
                let list = list.clone();
                act(move |state: &mut State| {
                    // The target is looked for from the top, as in the picker of the app.
                    state.page_mut().set("mode", "");
                    state.open(ROOT);
                    let place = state.page_mut();
                    place.set("moving", list.as_str());
                    place.set("how", how);
                })
            };
            let list = list.clone();
            let rename = dialog("rename");
            let rename = act(move |state: &mut State| {
                state.page_mut().set("chosen", list.as_str());
                rename(state);
            });
            let mut items = vec![("Copy to\u{2026}", take("copy")), ("Move to\u{2026}", take("move"))];
            if chosen.len() == 1 {
                items.push(("Rename", rename));
            }
            ui.menu(area.right() - 8.0, area.y + 8.0, &items);
        }
        _ => {}
    }
    let no = act(|_: &mut State| ());
    let about = ui.place.var("chosen").to_owned();
    match ui.place.var("dialog").to_owned().as_str() {
        "folder" => ui.field_dialog(
            "New folder",
            &FieldLook::new("name", "Folder name"),
            "OK",
            act(move |state: &mut State| {
                let name = state.page().typed("name").trim().replace('/', "_");
                if !name.is_empty() {
                    state.make_folder(&format!("{folder}/{name}"));
                }
            }),
        ),
        "rename" => ui.field_dialog(
            "Rename",
            &FieldLook::new("name", "Name"),
            "OK",
            act(move |state: &mut State| {
                let name = state.page().typed("name").trim().replace('/', "_");
                if !name.is_empty() {
                    state.move_file(&about, &format!("{folder}/{name}"), false);
                }
                state.page_mut().set("mode", "");
            }),
        ),
        "delete" => {
            let count = about.lines().count();
            let text = if count == 1 {
                format!("Delete \u{201c}{}\u{201d}?", name(&about))
            } else {
                format!("Delete {count} items?")
            };
            let yes = act(move |state: &mut State| {
                for path in about.lines() {
                    state.delete_file(path);
                }
                state.page_mut().set("mode", "");
            });
            ui.dialog("", &text, &[("Cancel", no), ("OK", yes)]);
        }
        "open" => {
            let path = ui.place.var("about").to_owned();
            ui.dialog(
                name(&path),
                "No app can show more of this file than its name and size.",
                &[("OK", no)],
            );
        }
        _ => {}
    }
}
