//! Typed GBox client, box pool, action grammar, tasks and device validators: the environment of cua-grpo.
//!
//! From the bottom up: [`wire`] is the JSON of the service, [`GboxClient`] a method an endpoint, [`BoxPool`] leases
//! boxes and never loses one, [`action`] reads replies, [`Device`] carries them out, [`validate()`] asks the device what
//! is true, [`tasks`] says what shall be, and [`GboxEnvironmentFactory`] plugs it all into core's seams.
//!
//! What is retried is decided in one file (`retry.rs`), what is the policy's own error in one enum ([`ActError`]);
//! everything else that goes wrong is a fault of the infrastructure.

pub mod action;
mod client;
mod device;
mod env;
mod error;
mod pool;
mod prompt;
mod retry;
mod screen;
pub mod tasks;
mod transport;
mod validate;
pub mod wire;

pub use client::{BoxFilter, GboxClient};
pub use device::{ActError, Device};
pub use env::{EnvConfig, GboxEnvironment, GboxEnvironmentFactory, SEED_ENV, TASK_LABEL};
pub use error::GboxError;
pub use pool::{BoxLease, BoxPool, LEASE_LABEL, PoolConfig, PoolStats, RUN_LABEL};
pub use prompt::{PromptStyle, Prompts, TargetStyle, tools};
pub use retry::{RetryPolicy, Safety, is_transient};
pub use screen::Screen;
pub use transport::ClientConfig;
pub use validate::{ValidateError, Verdict, matches, run_all, validate};
