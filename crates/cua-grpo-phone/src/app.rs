//! The one trait that an app of the phone implements.

use crate::{
    draw::geom::{Color, Rect},
    state::{Place, State, data::Info},
    ui::{Ui, sp},
};

/// An app. It shows what the state says, and its touches change the state: it keeps nothing itself.
pub trait App: Sync {
    /// What it says of itself.
    fn info(&self) -> Info;

    /// How its icon is drawn.
    fn icon(&self) -> Icon;

    /// Builds the page that `ui.place` names.
    fn build(&self, state: &State, ui: &mut Ui);

    /// Does what an intent asks, and gives the place that it opens, where it is not the first page.
    fn intent(&self, _state: &mut State, _intent: &Intent) -> Option<Place> {
        None
    }

    /// Takes over what was typed; called after each touch and key.
    fn after(&self, _state: &mut State) {}
}

/// What `am start` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// The action, e.g. `android.intent.action.VIEW`.
    pub action: String,
    /// Full name of the class, or nothing.
    pub class: String,
    /// The data, e.g. `tel:123`.
    pub data: String,
    /// Extras by name.
    pub extras: Vec<(String, String)>,
}

impl Intent {
    /// The value of an extra.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.extras
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A part of an app's icon; sizes are shares of the icon's.
#[derive(Debug, Clone, Copy)]
pub enum Layer {
    /// An icon of the list: name, colour, size, place to the right and below the middle.
    Glyph(&'static str, u32, f32, f32, f32),
    /// A box: colour, width, height, place, radius.
    Block(u32, f32, f32, f32, f32, f32),
    /// Letters: text, colour, size.
    Word(&'static str, u32, f32),
    /// A part of a ring: colour, diameter, thickness, start and length in degrees.
    Ring(u32, f32, f32, f32, f32),
}

/// The icon of an app: a circle with parts on it.
#[derive(Debug, Clone, Copy)]
pub struct Icon {
    /// Colour of the circle.
    pub back: u32,
    /// What lies on it.
    pub layers: &'static [Layer],
}

impl Icon {
    /// Draws the icon in the middle of a box.
    pub fn draw(&self, ui: &mut Ui, rect: Rect, size: f32) {
        let round = rect.middle(size, size);
        ui.fill(round, size / 2.0, Color::hex(self.back));
        for layer in self.layers {
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
