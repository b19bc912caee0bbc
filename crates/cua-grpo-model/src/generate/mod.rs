//! The generation engine: one batch of conversations with a shared cache, on a thread of its own.

#[cfg(feature = "cuda")]
mod card;
mod config;
mod engine;
mod handle;
mod sampling;
#[cfg(feature = "cuda")]
mod slots;

#[cfg(feature = "cuda")]
pub use card::Prefill;
pub use config::GenerationConfig;
pub use engine::{Generator, Observer, Request};
pub use handle::{Batching, ModelSampler};
pub use sampling::{Draw, draw};
