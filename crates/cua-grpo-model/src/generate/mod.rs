//! The generation engine: one batch of conversations with a shared cache, on a thread of its own.

#[cfg(feature = "cuda")]
mod card;
mod config;
mod engine;
mod handle;
mod keys;
mod rules;
mod sampling;
#[cfg(feature = "cuda")]
mod slots;
mod warp;

#[cfg(feature = "cuda")]
pub use card::Prefill;
pub use config::GenerationConfig;
pub use engine::{Generator, Observer, Request};
pub use handle::{Batching, ModelSampler};
pub use keys::GENERATION_KEYS;
pub(crate) use keys::set_keys;
pub use rules::{LogitRules, Moment};
pub use sampling::{Draw, draw};
pub use warp::{distribution, draw_by_rules};
