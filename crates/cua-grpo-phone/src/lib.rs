//! An Android phone from one state: what a shell command reads and what a screen shows cannot disagree.

pub mod app;
pub mod apps;
pub mod draw;
mod gestures;
mod ground;
mod phone;
pub mod screen;
pub mod shell;
pub mod state;
pub mod system;
pub mod ui;
pub mod xml;

pub use phone::{Frame, Key, Phone};
