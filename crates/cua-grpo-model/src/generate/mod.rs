//! The generation engine: conversations that draw together, on a thread of their own.

#[cfg(feature = "cuda")]
mod card;
mod config;
mod decode;
mod engine;
#[cfg(feature = "cuda")]
mod graph;
mod handle;
mod history;
mod host;
mod keys;
mod own;
mod reuse;
mod rules;
mod sampling;
mod shared;
mod state;
mod warp;

pub use config::GenerationConfig;
pub use engine::{Generator, Observer};
#[cfg(feature = "cuda")]
pub use graph::Prefill;
pub use handle::{Batching, ModelSampler, OnUpdate};
pub use keys::GENERATION_KEYS;
pub(crate) use keys::set_keys;
pub use rules::{LogitRules, Moment};
pub use sampling::{Draw, draw};
pub use state::{Prefilled, Request};
pub use warp::{distribution, draw_by_rules};
