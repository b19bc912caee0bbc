//! Typed GBox client and box pool, and a box as an Android phone.
//!
//! From the bottom up: [`wire`] is the JSON of the service, [`GboxClient`] has one method for each endpoint,
//! [`BoxPool`] leases boxes and never loses one, and [`BoxPhone`] makes a leased box an Android
//! [`Device`](cua_grpo_android::Device).
//!
//! What is retried is decided in one file (`retry.rs`).

mod client;
mod error;
mod phone;
mod pool;
mod retry;
mod transport;
pub mod wire;

pub use client::{BoxFilter, GboxClient};
pub use error::GboxError;
pub use phone::{BoxPhone, SEED_ENV, TASK_LABEL};
pub use pool::{BoxLease, BoxPool, LEASE_LABEL, PoolConfig, PoolStats, RUN_LABEL};
pub use retry::{RetryPolicy, Safety, is_transient};
pub use transport::ClientConfig;
