//! Async engine: tasks, environments and a sampler make scored groups.
//!
//! The engine knows only the seams of `cua-grpo-core`. What it promises, and what `tests/promises.rs` holds it to:
//!
//! 1. Every slot that is dispatched comes out exactly once: as an episode, or as a counted fault.
//! 2. A fault is never an episode: it is counted, and its slot is tried again up to `max_retries` times.
//! 3. `Environment::finish` is called exactly once for every environment that was created, whatever happened.
//! 4. With equal seeds, the tokens asked for do not depend on how long anything takes.
//! 5. At most `concurrency` environments exist at a time.
//! 6. Cancellation ends a collection with an error, and every environment is finished first.
//! 7. A sampler session is dropped before the environment is finished, and before the last step of an episode.
//! 8. A group is scored when all its slots are in; a reward that fails loses its group, and is counted.
//! 9. In lockstep, no token is asked for before every environment of the wave has started.
//!
//! | file | subject |
//! |---|---|
//! | `config.rs` | what bounds an episode |
//! | `engine.rs` | slots, waves and retries |
//! | `episode.rs` | one attempt, from `start` to `finish` |
//! | `score.rs` | the rewards of the groups |
//! | `stats.rs` | what a collection cost |
//! | `tasks.rs` | a cursor into a task source |

mod config;
mod engine;
mod episode;
mod error;
mod score;
mod stats;
mod tasks;

pub use config::RolloutConfig;
pub use engine::{Collection, GroupRequest, RolloutEngine};
pub use error::EngineError;
pub use stats::{FaultCounts, Progress, ProgressEvent, RolloutStats};
pub use tasks::TaskCursor;
pub use tokio_util::sync::CancellationToken;
