//! What a run will need before it starts: the arithmetic is [`cua_grpo_model::memory`]; here are the table and the check
//! before a run.

mod before;
mod estimate;
mod find;
mod print;

pub use before::{Need, before_run};
pub use estimate::Plan;
pub use find::{find_config, is_known};
