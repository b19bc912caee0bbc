//! Files of tasks: templates as YAML, read within bounds, with line and column in every error.

mod constraint;
mod error;
mod extra;
mod fields;
mod load;
mod parameter;
mod pattern;
mod read;
mod template;
mod verify;
mod yaml;

pub use error::TaskFileError;
pub use load::{load, scaffold};
pub use template::FileTemplate;
