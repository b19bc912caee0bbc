//! The text decoder: attention, gated MLP or experts, layers, interleaved M-RoPE.

mod attention;
mod decoder;
mod layer;
mod mlp;
mod moe;
mod rope;
mod tape;

pub use attention::{CacheOfLayer, KvCache, LayerCache, TextAttention};
pub use decoder::{DecoderInput, TextDecoder, VisualIndex};
#[cfg(feature = "cuda")]
pub(crate) use layer::FeedForward;
pub use layer::TextLayer;
pub use mlp::TextMlp;
pub use moe::SparseMlp;
pub(crate) use rope::row_tables;
pub use rope::{RopeTables, rope_tables};
pub use tape::DecoderTape;
