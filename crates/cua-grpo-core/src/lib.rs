//! Vocabulary and seams of cua-grpo: depend on this crate to plug in your own environment, reward, sampler or tasks.
//!
//! Everything here is plain data and traits of a few methods. There is no tensor, no async runtime and no I/O; the
//! only foreign types in the public API are those of `std` (serde derives are provided for what is written to disk).
//!
//! One training step, as data:
//!
//! ```text
//! Task -> Group of G Episodes -> rewards -> advantages -> Rows of tokens and images -> log-probs -> loss -> update
//! ```
//!
//! | seam | turns | implemented by |
//! |---|---|---|
//! | [`TaskSource`] | a cursor into tasks | `cua-grpo-gbox` (templates) |
//! | [`EnvironmentFactory`], [`Environment`] | replies into observations, then [`Facts`] | `cua-grpo-gbox` |
//! | [`Renderer`] | messages and images into tokens and back | `cua-grpo-model` |
//! | [`Sampler`], [`SamplerSession`] | tokens and images into sampled tokens | `cua-grpo-model` |
//! | [`Reward`] | the episodes of a group into numbers | `trainer`, or yours |

mod env;
mod episode;
mod fault;
mod message;
mod policy;
mod render;
mod reward;
mod row;
mod seed;
mod task;
pub mod testing;

pub use env::{ActionRecord, CheckOutcome, Ending, Environment, EnvironmentFactory, Facts, Observation, Step};
pub use episode::{Episode, Group, Turn};
pub use fault::{Fault, FaultKind};
pub use message::{Chunk, Image, Message, Role};
pub use policy::{
    Completion, CompletionError, PolicyVersion, Prompt, Sampler, SamplerSession, SamplingParams, StopReason, TokenId,
};
pub use render::Renderer;
pub use reward::{Reward, VerifiedSuccess};
pub use row::Row;
pub use seed::derive_seed;
pub use task::{Task, TaskSource};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
