//! Vocabulary and seams of cua-grpo: depend on this crate to plug in your own environment, reward, sampler or tasks.
//!
//! Everything here is plain data and traits of a few methods. There is no tensor, no async runtime and no I/O; the
//! only foreign types in the public API are those of `std` and the JSON value of a task's payload (serde derives are
//! provided for what is written to disk).
//! Structs that will grow are made by `new` and `with_…`, so that a new field breaks nobody.
//!
//! An environment and a reward of your own are all that a run needs from you; the engine of `cua-grpo-rollout` calls
//! them as it is done here by hand:
//!
//! ```
//! use cua_grpo_core::*;
//! struct Coin(Facts);
//! #[async_trait::async_trait]
//! impl Environment for Coin {
//!     async fn start(&mut self) -> Result<Observation, Fault> {
//!         Ok(Observation::text("Heads or tails?"))
//!     }
//!     async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
//!         self.0 = Facts::new(reply == "heads").with_turns(1);
//!         Ok(Step::new(ActionRecord::new(format!("say {reply}"))))
//!     }
//!     async fn finish(&mut self, _: Ending) -> Result<Facts, Fault> { Ok(self.0.clone()) }
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Fault> {
//! let reward = |_: &Task, episode: &Episode| f32::from(episode.facts.verified);
//! let (task, mut coin) = (Task::new("coin/1", "Guess the side."), Coin(Facts::default()));
//! coin.start().await?;
//! coin.step("heads").await?;
//! let facts = coin.finish(Ending::Reported).await?;
//! let episode = Episode::new(0, Ending::Reported, facts, Row::new(1.0));
//! assert_eq!(reward.score(&task, &[episode]).await?, [1.0]);
//! # Ok(()) }
//! ```
//!
//! One training step, as data:
//!
//! ```text
//! Task -> Group of G Episodes -> rewards -> advantages -> Rows of tokens and images -> log-probs -> loss -> update
//! ```
//!
//! | seam | turns | implemented by |
//! |---|---|---|
//! | [`TaskSource`] | a cursor into tasks | `cua-grpo-android` (templates) |
//! | [`EnvironmentFactory`], [`Environment`] | replies into observations, then [`Facts`] | `cua-grpo-android` |
//! | [`Renderer`] | messages and images into tokens and back | `cua-grpo-model` |
//! | [`Sampler`], [`SamplerSession`] | tokens and images into sampled tokens | `cua-grpo-model` |
//! | [`Reward`] | the episodes of a group into numbers | `cua-grpo-train`, or yours |

mod env;
mod episode;
mod fault;
mod message;
mod policy;
mod render;
mod reward;
mod row;
mod secret;
mod seed;
mod task;
mod terminal;
#[cfg(feature = "testing")]
pub mod testing;

pub use env::{ActionRecord, CheckOutcome, Ending, Environment, EnvironmentFactory, Facts, Observation, Step};
pub use episode::{Episode, Group, Turn};
pub use fault::{Fault, FaultKind};
pub use message::{Chunk, Image, Message, Role};
pub use policy::{
    Completion, CompletionError, PolicyVersion, Prompt, Sampler, SamplerSession, SamplingParams, StopReason, TokenId,
};
pub use render::Renderer;
pub use reward::{Measured, Reward, VerifiedSuccess};
pub use row::Row;
pub use secret::Secret;
pub use seed::derive_seed;
pub use task::{Novelty, Task, TaskSource};
pub use terminal::obeyed;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
