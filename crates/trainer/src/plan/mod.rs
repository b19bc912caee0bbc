//! What a run will need before it starts: parameters, memory by component, and what fits.

mod estimate;
mod machine;
mod memory;
mod print;
mod sizes;

pub use estimate::{Fit, Plan};
pub use machine::{Available, Source};
pub use memory::{Component, Load, Memory, Phase};
pub use sizes::{ModelSizes, find_config};
