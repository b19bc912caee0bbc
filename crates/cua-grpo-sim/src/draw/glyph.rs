//! Small pictures for rows, each with its own outline.

use super::{
    canvas::{Canvas, Colour},
    icon::app_picture,
};
use crate::widget::{Glyph, Rect};

/// White.
pub(super) const WHITE: Colour = [255, 255, 255];

/// A picture about 14 pixels wide around a centre; `bg` is the colour of its disc, for cut-outs.
pub(super) fn glyph(canvas: &mut Canvas, glyph: Glyph, (x, y): (f32, f32), s: f32, fg: Colour, bg: Colour) {
    let at = |dx: f32, dy: f32| (x + dx * s, y + dy * s);
    let rect = |dx: f32, dy: f32, w: f32, h: f32| {
        Rect::new(
            (x + dx * s).round() as i32,
            (y + dy * s).round() as i32,
            (w * s).round() as i32,
            (h * s).round() as i32,
        )
    };
    match glyph {
        Glyph::App(app) => app_picture(canvas, app, (x, y), s, fg, bg),
        Glyph::Waves => {
            canvas.disc(x, y + 5.0 * s, 1.6 * s, fg);
            for radius in [5.0, 9.0] {
                canvas.arc_up(x, y + 5.0 * s, radius * s, 1.8 * s, fg);
            }
        }
        Glyph::Rune => {
            let (top, bottom) = (at(0.0, -6.5), at(0.0, 6.5));
            canvas.line(top, bottom, 1.5 * s, fg);
            for (from, to) in [(at(-4.0, 3.5), at(4.0, -3.2)), (at(-4.0, -3.5), at(4.0, 3.2))] {
                canvas.line(from, to, 1.5 * s, fg);
            }
            canvas.line(top, at(4.0, -3.2), 1.5 * s, fg);
            canvas.line(bottom, at(4.0, 3.2), 1.5 * s, fg);
        }
        Glyph::Plane => {
            canvas.line(at(0.0, -6.5), at(0.0, 6.0), 2.2 * s, fg);
            canvas.polygon(&[at(0.0, -3.0), at(7.0, 2.5), at(-7.0, 2.5)], fg);
            canvas.polygon(&[at(0.0, 3.5), at(3.2, 6.8), at(-3.2, 6.8)], fg);
        }
        Glyph::Bars => {
            for bar in 0..4 {
                let height = 3.0 + 3.0 * bar as f32;
                canvas.fill(rect(-6.5 + 3.5 * bar as f32, 6.0 - height, 2.4, height), fg);
            }
        }
        Glyph::Sun => {
            for ray in 0..8 {
                let angle = std::f32::consts::FRAC_PI_4 * ray as f32;
                canvas.line(
                    at(5.5 * angle.cos(), 5.5 * angle.sin()),
                    at(7.2 * angle.cos(), 7.2 * angle.sin()),
                    1.4 * s,
                    fg,
                );
            }
            canvas.disc(x, y, 3.6 * s, fg);
        }
        Glyph::Moon => {
            canvas.disc(x, y, 6.5 * s, fg);
            canvas.disc(x + 3.4 * s, y - 2.2 * s, 5.4 * s, bg);
        }
        Glyph::Clock => {
            canvas.ring(x, y, 6.0 * s, 1.6 * s, fg);
            canvas.line((x, y), at(0.0, -3.6), 1.4 * s, fg);
            canvas.line((x, y), at(2.8, 1.4), 1.4 * s, fg);
        }
        Glyph::Rotate => {
            canvas.ring(x, y, 5.5 * s, 1.7 * s, fg);
            canvas.fill(rect(2.0, -7.0, 5.0, 5.0), bg);
            canvas.polygon(&[at(2.0, -7.5), at(6.5, -3.0), at(1.0, -1.5)], fg);
        }
        Glyph::Speaker => {
            canvas.fill(rect(-6.5, -2.5, 4.0, 5.0), fg);
            canvas.polygon(&[at(-3.5, -2.5), at(1.0, -6.5), at(1.0, 6.5), at(-3.5, 2.5)], fg);
            canvas.line(at(3.4, -2.5), at(3.4, 2.5), 1.5 * s, fg);
            canvas.line(at(6.2, -4.5), at(6.2, 4.5), 1.5 * s, fg);
        }
        Glyph::Minus => {
            canvas.ring(x, y, 6.0 * s, 1.6 * s, fg);
            canvas.line(at(-2.8, 0.0), at(2.8, 0.0), 2.2 * s, fg);
        }
        Glyph::Battery => {
            canvas.rounded(rect(-4.0, -5.5, 8.0, 12.5), 1.5, fg);
            canvas.fill(rect(-1.8, -7.5, 3.6, 2.4), fg);
            canvas.fill(rect(-2.4, -3.5, 4.8, 3.5), bg);
        }
        Glyph::Leaf => {
            canvas.disc(x, y, 5.6 * s, fg);
            canvas.polygon(&[at(0.5, -6.5), at(6.5, -6.5), at(6.5, 0.5), at(0.5, 0.5)], fg);
            canvas.line(at(-6.5, 6.5), at(3.0, -3.0), 1.3 * s, bg);
        }
        Glyph::Pin => {
            canvas.polygon(&[at(-4.6, -0.5), at(4.6, -0.5), at(0.0, 7.0)], fg);
            canvas.disc(x, y - 2.0 * s, 4.8 * s, fg);
            canvas.disc(x, y - 2.0 * s, 1.9 * s, bg);
        }
        Glyph::Info => {
            canvas.disc(x, y - 5.0 * s, 1.6 * s, fg);
            canvas.line(at(0.0, -1.0), at(0.0, 5.5), 2.4 * s, fg);
        }
        Glyph::Drive => {
            canvas.rounded(rect(-6.5, -5.5, 13.0, 4.6), 1.5, fg);
            canvas.rounded(rect(-6.5, 1.0, 13.0, 4.6), 1.5, fg);
        }
        Glyph::Lock => {
            canvas.ring(x, y - 2.5 * s, 3.4 * s, 1.6 * s, fg);
            canvas.rounded(rect(-5.5, -1.5, 11.0, 8.0), 1.5, fg);
        }
        Glyph::Eye => {
            canvas.polygon(
                &[
                    at(-7.5, 0.0),
                    at(-2.5, -4.2),
                    at(2.5, -4.2),
                    at(7.5, 0.0),
                    at(2.5, 4.2),
                    at(-2.5, 4.2),
                ],
                fg,
            );
            canvas.disc(x, y, 2.6 * s, bg);
        }
        Glyph::Person => {
            canvas.disc(x, y - 3.2 * s, 3.2 * s, fg);
            canvas.rounded(rect(-5.5, 1.2, 11.0, 5.6), 4.0 * s, fg);
        }
        Glyph::Grid => {
            for cell in 0..4 {
                canvas.rounded(
                    rect(-5.8 + 6.4 * (cell % 2) as f32, -5.8 + 6.4 * (cell / 2) as f32, 5.2, 5.2),
                    1.0,
                    fg,
                );
            }
        }
        Glyph::Figure => {
            canvas.disc(x, y - 5.2 * s, 2.0 * s, fg);
            canvas.line(at(-5.5, -1.8), at(5.5, -1.8), 1.8 * s, fg);
            canvas.line(at(0.0, -1.8), at(0.0, 1.5), 2.6 * s, fg);
            canvas.line(at(0.0, 1.5), at(-2.8, 6.5), 1.8 * s, fg);
            canvas.line(at(0.0, 1.5), at(2.8, 6.5), 1.8 * s, fg);
        }
        Glyph::Letter => {
            canvas.line(at(-5.0, 6.0), at(0.0, -6.0), 1.8 * s, fg);
            canvas.line(at(5.0, 6.0), at(0.0, -6.0), 1.8 * s, fg);
            canvas.line(at(-3.0, 2.0), at(3.0, 2.0), 1.6 * s, fg);
        }
        Glyph::Plus => {
            canvas.line(at(-5.0, 0.0), at(5.0, 0.0), 2.4 * s, fg);
            canvas.line(at(0.0, -5.0), at(0.0, 5.0), 2.4 * s, fg);
        }
        Glyph::Page => {
            canvas.rounded(rect(-4.8, -6.5, 9.6, 13.0), 1.5, fg);
            for line in 0..3 {
                let dy = -3.0 + 3.0 * line as f32;
                canvas.line(at(-2.6, dy), at(2.6, dy), 1.0 * s, bg);
            }
        }
        Glyph::Bell => {
            canvas.disc(x, y - 1.5 * s, 4.6 * s, fg);
            canvas.polygon(&[at(-4.6, -1.5), at(4.6, -1.5), at(6.2, 4.0), at(-6.2, 4.0)], fg);
            canvas.disc(x, y + 5.6 * s, 1.8 * s, fg);
        }
    }
}
