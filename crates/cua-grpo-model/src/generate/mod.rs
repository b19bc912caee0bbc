//! The generation engine: one batch of conversations with a shared cache, on a thread of its own.

mod engine;
mod handle;
mod sampling;

pub use engine::{Generator, Request};
pub use handle::{Batching, ModelSampler};
pub use sampling::{Draw, draw};
