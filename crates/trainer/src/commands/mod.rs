//! The subcommands besides training, one file each.

mod eval;
mod generate;
mod merge;
mod messages;
mod model;
mod plan;
mod score;
mod sim;

pub use eval::eval;
pub use generate::generate;
pub use merge::merge;
pub use plan::plan;
pub use score::score;
pub use sim::sim;
