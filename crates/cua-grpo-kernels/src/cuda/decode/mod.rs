//! One token a row a step, as a CUDA graph: the decoder, its cache and its state, and the launches of a step.

mod buffers;
mod cache;
mod decoder;
mod limits;
mod linear;
mod model;
mod product;
mod step;
mod wide;

pub use buffers::{History, RowStart};
pub use cache::Span;
pub use decoder::Decoder;
pub use model::{DecodeLayer, DecodeLinear, DecodeModel};
