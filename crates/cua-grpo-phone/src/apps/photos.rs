//! Photos: pictures by day, and one of them.

use super::files::name;
use crate::{
    app::{App, Icon, Layer},
    draw::{
        geom::{Color, Rect},
        paint::Paint,
    },
    state::{
        State,
        data::{File, Info},
        time::{Civil, DAY},
    },
    ui::{Ui, act, sp},
};

/// Photos.
pub struct Photos;

impl App for Photos {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.apps.photos",
            label: "Photos",
            activity: "com.google.android.apps.photos.home.HomeActivity",
            permissions: &["READ_MEDIA_IMAGES", "POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[
                Layer::Block(0xEA_4335, 0.30, 0.15, -0.08, -0.15, 0.075),
                Layer::Block(0x42_85F4, 0.15, 0.30, 0.15, -0.08, 0.075),
                Layer::Block(0x34_A853, 0.30, 0.15, 0.08, 0.15, 0.075),
                Layer::Block(0xFB_BC04, 0.15, 0.30, -0.15, 0.08, 0.075),
            ],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        if ui.place.page == "picture" {
            picture_page(state, ui);
        } else {
            grid(state, ui);
        }
    }
}

/// Pictures, newest first.
fn pictures(state: &State) -> Vec<(String, File)> {
    let media = state.files.iter().filter_map(|(path, file)| {
        let picture = scene(path, file)?;
        let mut file = file.clone();
        file.picture = Some(picture);
        Some((path.clone(), file))
    });
    let mut list: Vec<(String, File)> = media.collect();
    list.sort_by_key(|(path, file)| (std::cmp::Reverse(file.changed), path.clone()));
    list
}

/// What a picture shows: that of another origin than the camera is drawn after its path.
fn scene(path: &str, file: &File) -> Option<u32> {
    let named = [".jpg", ".png", ".mp4"].iter().any(|end| path.ends_with(end)) && path.starts_with("/sdcard/");
    let sum = || {
        path.bytes()
            .fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
    };
    file.picture.or_else(|| (named && file.content.is_some()).then(sum))
}

/// Draws what a picture shows: sky, sun and land in colours of its own.
pub fn draw(ui: &mut Ui, rect: Rect, picture: u32) {
    const SKIES: [[u32; 2]; 6] = [
        [0x8E_C5FC, 0xE0_F0FF],
        [0xFF_9A76, 0xFF_D9A0],
        [0x4A_6FA5, 0xC3_D5EA],
        [0xB9_A7E0, 0xF3_D9E8],
        [0x7F_B7A3, 0xE3_F2DC],
        [0x2C_3E66, 0x6E_7FA8],
    ];
    const LANDS: [u32; 5] = [0x5B_7F4B, 0x8A_6A4F, 0x3F_5D6B, 0xC2_A878, 0x4D_5A3A];
    let colors = SKIES[picture as usize % SKIES.len()].map(Color::hex);
    let px = ui.px(rect);
    ui.paint(Paint::Gradient {
        rect: px,
        radius: 0.0,
        colors,
    });
    let land = Color::hex(LANDS[(picture / 7) as usize % LANDS.len()]);
    let shift = (picture % 13) as f32 / 13.0;
    ui.clipped(rect, 0.0, |ui| {
        let sun = rect.w * 0.16;
        ui.fill(
            Rect::new(rect.x + rect.w * (0.15 + 0.6 * shift), rect.y + rect.h * 0.18, sun, sun),
            sun / 2.0,
            Color::hex(0xFF_F2C9),
        );
        let hill = rect.w * 1.1;
        ui.fill(
            Rect::new(rect.x - rect.w * shift, rect.y + rect.h * 0.55, hill, hill),
            hill / 2.0,
            land,
        );
        ui.fill(
            Rect::new(
                rect.x + rect.w * (0.5 - shift * 0.4),
                rect.y + rect.h * 0.66,
                hill,
                hill,
            ),
            hill / 2.0,
            land.mix(Color::BLACK, 0.18),
        );
    });
}

fn grid(state: &State, ui: &mut Ui) {
    let (whole, theme) = (ui.area, ui.theme);
    let tab = ui.place.number("tab").unwrap_or(0).clamp(0, 2) as usize;
    ui.keep_above(whole.bottom() - 80.0);
    let area = ui.area;
    let list: Vec<(String, File)> = pictures(state)
        .into_iter()
        .filter(|(_, file)| tab != 2 || file.favorite)
        .collect();
    if list.is_empty() {
        ui.nothing_here("image_o", if tab == 2 { "Favorites appear here" } else { "No photos" });
    }
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    ui.scroll("list", rect, |ui, top| {
        let cell = (area.w - 6.0) / 4.0;
        let (mut y, mut column, mut day) = (top, 0, i64::MAX);
        for (path, file) in &list {
            let own = state.local(file.changed).div_euclid(DAY);
            if own != day {
                y += if column > 0 { cell + 2.0 } else { 0.0 };
                column = 0;
                day = own;
                let at = Civil::new(own * DAY);
                ui.label(
                    area.x + 16.0,
                    y + 14.0,
                    260.0,
                    sp(15.0).medium(),
                    theme.on_surface,
                    &at.short_date(),
                );
                y += 46.0;
            }
            let square = Rect::new(area.x + column as f32 * (cell + 2.0), y, cell, cell);
            draw(ui, square, file.picture.unwrap_or(0));
            if path.ends_with(".mp4") {
                ui.icon(
                    "play_circle",
                    Rect::new(square.right() - 30.0, y + 4.0, 26.0, 26.0),
                    22.0,
                    Color::WHITE,
                );
            }
            if file.favorite {
                ui.icon(
                    "star",
                    Rect::new(square.x + 4.0, square.bottom() - 28.0, 24.0, 24.0),
                    16.0,
                    Color::WHITE,
                );
            }
            let (opened, at) = (path.clone(), Civil::new(state.local(file.changed)));
            let desc = format!(
                "Photo taken on {} {}, {} {}",
                &at.month_name()[..3],
                at.day,
                at.year,
                state.clock(at.hour, at.minute)
            );
            ui.node(square)
                .class("android.view.ViewGroup")
                .desc(desc)
                .tap(move |state| {
                    state.open("picture");
                    state.page_mut().set("id", opened.as_str());
                });
            column += 1;
            if column == 4 {
                column = 0;
                y += cell + 2.0;
            }
        }
        y + cell + 24.0
    });
    ui.top_bar("", false);
    ui.label_in(
        Rect::new(area.x, area.y, area.w, 64.0),
        sp(22.0).center(),
        theme.on_surface,
        "Photos",
    );
    ui.avatar(Rect::new(area.right() - 48.0, area.y + 16.0, 32.0, 32.0), "Alex");
    ui.area = whole;
    ui.bottom_bar(
        &[("image", "Photos"), ("search", "Search"), ("star_border", "Favorites")],
        tab,
    );
}

fn picture_page(state: &State, ui: &mut Ui) {
    let area = ui.area;
    let path = ui.place.var("id").to_owned();
    let Some(file) = state.files.get(&path).cloned() else {
        ui.top_bar("", true);
        ui.nothing_here("image_o", "This photo is gone");
        return;
    };
    ui.fill(ui.screen, 0.0, Color::hex(0x10_1114));
    let height = area.w * 1.32;
    let frame = Rect::new(area.x, area.y + (area.h - height) / 2.0, area.w, height);
    draw(ui, frame, scene(&path, &file).unwrap_or(0));
    ui.node(frame).class("android.widget.ImageView").desc("Photo");
    ui.theme = crate::ui::Theme::new(true);
    ui.icon_button(
        area.x + 4.0,
        area.y + 8.0,
        "arrow_back",
        "Navigate up",
        State::close_page,
    );
    let (star, desc) = if file.favorite {
        ("star", "Unfavorite")
    } else {
        ("star_border", "Favorite")
    };
    let starred = path.clone();
    ui.icon_button(area.right() - 56.0, area.y + 8.0, star, desc, move |state| {
        if let Some(file) = state.files.get_mut(&starred) {
            file.favorite = !file.favorite;
        }
    });
    let words: [(&'static str, &str); 4] = [
        ("share_o", "Share"),
        ("tune", "Edit"),
        ("info_o", "Details"),
        ("delete_o", "Delete"),
    ];
    let width = area.w / 4.0;
    for (index, (icon, word)) in words.into_iter().enumerate() {
        let cell = Rect::new(area.x + index as f32 * width, area.bottom() - 76.0, width, 72.0);
        ui.icon(icon, Rect::new(cell.x, cell.y + 8.0, width, 28.0), 24.0, Color::WHITE);
        ui.draw_text(cell.x, cell.y + 42.0, width, sp(13.0).center(), Color::WHITE, word);
        ui.node(cell)
            .class("android.widget.Button")
            .text(word)
            .tap(move |state| match index {
                3 => state.page_mut().set("dialog", "delete"),
                2 => state.page_mut().set("dialog", "details"),
                _ => state.say("No app to hand this photo to"),
            });
    }
    let no = act(|_: &mut State| ());
    match ui.place.var("dialog").to_owned().as_str() {
        "delete" => {
            let gone = path.clone();
            let yes = act(move |state: &mut State| {
                state.delete_file(&gone);
                state.close_page();
                state.say("Moved to trash");
            });
            ui.dialog(
                "Move to trash?",
                "This photo will be deleted from this device.",
                &[("Cancel", no), ("Move to trash", yes)],
            );
        }
        "details" => {
            let at = Civil::new(state.local(file.changed));
            let text = format!("{}\n{}\n{} kB", name(&path), at.iso(), file.size / 1000);
            ui.dialog("Details", &text, &[("OK", no)]);
        }
        _ => {}
    }
}
