//! A judge over HTTP as a reward: a model behind an OpenAI-compatible service looks at what an agent has done.
//!
//! [`Judge`] implements [`cua_grpo_core::Reward`]. It asks once for each episode (`POST {base_url}/chat/completions` with
//! text and pictures) and keeps the verdict under [`Facts::JUDGE`](cua_grpo_core::Facts::JUDGE): 1 for done, 0 for not
//! done. Whoever scores reads it there.
//!
//! `question.rs` says what the judge is shown, `answer.rs` what counts as a verdict, `client.rs` how it is asked and what
//! is tried again. An answer that is no verdict is a fault, and never a reward.

mod answer;
mod client;
mod error;
mod judge;
mod question;

pub use client::{JudgeConfig, Retry};
pub use error::JudgeError;
pub use judge::Judge;
pub use question::Shown;
