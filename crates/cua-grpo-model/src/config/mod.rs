//! The configuration of a model: `config.json`, the released sizes, the number of weights.

mod count;
mod dialect;
mod experts;
mod families;
mod file;
pub(crate) mod keys;
mod limits;
mod model;
mod presets;
mod presets_qwen3_5;
mod qwen3_5;
mod qwen3_vl;
mod ranges;
pub(crate) mod read;
mod rope;
mod tables;
mod write;

pub use count::ParameterCount;
pub use dialect::Family;
pub use model::{HybridConfig, ModelConfig, MoeConfig, TextConfig, VisionConfig};
pub use presets::PRESETS;
pub use rope::RopeScaling;
pub(crate) use tables::quantization;
