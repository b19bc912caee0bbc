//! The text decoder: attention or a recurrent state, gated MLP or experts, layers, interleaved M-RoPE.

mod attention;
mod cache;
mod decoder;
mod delta;
mod input;
mod layer;
mod mixer;
mod mlp;
mod moe;
mod norm;
mod rope;
mod state;
mod tape;

pub use attention::TextAttention;
pub(crate) use cache::Rows;
pub use cache::{CacheOfLayer, KvCache, LayerCache};
pub use decoder::TextDecoder;
pub use delta::GatedDeltaNet;
pub use input::{DecoderInput, VisualIndex};
#[cfg(feature = "cuda")]
pub(crate) use layer::FeedForward;
pub use layer::TextLayer;
pub(crate) use mixer::Mixer;
pub use mlp::TextMlp;
pub use moe::SparseMlp;
pub(crate) use norm::RmsNorm;
pub(crate) use rope::row_tables;
pub use rope::{RopeTables, rope_tables};
pub use state::DeltaState;
pub use tape::DecoderTape;
