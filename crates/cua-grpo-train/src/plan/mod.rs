//! What a run will need before it starts: the arithmetic is [`cua_grpo_model::memory`], here it is asked for a configuration.

mod estimate;
mod need;
mod numbers;
mod print;
mod settings;
mod turns;

pub use estimate::{Parameters, Plan, Setting};
pub use need::Need;
pub use numbers::{gib, grouped};
pub use turns::{REPLY, Text, Turns};
