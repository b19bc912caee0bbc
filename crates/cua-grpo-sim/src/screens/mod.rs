//! The screens, as lists of widgets.

mod apps;
mod chrome;
mod dialog;
mod launcher;
mod list;
mod settings;

pub(crate) use chrome::{back, front};
pub(crate) use dialog::bounds as dialog_bounds;
pub(crate) use list::max_scroll;
pub(crate) use settings::{TRACK, brightness_at};
