//! An Android phone from one state: what a shell command reads and what a screen shows cannot disagree.

pub mod draw;
pub mod state;
pub mod app;
pub mod apps;
mod phone;
pub mod screen;
pub mod system;
pub mod ui;

pub use phone::{Frame, Key, Phone};
