//! The home screen: date, icons, dock, search; and the drawer with all apps.

use super::STATUS;
use crate::{
    draw::{
        geom::{Color, Rect},
        paint::Paint,
    },
    state::{LAUNCHER, State, Window},
    ui::{FieldLook, Ui, Way, act, sp},
};

/// Icons in a row.
const COLUMNS: usize = 4;
/// Rows of a page.
const ROWS: usize = 5;

/// Builds the home screen, or the drawer where it is open.
pub fn build(state: &State, ui: &mut Ui) {
    let place = state.place(Window::Home);
    ui.window(Window::Home, LAUNCHER, place);
    ui.paint(Paint::Wallpaper {
        kind: state.wallpaper(),
        dark: ui.theme.dark,
    });
    if place.var("drawer") == "1" {
        drawer(state, ui);
    } else {
        // A shade behind the symbols and the date, as launchers draw it over light pictures.
        let rect = ui.px(Rect::new(0.0, 0.0, ui.screen.w, 150.0));
        let colors = [Color::BLACK.alpha(0.36), Color::BLACK.alpha(0.0)];
        ui.paint(Paint::Gradient {
            rect,
            radius: 0.0,
            colors,
        });
        pages(state, ui);
    }
}

fn pages(state: &State, ui: &mut Ui) {
    let area = ui.area;
    let lists = state.home.len().saturating_sub(1).max(1);
    let page = (state.place(Window::Home).number("page").unwrap_or(0).max(0) as usize).min(lists - 1);
    let workspace = ui.screen;
    ui.node(workspace)
        .class("android.view.ViewGroup")
        .id("workspace")
        .desc(format!("Home screen {} of {lists}", page + 1));
    if let Some(node) = ui.last() {
        node.long(|state| state.place_mut(Window::Home).set("menu", "home"));
        node.swipe(move |state, way| {
            let place = state.place_mut(Window::Home);
            match way {
                Way::Up => place.set("drawer", "1"),
                Way::Down => state.pull_shade(1),
                Way::Left => place.set("page", (page + 1).min(lists - 1).to_string()),
                Way::Right => place.set("page", page.saturating_sub(1).to_string()),
            }
        });
    }
    ui.open();
    let top = area.y + 28.0;
    if page == 0 {
        let now = state.civil();
        let date = now.short_date();
        ui.label(area.x + 28.0, top, 300.0, sp(22.0), Color::WHITE, &date);
        if let Some(node) = ui.last() {
            node.id("date").tap(|state| state.launch("com.google.android.calendar"));
        }
        let weather = "18\u{b0}C";
        ui.icon(
            "wb_sunny",
            Rect::new(area.x + 28.0, top + 34.0, 22.0, 22.0),
            20.0,
            Color::hex(0xFF_D97A),
        );
        ui.label(area.x + 56.0, top + 34.0, 120.0, sp(16.0), Color::WHITE, weather);
    }
    let search = Rect::new(area.x + 20.0, area.bottom() - 70.0, area.w - 40.0, 52.0);
    let dock_y = search.y - 92.0;
    let grid = Rect::new(area.x + 12.0, top + 84.0, area.w - 24.0, dock_y - 28.0 - (top + 84.0));
    if let Some(list) = state.home.get(page) {
        let rows = list.len().div_ceil(COLUMNS).min(ROWS);
        let (w, h) = (grid.w / COLUMNS as f32, grid.h / ROWS as f32);
        for (index, package) in list.iter().take(COLUMNS * ROWS).enumerate() {
            let row = ROWS - rows + index / COLUMNS;
            let cell = Rect::new(grid.x + (index % COLUMNS) as f32 * w, grid.y + row as f32 * h, w, h);
            home_icon(state, ui, cell, package, true, Color::WHITE);
        }
    }
    if lists > 1 {
        for index in 0..lists {
            let x = ui.screen.w / 2.0 + (index as f32 - (lists as f32 - 1.0) / 2.0) * 16.0;
            let color = Color::WHITE.alpha(if index == page { 1.0 } else { 0.45 });
            ui.fill(Rect::new(x - 3.0, dock_y - 18.0, 6.0, 6.0), 3.0, color);
        }
    }
    if let Some(dock) = state.home.last() {
        let w = grid.w / dock.len().max(1) as f32;
        for (index, package) in dock.iter().enumerate() {
            let cell = Rect::new(grid.x + index as f32 * w, dock_y, w, 76.0);
            home_icon(state, ui, cell, package, false, Color::WHITE);
        }
    }
    search_bar(ui, search);
    ui.close();
    menus(state, ui);
}

fn search_bar(ui: &mut Ui, rect: Rect) {
    let theme = ui.theme;
    ui.fill(
        rect,
        26.0,
        if theme.dark {
            theme.container_high
        } else {
            theme.surface
        },
    );
    ui.icon(
        "search",
        Rect::new(rect.x + 14.0, rect.y, 24.0, rect.h),
        24.0,
        theme.primary,
    );
    ui.icon(
        "mic",
        Rect::new(rect.right() - 84.0, rect.y, 24.0, rect.h),
        22.0,
        theme.primary,
    );
    ui.icon(
        "photo_camera",
        Rect::new(rect.right() - 44.0, rect.y, 24.0, rect.h),
        22.0,
        theme.primary,
    );
    ui.node(rect)
        .class("android.widget.FrameLayout")
        .id("search_container_hotseat")
        .desc("Search")
        .tap(|state| {
            let place = state.place_mut(Window::Home);
            place.set("drawer", "1");
            place.focus("drawer_search");
        });
}

/// An icon with its name; a long press opens its menu.
fn home_icon(state: &State, ui: &mut Ui, cell: Rect, package: &str, label: bool, color: Color) {
    let size = 56.0;
    let round = Rect::new(cell.center().0 - size / 2.0, cell.y + 8.0, size, size);
    ui.emblem(round, size, &state.icon(package));
    if state.notifications.iter().any(|n| n.package == package && !n.silent) {
        ui.fill(
            Rect::new(round.right() - 13.0, round.y - 1.0, 14.0, 14.0),
            7.0,
            ui.theme.primary_container,
        );
    }
    let name = state.label(package);
    if label {
        ui.draw_text(
            cell.x + 4.0,
            round.bottom() + 7.0,
            cell.w - 8.0,
            sp(12.5).center(),
            color,
            &name,
        );
    }
    let (launched, asked) = (package.to_owned(), package.to_owned());
    let rect = Rect::new(cell.x + 4.0, cell.y, cell.w - 8.0, if label { 92.0 } else { cell.h });
    let node = ui.node(rect);
    node.class("android.widget.TextView").text(name.clone()).desc(name);
    node.tap(move |state| state.launch(&launched));
    node.long(move |state| {
        let place = state.place_mut(Window::Home);
        place.set("menu", "icon");
        place.set("about", asked.as_str());
    });
}

fn menus(state: &State, ui: &mut Ui) {
    let place = state.place(Window::Home);
    let right = ui.screen.w / 2.0 + 120.0;
    let y = ui.screen.h * 0.4;
    if place.var("menu") == "home" {
        let settings = |page: &'static str| {
            act(move |state: &mut State| {
                state.start(
                    "com.android.settings",
                    crate::state::Place::new("com.android.settings.SubSettings", page),
                );
            })
        };
        ui.menu(
            right,
            y,
            &[
                ("Wallpaper & style", settings("wallpaper")),
                ("Home settings", settings("home_settings")),
            ],
        );
    } else if place.var("menu") == "icon" {
        let package = place.var("about").to_owned();
        let name = package.clone();
        let on_home = state.home.iter().any(|list| list.contains(&package)) && place.var("drawer").is_empty();
        let info = act(move |state: &mut State| {
            let mut page = crate::state::Place::new("com.android.settings.SubSettings", "app_info");
            page.set("package", package.as_str());
            state.start("com.android.settings", page);
        });
        if on_home {
            let remove = act(move |state: &mut State| {
                for list in &mut state.home {
                    list.retain(|other| *other != name);
                }
            });
            ui.menu(right, y, &[("App info", info), ("Remove", remove)]);
        } else {
            let add = act(move |state: &mut State| {
                if let Some(list) = state.home.first_mut()
                    && !list.contains(&name)
                    && list.len() < COLUMNS * ROWS
                {
                    list.push(name.clone());
                }
                state.home();
            });
            ui.menu(right, y, &[("App info", info), ("Add to home screen", add)]);
        }
    }
}

fn drawer(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let back = if theme.dark { theme.surface } else { theme.container };
    ui.fill(ui.screen, 0.0, back.alpha(0.97));
    let list_top = area.y + 76.0;
    let place = state.place(Window::Home);
    let wanted = place.typed("drawer_search").to_lowercase();
    let mut found: Vec<(&str, &str)> = state
        .packages
        .iter()
        .filter(|(name, package)| !package.activity.is_empty() && name.as_str() != LAUNCHER)
        .map(|(name, package)| (package.label.as_ref(), name.as_str()))
        .filter(|(label, _)| label.to_lowercase().contains(wanted.trim()))
        .collect();
    found.sort_unstable();
    let list = Rect::new(
        area.x,
        list_top,
        area.w,
        area.bottom() - list_top
            + if ui.area.bottom() < ui.screen.h - 60.0 {
                0.0
            } else {
                24.0
            },
    );
    let at_top = place.offset("drawer") <= 0.5;
    ui.node(list).class("android.view.ViewGroup").id("apps_list_view");
    if at_top && let Some(node) = ui.last() {
        node.swipe(|state, way| {
            if way == Way::Down {
                let place = state.place_mut(Window::Home);
                place.set("drawer", "");
                place.fields.clear();
                place.focus = None;
            }
        });
    }
    ui.scroll("drawer", list, |ui, top| {
        let width = (list.w - 24.0) / COLUMNS as f32;
        let mut y = top + 4.0;
        if wanted.is_empty() {
            for (index, package) in predictions(state).iter().enumerate() {
                let cell = Rect::new(list.x + 12.0 + index as f32 * width, y, width, 104.0);
                home_icon(state, ui, cell, package, true, ui.theme.on_surface);
            }
            y += 104.0;
            let line = Rect::new(list.x + 28.0, y + 2.0, list.w - 56.0, 1.0);
            ui.fill(line, 0.0, ui.theme.outline_variant);
            y += 8.0;
        }
        for (index, (_, package)) in found.iter().enumerate() {
            let (column, row) = (index % COLUMNS, index / COLUMNS);
            let cell = Rect::new(
                list.x + 12.0 + column as f32 * width,
                y + row as f32 * 104.0,
                width,
                104.0,
            );
            home_icon(state, ui, cell, package, true, ui.theme.on_surface);
        }
        y + found.len().div_ceil(COLUMNS) as f32 * 104.0 + 24.0
    });
    ui.fill(Rect::new(0.0, STATUS, ui.screen.w, list_top - STATUS), 0.0, back);
    let bar = Rect::new(area.x + 16.0, area.y + 10.0, area.w - 32.0, 52.0);
    ui.fill(bar, 26.0, theme.container_highest);
    ui.icon(
        "search",
        Rect::new(bar.x + 14.0, bar.y, 24.0, bar.h),
        24.0,
        theme.primary,
    );
    let first = found.first().map(|(_, package)| (*package).to_owned());
    let look = FieldLook::new("drawer_search", "Search apps").submit(move |state| {
        if let Some(package) = &first {
            state.launch(package);
        }
    });
    ui.edit(Rect::new(bar.x + 52.0, bar.y, bar.w - 64.0, bar.h), &look);
    menus(state, ui);
}

/// Four apps that were used last, or that stand in the dock.
fn predictions(state: &State) -> Vec<&str> {
    let mut list: Vec<&str> = Vec::new();
    let recent = state.tasks.iter().rev().map(|task| task.package.as_str());
    let dock = state.home.iter().rev().flatten().map(String::as_str);
    for package in recent.chain(dock) {
        if list.len() < COLUMNS && !list.contains(&package) {
            list.push(package);
        }
    }
    list
}
