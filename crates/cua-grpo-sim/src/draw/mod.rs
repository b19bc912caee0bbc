//! Drawing, in plain Rust: shapes with soft edges, a bitmap font, icons, and the widgets made of them.

mod canvas;
mod glyph;
mod icon;
mod paint;
mod theme;

pub(crate) use paint::paint;
