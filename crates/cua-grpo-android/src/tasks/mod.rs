//! Tasks: goals as data, templates (built in, or from files), and an endless seeded source of instances.

mod any;
mod catalogue;
mod choose;
mod describe;
mod draw;
mod file;
mod goal;
mod instance;
mod payload;
mod pixel;
mod state;
mod step;
mod templates;

pub use any::AnyTemplate;
pub use catalogue::Catalogue;
pub use choose::ChooseError;
pub use describe::{describe, table};
pub use file::{FileTemplate, TaskFileError, scaffold};
pub use goal::{Goal, GoalError, GoalList};
pub use instance::{InstanceSplit, Split, TemplateTasks};
pub use payload::{Check, ReportCheck, TaskState};
pub use step::{Step, StepError};
pub use templates::{TEMPLATES, Template};
