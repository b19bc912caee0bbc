//! Tasks: goals as data, templates, and an endless seeded source of instances.

mod goal;
mod instance;
mod names;
mod state;
mod templates;

pub use goal::{Goal, GoalError, GoalList};
pub use instance::{Split, TemplateTasks, UnknownTemplate};
pub use names::{App, Level, Page, Toggle};
pub use templates::{TEMPLATES, Template};
