//! The subcommands besides training, one file each.

mod eval;
mod sim;

pub use eval::eval;
pub use sim::sim;
