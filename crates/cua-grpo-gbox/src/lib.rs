//! Typed GBox client and box pool, and a box as an Android phone.
//!
//! From the bottom up: [`wire`] is the JSON of the service, [`GboxClient`] has one method for each endpoint,
//! [`BoxPool`] leases boxes and never loses one, and [`BoxPhone`] makes a leased box an Android
//! [`Device`](cua_grpo_android::Device).
//!
//! What is tried again is decided in one file (`retry.rs`), how long a service is waited for in another
//! (`patience.rs`). Every call has a limit of time and of the size of its answer, and so has the end of a pool.

mod body;
mod client;
mod error;
mod host;
mod patience;
mod phone;
mod pool;
mod printable;
mod retry;
mod sweep;
mod transport;
pub mod wire;

pub use body::BodyLimits;
pub use client::{BoxFilter, GboxClient};
pub use error::GboxError;
pub use patience::{Outages, Waits};
pub use phone::{BoxPhone, SEED_ENV, TASK_LABEL};
pub use pool::{BoxLease, BoxPool, Closed, PoolConfig, PoolGuard, PoolStats};
pub use retry::{Remedy, RetryPolicy, Safety, remedy};
pub use sweep::{LEASE_LABEL, RUN_LABEL, Swept, boxes_of_run, boxes_of_runs, end_boxes, sweep_from_outside};
pub use transport::ClientConfig;
