//! Icons of the apps, 40 x 40 pixels.

use super::{
    canvas::{Canvas, Colour, mix},
    glyph::{WHITE, glyph},
};
use crate::widget::{Glyph, Rect};
use cua_grpo_android::names::App;

/// Side of an app icon in pixels.
pub(super) const SIDE: i32 = 40;

/// An app icon with its left top corner at a point.
pub(super) fn app_icon(canvas: &mut Canvas, app: App, x: i32, y: i32) {
    let colour = crate::apps::colour(app);
    canvas.rounded(Rect::new(x, y, SIDE, SIDE), 10.0, colour);
    glyph(
        canvas,
        Glyph::App(app),
        (x as f32 + 20.0, y as f32 + 20.0),
        1.7,
        WHITE,
        colour,
    );
}

/// The picture of an app around a centre; `s` scales one that is about 16 pixels wide.
pub(super) fn app_picture(canvas: &mut Canvas, app: App, (x, y): (f32, f32), s: f32, fg: Colour, bg: Colour) {
    let at = |dx: f32, dy: f32| (x + dx * s, y + dy * s);
    let rect = |dx: f32, dy: f32, w: f32, h: f32| {
        Rect::new(
            (x + dx * s).round() as i32,
            (y + dy * s).round() as i32,
            (w * s).round() as i32,
            (h * s).round() as i32,
        )
    };
    match app {
        App::Settings => {
            for tooth in 0..8 {
                let angle = std::f32::consts::FRAC_PI_4 * tooth as f32;
                canvas.line((x, y), at(8.0 * angle.cos(), 8.0 * angle.sin()), 3.0 * s, fg);
            }
            canvas.disc(x, y, 6.0 * s, fg);
            canvas.disc(x, y, 2.6 * s, bg);
        }
        App::Clock => {
            canvas.disc(x, y, 8.0 * s, fg);
            canvas.line((x, y), at(0.0, -5.5), 1.4 * s, bg);
            canvas.line((x, y), at(4.0, 2.0), 1.4 * s, [220, 60, 50]);
        }
        App::Notes => {
            canvas.rounded(rect(-6.0, -8.0, 12.0, 16.0), 2.0, fg);
            for line in 0..4 {
                let dy = -4.5 + 3.0 * line as f32;
                canvas.line(
                    at(-3.5, dy),
                    at(if line == 3 { 0.5 } else { 3.5 }, dy),
                    1.1 * s,
                    [120, 110, 90],
                );
            }
        }
        App::Camera => {
            canvas.rounded(rect(-8.5, -5.5, 17.0, 12.0), 3.0, fg);
            canvas.rounded(rect(-3.0, -8.0, 6.0, 4.0), 1.5, fg);
            canvas.disc(x, y + 0.5 * s, 4.4 * s, bg);
            canvas.disc(x, y + 0.5 * s, 2.4 * s, [90, 170, 230]);
        }
        App::Gallery => {
            canvas.rounded(rect(-8.0, -7.0, 16.0, 14.0), 2.0, fg);
            canvas.polygon(&[at(-7.0, 6.0), at(-2.0, -1.0), at(3.0, 6.0)], [60, 150, 80]);
            canvas.polygon(&[at(0.0, 6.0), at(4.0, 1.0), at(7.5, 6.0)], [40, 120, 70]);
            canvas.disc(x + 3.5 * s, y - 3.0 * s, 2.0 * s, [250, 180, 40]);
        }
        App::Maps => {
            canvas.line(at(-9.0, 8.0), at(9.0, 2.0), 2.0 * s, [250, 214, 90]);
            canvas.polygon(&[at(-4.4, -1.5), at(4.4, -1.5), at(0.0, 8.0)], [226, 60, 50]);
            canvas.disc(x, y - 3.2 * s, 4.9 * s, [226, 60, 50]);
            canvas.disc(x, y - 3.2 * s, 2.0 * s, fg);
        }
        App::Mail => {
            canvas.rounded(rect(-8.5, -6.0, 17.0, 12.0), 2.0, fg);
            canvas.line(at(-7.5, -4.5), at(0.0, 1.5), 1.5 * s, bg);
            canvas.line(at(7.5, -4.5), at(0.0, 1.5), 1.5 * s, bg);
        }
        App::Music => {
            canvas.disc(x - 3.5 * s, y + 5.0 * s, 3.2 * s, fg);
            canvas.disc(x + 5.0 * s, y + 3.5 * s, 3.2 * s, fg);
            canvas.line(at(-1.0, 5.0), at(-1.0, -6.0), 1.6 * s, fg);
            canvas.line(at(7.5, 3.5), at(7.5, -7.5), 1.6 * s, fg);
            canvas.line(at(-1.0, -6.0), at(7.5, -7.5), 2.6 * s, fg);
        }
        App::Calculator => {
            canvas.rounded(rect(-6.5, -8.5, 13.0, 17.0), 2.0, fg);
            canvas.fill(rect(-4.5, -6.5, 9.0, 4.0), bg);
            for key in 0..9 {
                let (dx, dy) = (-3.4 + 3.4 * (key % 3) as f32, 0.0 + 3.0 * (key / 3) as f32);
                canvas.disc(
                    x + dx * s,
                    y + dy * s,
                    1.1 * s,
                    if key == 8 { [240, 120, 30] } else { mix(bg, fg, 0.2) },
                );
            }
        }
        App::Contacts => {
            canvas.disc(x, y - 3.5 * s, 4.0 * s, fg);
            canvas.rounded(rect(-7.0, 1.5, 14.0, 7.0), 5.0 * s, fg);
        }
    }
}
