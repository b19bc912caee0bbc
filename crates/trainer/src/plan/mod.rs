//! What a run will need before it starts: parameters, memory by component, and what fits.

mod before;
mod estimate;
mod machine;
mod memory;
mod print;
mod sizes;

pub use before::{Need, before_run};
pub use estimate::{Fit, Plan};
pub use machine::{Available, Source};
pub use memory::{Component, Load, Memory, Phase};
pub use sizes::{ModelSizes, find_config, is_known};
