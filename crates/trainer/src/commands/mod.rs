//! The subcommands, one file each.

mod boxes;
mod eval;
mod generate;
mod merge;
mod messages;
mod model;
mod plan;
mod report;
mod score;
mod sim;
mod tasks;
mod train;

pub use boxes::boxes;
pub use eval::eval;
pub use generate::generate;
pub use merge::merge;
pub use plan::plan;
pub use report::report;
pub use score::score;
pub use sim::sim;
pub use tasks::tasks;
pub use train::train;
