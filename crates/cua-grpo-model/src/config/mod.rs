//! The configuration of a model: `config.json`, the released sizes, the number of weights.

mod count;
mod model;
mod presets;

pub use count::ParameterCount;
pub use model::{ModelConfig, MoeConfig, TextConfig, VisionConfig};
pub use presets::PRESETS;
