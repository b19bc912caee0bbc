//! The text decoder: attention, gated MLP, layers, interleaved M-RoPE.

mod attention;
mod decoder;
mod layer;
mod mlp;
mod rope;
mod tape;

pub use attention::{LayerCache, TextAttention};
pub use decoder::{DecoderInput, TextDecoder, VisualIndex};
pub use layer::TextLayer;
pub use mlp::TextMlp;
pub use rope::{RopeTables, rope_tables};
pub use tape::DecoderTape;
