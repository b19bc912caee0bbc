//! Tasks: goals as data, templates, and an endless seeded source of instances.

mod goal;
mod instance;
mod payload;
mod state;
mod templates;

pub use goal::{Goal, GoalError, GoalList};
pub use instance::{Split, TemplateTasks, UnknownTemplate};
pub use payload::{Check, TaskState};
pub use templates::{TEMPLATES, Template};
