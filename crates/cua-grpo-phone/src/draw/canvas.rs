//! Pixels: a list of paints becomes a picture.

use super::{
    geom::{Color, Rect},
    icons,
    paint::{Clip, Paint},
    text::{Mask as Glyph, TextEngine},
};
use std::sync::{Arc, Mutex, PoisonError};
use tiny_skia::{
    FillRule, GradientStop, LineCap, LinearGradient, Mask, Path, PathBuilder, Pixmap, PixmapMut, Point,
    PremultipliedColorU8, RadialGradient, SpreadMode, Stroke, Transform,
};

/// How far a circle's control points lie from its corners.
const KAPPA: f32 = 0.552_284_8;

/// A picture, one byte each for red, green, blue and opacity; all pixels are opaque.
#[derive(Debug, Clone)]
pub struct Canvas {
    pixmap: Pixmap,
    band: (i32, i32),
    mask: Option<(Clip, Mask)>,
}

impl Canvas {
    /// A black picture; `None` for a size of nothing or beyond what a picture may have.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        let mut pixmap = Pixmap::new(width, height)?;
        pixmap.fill(tiny_skia::Color::BLACK);
        Some(Self {
            pixmap,
            band: (0, height as i32),
            mask: None,
        })
    }

    /// The pixels.
    pub fn into_bytes(self) -> Vec<u8> {
        self.pixmap.take()
    }

    /// Draws one thing inside a clip.
    pub fn draw(&mut self, clip: Clip, paint: &Paint, text: &mut TextEngine) {
        self.set_clip(clip);
        if self.band.0 >= self.band.1 {
            return;
        }
        match paint {
            Paint::Fill { rect, radii, color } => self.fill(*rect, *radii, *color),
            Paint::Stroke {
                rect,
                radius,
                width,
                color,
            } => {
                let inner = rect.inset(width / 2.0, width / 2.0);
                if let Some(path) = rounded(inner, [(radius - width / 2.0).max(0.0); 4]) {
                    self.stroke(&path, *width, *color);
                }
            }
            Paint::Gradient { rect, radius, colors } => self.gradient(*rect, *radius, *colors),
            Paint::Shadow { rect, radius, height } => self.shadow(*rect, *radius, *height),
            Paint::Icon { name, rect, color } => match icons::icon(name) {
                Some(path) => self.path(path, in_square(*rect), *color),
                // An icon that is not there shows as a box: a test looks for it.
                None => self.fill(*rect, [0.0; 4], Color::hex(0xFF_00FF)),
            },
            Paint::Shape { path, rect, color } => self.path(path, in_square(*rect), *color),
            Paint::Arc {
                rect,
                width,
                start,
                sweep,
                color,
            } => {
                if let Some(path) = arc(*rect, *start, *sweep) {
                    self.stroke(&path, *width, *color);
                }
            }
            Paint::Line { from, to, width, color } => {
                let mut builder = PathBuilder::new();
                builder.move_to(from.0, from.1);
                builder.line_to(to.0, to.1);
                if let Some(path) = builder.finish() {
                    self.stroke(&path, *width, *color);
                }
            }
            Paint::Text { laid, at, color } => {
                let (width, band) = (self.pixmap.width() as i32, self.band);
                let mask = self.mask.as_ref().map(|(_, mask)| mask.data());
                let pixels = self.pixmap.pixels_mut();
                text.glyphs(laid, at.0, at.1, |x, y, glyph| {
                    blend(pixels, width, band, mask, (x, y), glyph, *color);
                });
            }
            Paint::Wallpaper { kind, dark } => self.wallpaper(*kind, *dark),
        }
    }

    fn set_clip(&mut self, clip: Clip) {
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        let [left, top, right, bottom] = clip.rect.pixels();
        self.band = (top.clamp(0, height as i32), bottom.clamp(0, height as i32));
        if clip.radius <= 0.0 && left <= 0 && right >= width as i32 {
            self.mask = None;
            return;
        }
        if !self.mask.as_ref().is_some_and(|(known, _)| *known == clip) {
            self.mask = mask(width, height, clip);
        }
        if self.mask.is_some() {
            self.band = (0, height as i32);
        }
    }

    /// Runs a drawing call on the rows inside the clip.
    fn on_band(&mut self, work: impl FnOnce(&mut PixmapMut, Transform, Option<&Mask>)) {
        let (width, (top, bottom)) = (self.pixmap.width(), self.band);
        let row = width as usize * 4;
        let bytes = &mut self.pixmap.data_mut()[top as usize * row..bottom as usize * row];
        if let Some(mut band) = PixmapMut::from_bytes(bytes, width, (bottom - top) as u32) {
            let mask = self.mask.as_ref().map(|(_, mask)| mask);
            work(&mut band, Transform::from_translate(0.0, -top as f32), mask);
        }
    }

    fn path(&mut self, path: &Path, transform: Transform, color: Color) {
        let paint = solid(color);
        self.on_band(|band, shift, mask| {
            band.fill_path(path, &paint, FillRule::Winding, transform.post_concat(shift), mask);
        });
    }

    fn stroke(&mut self, path: &Path, width: f32, color: Color) {
        let paint = solid(color);
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            ..Stroke::default()
        };
        self.on_band(|band, shift, mask| band.stroke_path(path, &paint, &stroke, shift, mask));
    }

    fn fill(&mut self, rect: Rect, radii: [f32; 4], color: Color) {
        if radii.iter().any(|radius| *radius > 0.0) {
            if let Some(path) = rounded(rect, radii) {
                self.path(&path, Transform::identity(), color);
            }
            return;
        }
        // Straight edges lie on whole pixels, as Android draws backgrounds.
        let [x, y, right, bottom] = rect.pixels();
        if self.mask.is_none() {
            self.flat([x, y, right, bottom], color);
            return;
        }
        let sides = tiny_skia::Rect::from_ltrb(x as f32, y as f32, right as f32, bottom as f32);
        if let Some(sides) = sides {
            let mut paint = solid(color);
            paint.anti_alias = false;
            self.on_band(|band, shift, mask| band.fill_rect(sides, &paint, shift, mask));
        }
    }

    /// Lays a colour over whole pixels inside the clip.
    fn flat(&mut self, [left, top, right, bottom]: [i32; 4], color: Color) {
        let width = self.pixmap.width() as i32;
        let (left, right) = (left.clamp(0, width) as usize, right.clamp(0, width) as usize);
        let (top, bottom) = (top.max(self.band.0), bottom.min(self.band.1));
        if left >= right {
            return;
        }
        let row = width as usize * 4;
        let a = u32::from(color.a);
        let add = [color.r, color.g, color.b, 255].map(|part| u32::from(part) * a + 127);
        let solid = [color.r, color.g, color.b, 255];
        let data = self.pixmap.data_mut();
        for y in top..bottom {
            let line = &mut data[y as usize * row + left * 4..y as usize * row + right * 4];
            for pixel in line.as_chunks_mut::<4>().0 {
                if a == 255 {
                    *pixel = solid;
                } else {
                    for (old, add) in pixel.iter_mut().zip(add) {
                        *old = ((u32::from(*old) * (255 - a) + add) / 255) as u8;
                    }
                }
            }
        }
    }

    fn gradient(&mut self, rect: Rect, radius: f32, colors: [Color; 2]) {
        let stops = vec![
            GradientStop::new(0.0, skia(colors[0])),
            GradientStop::new(1.0, skia(colors[1])),
        ];
        let (from, to) = (Point::from_xy(0.0, rect.y), Point::from_xy(0.0, rect.bottom()));
        let shader = LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity());
        if let (Some(shader), Some(path)) = (shader, rounded(rect, [radius; 4])) {
            let paint = tiny_skia::Paint {
                shader,
                ..tiny_skia::Paint::default()
            };
            self.on_band(|band, shift, mask| band.fill_path(&path, &paint, FillRule::Winding, shift, mask));
        }
    }

    fn shadow(&mut self, rect: Rect, radius: f32, height: f32) {
        const LAYERS: u8 = 5;
        for layer in 0..LAYERS {
            let spread = height * f32::from(LAYERS - layer) / f32::from(LAYERS);
            let reach = rect.inset(-spread, -spread).offset(0.0, height * 0.45);
            // What the box itself will cover is left out.
            let hole = rounded(rect.inset(1.0, 1.0), [radius; 4]);
            if let (Some(outer), Some(hole)) = (rounded(reach, [radius + spread; 4]), hole) {
                let mut ring = PathBuilder::new();
                ring.push_path(&outer);
                ring.push_path(&hole);
                if let Some(ring) = ring.finish() {
                    let paint = solid(Color::BLACK.alpha(0.035));
                    self.on_band(|band, shift, mask| band.fill_path(&ring, &paint, FillRule::EvenOdd, shift, mask));
                }
            }
        }
    }

    fn wallpaper(&mut self, kind: u8, dark: bool) {
        let picture = wallpaper(self.pixmap.width(), self.pixmap.height(), kind, dark);
        if self.mask.is_none() {
            let row = self.pixmap.width() as usize * 4;
            let range = self.band.0 as usize * row..self.band.1 as usize * row;
            if let Some(picture) = picture {
                self.pixmap.data_mut()[range.clone()].copy_from_slice(&picture.data()[range]);
            }
        } else if let Some(picture) = picture {
            let paint = tiny_skia::PixmapPaint::default();
            self.on_band(|band, _, mask| {
                band.draw_pixmap(0, 0, picture.as_ref().as_ref(), &paint, Transform::identity(), mask);
            });
        }
    }
}

/// What a clip lets through.
fn mask(width: u32, height: u32, clip: Clip) -> Option<(Clip, Mask)> {
    let mut mask = Mask::new(width, height)?;
    if let Some(path) = rounded(clip.rect, [clip.radius; 4]) {
        mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
    }
    Some((clip, mask))
}

type Wallpapers = Vec<((u32, u32, u8, bool), Arc<Pixmap>)>;
static WALLPAPERS: Mutex<Wallpapers> = Mutex::new(Vec::new());

/// The wallpaper of a size: a slow gradient with wide, soft hills. The last few are kept.
fn wallpaper(width: u32, height: u32, kind: u8, dark: bool) -> Option<Arc<Pixmap>> {
    let key = (width, height, kind, dark);
    let mut known = WALLPAPERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, picture)) = known.iter().find(|(other, _)| *other == key) {
        return Some(picture.clone());
    }
    let mut pixmap = Pixmap::new(width, height)?;
    let (w, h) = (width as f32, height as f32);
    let sets: [[u32; 5]; 4] = [
        [0xF3_D9C6, 0xE7_B7A0, 0xC9_8B7E, 0x8E_5F6A, 0x5A_4254],
        [0xCF_E3F5, 0x9F_C3E4, 0x6A_9BC9, 0x3E_6E9F, 0x25_4A73],
        [0xDC_EBD6, 0xAF_CFAE, 0x7D_AE8A, 0x4C_8069, 0x2B_5549],
        [0xE9_DDF4, 0xC7_B0E0, 0x9C_82C4, 0x6D_579B, 0x45_376C],
    ];
    let night = |color: u32| {
        let day = Color::hex(color);
        if dark {
            day.mix(Color::hex(0x0B_0D14), 0.68)
        } else {
            day
        }
    };
    let colors = sets[usize::from(kind) % sets.len()].map(night);
    let stops = vec![
        GradientStop::new(0.0, skia(colors[0])),
        GradientStop::new(1.0, skia(colors[1])),
    ];
    let sky = LinearGradient::new(
        Point::from_xy(0.0, 0.0),
        Point::from_xy(w * 0.3, h * 0.75),
        stops,
        SpreadMode::Pad,
        Transform::identity(),
    )?;
    let full = tiny_skia::Rect::from_xywh(0.0, 0.0, w, h)?;
    let paint = |shader| tiny_skia::Paint {
        shader,
        ..tiny_skia::Paint::default()
    };
    pixmap.fill_rect(full, &paint(sky), Transform::identity(), None);
    let sun = (w * 0.68, h * 0.34);
    let glow = vec![
        GradientStop::new(0.0, skia(Color::WHITE.alpha(if dark { 0.25 } else { 0.75 }))),
        GradientStop::new(0.28, skia(Color::WHITE.alpha(if dark { 0.10 } else { 0.45 }))),
        GradientStop::new(1.0, skia(Color::WHITE.alpha(0.0))),
    ];
    let sun_at = Point::from_xy(sun.0, sun.1);
    let light = RadialGradient::new(
        sun_at,
        0.0,
        sun_at,
        w * 0.62,
        glow,
        SpreadMode::Pad,
        Transform::identity(),
    )?;
    pixmap.fill_rect(full, &paint(light), Transform::identity(), None);
    let hills = [(0.56, 0.10, 0.2), (0.66, 0.09, 1.9), (0.78, 0.08, 4.1)];
    for (layer, (base, swing, phase)) in hills.into_iter().enumerate() {
        let mut builder = PathBuilder::new();
        builder.move_to(0.0, h);
        for step in 0..=48 {
            let t = step as f32 / 48.0;
            let wave = (t * 4.2 + phase).sin() * 0.6 + (t * 9.7 + phase * 2.3).sin() * 0.22;
            builder.line_to(t * w, h * (base + swing * wave));
        }
        builder.line_to(w, h);
        builder.close();
        let stops = vec![
            GradientStop::new(0.0, skia(colors[1 + layer])),
            GradientStop::new(1.0, skia(colors[2 + layer])),
        ];
        let (top, low) = (
            Point::from_xy(0.0, h * (base - swing)),
            Point::from_xy(0.0, h * (base + 0.3)),
        );
        let shader = LinearGradient::new(top, low, stops, SpreadMode::Pad, Transform::identity())?;
        pixmap.fill_path(
            &builder.finish()?,
            &paint(shader),
            FillRule::Winding,
            Transform::identity(),
            None,
        );
    }
    let picture = Arc::new(pixmap);
    known.push((key, picture.clone()));
    if known.len() > 6 {
        known.remove(0);
    }
    Some(picture)
}

fn skia(color: Color) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(color.r, color.g, color.b, color.a)
}

fn solid(color: Color) -> tiny_skia::Paint<'static> {
    let mut paint = tiny_skia::Paint::default();
    paint.set_color(skia(color));
    paint
}

/// From the square of 24 to a box.
fn in_square(rect: Rect) -> Transform {
    Transform::from_row(rect.w / 24.0, 0.0, 0.0, rect.h / 24.0, rect.x, rect.y)
}

/// A box with round corners.
fn rounded(rect: Rect, radii: [f32; 4]) -> Option<Path> {
    if rect.is_empty() {
        return None;
    }
    let most = rect.w.min(rect.h) / 2.0;
    let [tl, tr, br, bl] = radii.map(|radius| radius.clamp(0.0, most));
    let (l, t, r, b) = (rect.x, rect.y, rect.right(), rect.bottom());
    let k = 1.0 - KAPPA;
    let mut path = PathBuilder::new();
    path.move_to(l + tl, t);
    path.line_to(r - tr, t);
    path.cubic_to(r - tr * k, t, r, t + tr * k, r, t + tr);
    path.line_to(r, b - br);
    path.cubic_to(r, b - br * k, r - br * k, b, r - br, b);
    path.line_to(l + bl, b);
    path.cubic_to(l + bl * k, b, l, b - bl * k, l, b - bl);
    path.line_to(l, t + tl);
    path.cubic_to(l, t + tl * k, l + tl * k, t, l + tl, t);
    path.close();
    path.finish()
}

/// A part of a circle, as short lines.
fn arc(rect: Rect, start: f32, sweep: f32) -> Option<Path> {
    let (x, y) = rect.center();
    let radius = rect.w.min(rect.h) / 2.0;
    let steps = (sweep.abs() / 3.0).ceil().max(1.0) as u32;
    let mut path = PathBuilder::new();
    for step in 0..=steps {
        let angle = (start + sweep * step as f32 / steps as f32).to_radians();
        let (px, py) = (x + radius * angle.sin(), y - radius * angle.cos());
        if step == 0 {
            path.move_to(px, py);
        } else {
            path.line_to(px, py);
        }
    }
    path.finish()
}

/// Lays a glyph over the pixels.
fn blend(
    pixels: &mut [PremultipliedColorU8],
    width: i32,
    band: (i32, i32),
    clip: Option<&[u8]>,
    at: (i32, i32),
    glyph: &Glyph,
    color: Color,
) {
    for row in 0..glyph.height as i32 {
        let y = at.1 + row;
        if y < band.0 || y >= band.1 {
            continue;
        }
        for column in 0..glyph.width as i32 {
            let x = at.0 + column;
            let coverage = glyph.coverage[(row as usize) * glyph.width + column as usize];
            if x < 0 || x >= width || coverage == 0 {
                continue;
            }
            let place = (y * width + x) as usize;
            let inside = clip.map_or(255, |clip| u32::from(clip[place]));
            let a = (u32::from(coverage) * u32::from(color.a) * inside + 32_512) / 65_025;
            let old = pixels[place];
            let one = |new: u8, old: u8| ((u32::from(new) * a + u32::from(old) * (255 - a) + 127) / 255) as u8;
            let (r, g, b) = (
                one(color.r, old.red()),
                one(color.g, old.green()),
                one(color.b, old.blue()),
            );
            if let Some(mixed) = PremultipliedColorU8::from_rgba(r, g, b, 255) {
                pixels[place] = mixed;
            }
        }
    }
}
