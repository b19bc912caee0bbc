//! Drawing: pixels, text, icons. Nothing here knows Android.

pub mod canvas;
pub mod emblem;
pub mod geom;
pub mod icons;
pub mod paint;
pub mod text;
