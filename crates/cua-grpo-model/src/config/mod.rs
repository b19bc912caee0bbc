//! The configuration of a model: `config.json`, the released sizes, the number of weights.

mod count;
pub(crate) mod keys;
mod limits;
mod model;
mod presets;
mod ranges;
pub(crate) mod read;
mod rope;
mod tables;
mod write;

pub use count::ParameterCount;
pub use model::{ModelConfig, MoeConfig, TextConfig, VisionConfig};
pub use presets::PRESETS;
pub use rope::RopeScaling;
pub(crate) use tables::quantization;
