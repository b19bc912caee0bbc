//! Drawing the icons of apps.

use super::{build::Ui, theme::sp};
use crate::draw::{
    emblem::{Icon, Layer},
    geom::{Color, Rect},
};

impl Ui<'_> {
    /// Draws the icon of an app in the middle of a box.
    pub fn emblem(&mut self, rect: Rect, size: f32, icon: &Icon) {
        let ui = self;
        let round = rect.middle(size, size);
        ui.fill(round, size / 2.0, Color::hex(icon.back));
        for layer in icon.layers {
            match *layer {
                Layer::Glyph(name, color, part, dx, dy) => {
                    ui.icon(name, round.offset(dx * size, dy * size), part * size, Color::hex(color));
                }
                Layer::Block(color, w, h, dx, dy, radius) => {
                    let block = round.middle(w * size, h * size).offset(dx * size, dy * size);
                    ui.fill(block, radius * size, Color::hex(color));
                }
                Layer::Word(text, color, part) => {
                    let scale = ui.font_scale;
                    ui.font_scale = 1.0;
                    ui.draw_text_in(round, sp(part * size).medium().center(), Color::hex(color), text);
                    ui.font_scale = scale;
                }
                Layer::Ring(color, diameter, width, start, sweep) => {
                    let ring = round.middle(diameter * size, diameter * size);
                    ui.arc(ring, width * size, start, sweep, Color::hex(color));
                }
            }
        }
    }
}
