//! Camera: a view, a shutter, pictures and videos.

use super::photos;
use crate::{
    app::{App, Icon, Layer},
    draw::geom::{Color, Rect},
    state::{State, data::Info},
    ui::{Theme, Ui, sp},
};

/// Camera.
pub struct Camera;

const PACKAGE: &str = "com.google.android.GoogleCamera";

impl App for Camera {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Camera",
            activity: "com.android.camera.CameraLauncher",
            permissions: &["CAMERA", "RECORD_AUDIO", "ACCESS_FINE_LOCATION"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xE8_EAED,
            layers: &[
                Layer::Block(0x3C_4043, 0.56, 0.40, 0.0, 0.02, 0.08),
                Layer::Block(0xE8_EAED, 0.24, 0.24, 0.0, 0.02, 0.12),
                Layer::Block(0x42_85F4, 0.16, 0.16, 0.0, 0.02, 0.08),
            ],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        ui.theme = Theme::new(true);
        let area = ui.area;
        ui.fill(ui.screen, 0.0, Color::BLACK);
        let view = Rect::new(area.x, area.y + 16.0, area.w, area.w * 4.0 / 3.0);
        let front = ui.place.var("front") == "1";
        let scene = (state.seed % 997) as u32 + if front { 3 } else { 0 };
        photos::draw(ui, view, scene);
        ui.node(view)
            .class("android.view.TextureView")
            .id("viewfinder_surface_view")
            .desc("Viewfinder");
        let video = ui.place.var("tab") == "video";
        let since = ui.place.number("recording");
        if let Some(since) = since {
            let seconds = (state.now - since) / 1000;
            let badge = Rect::new(area.x + area.w / 2.0 - 40.0, view.y + 12.0, 80.0, 30.0);
            ui.fill(badge, 15.0, Color::hex(0xD9_3025));
            ui.label_in(
                badge,
                sp(14.0).medium().center(),
                Color::WHITE,
                &format!("{:02}:{:02}", seconds / 60, seconds % 60),
            );
        }
        let y = view.bottom() + 24.0;
        let round = Rect::new(area.x + area.w / 2.0 - 38.0, y, 76.0, 76.0);
        ui.stroke(round, 38.0, 4.0, Color::WHITE);
        let inside = round.inset(9.0, 9.0);
        match (video, since.is_some()) {
            (true, true) => ui.fill(round.middle(28.0, 28.0), 6.0, Color::hex(0xEA_4335)),
            (true, false) => ui.fill(inside, 29.0, Color::hex(0xEA_4335)),
            _ => ui.fill(inside, 29.0, Color::WHITE),
        }
        let desc = match (video, since.is_some()) {
            (true, true) => "Stop video",
            (true, false) => "Start video",
            _ => "Take photo",
        };
        ui.node(round)
            .class("android.widget.ImageButton")
            .id("shutter_button")
            .desc(desc)
            .tap(move |state| {
                if !state.allowed(PACKAGE, "CAMERA") {
                    state.ask(PACKAGE, "CAMERA");
                    return;
                }
                match (video, since) {
                    (true, None) => {
                        let now = state.now.to_string();
                        state.page_mut().set("recording", now);
                    }
                    (true, Some(_)) => {
                        state.page_mut().set("recording", "");
                        state.take_picture(true);
                    }
                    _ => state.take_picture(false),
                }
            });
        let last = Rect::new(area.x + 48.0, y + 12.0, 52.0, 52.0);
        let newest = state
            .files
            .iter()
            .filter_map(|(path, file)| Some((file.changed, path, file.picture?)))
            .max();
        if let Some((_, _, picture)) = newest {
            photos::draw(ui, last, picture);
        }
        ui.stroke(last, 8.0, 2.0, Color::WHITE);
        ui.node(last)
            .class("android.widget.ImageButton")
            .desc("Last photo")
            .tap(|state| state.launch("com.google.android.apps.photos"));
        let flip = Rect::new(area.right() - 100.0, y + 12.0, 52.0, 52.0);
        ui.fill(flip, 26.0, Color::hex(0x2F_3036));
        ui.icon("flip_camera_android", flip, 26.0, Color::WHITE);
        ui.node(flip)
            .class("android.widget.ImageButton")
            .desc("Switch to front camera")
            .tap(move |state| {
                state.page_mut().set("front", if front { "" } else { "1" });
            });
        for (index, (word, tab)) in [("Camera", ""), ("Video", "video")].into_iter().enumerate() {
            let chip = Rect::new(
                area.x + area.w / 2.0 - 100.0 + index as f32 * 100.0,
                y + 100.0,
                96.0,
                40.0,
            );
            let on = video == (tab == "video");
            if on {
                ui.fill(chip, 20.0, Color::hex(0xC6_D5FA));
            }
            let color = if on { Color::hex(0x14_1B2C) } else { Color::WHITE };
            ui.draw_text_in(chip, sp(15.0).medium().center(), color, word);
            ui.node(chip)
                .class("android.widget.TextView")
                .text(word)
                .select(on)
                .tap(move |state| {
                    state.page_mut().set("tab", tab);
                    state.page_mut().set("recording", "");
                });
        }
    }
}
