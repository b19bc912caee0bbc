//! Async engine: tasks, environments and a sampler make scored groups.
//!
//! The engine knows only the seams of `cua-grpo-core`. What it promises, and what `tests/promises.rs` holds it to:
//!
//! 1. Every slot that is dispatched comes out exactly once: as an episode, as a counted fault, or as one that its group
//!    did not need.
//! 2. A fault is never an episode: it is counted, and its slot is tried again up to `max_retries` times. A panic behind
//!    a seam is a fault; a first prompt that does not fit is one that is not tried again.
//! 3. `Environment::finish` is called exactly once for every environment that was created, whatever happened.
//! 4. With equal seeds, the tokens asked for do not depend on how long anything takes: they follow from the cursor of
//!    the task and the number of the attempt.
//! 5. At most `concurrency` environments exist at a time.
//! 6. Cancellation ends a collection with an error, and every environment is finished first.
//! 7. A sampler session is dropped before the environment is finished, and before the last step of an episode.
//! 8. A group is scored when all its slots are in; a reward that fails loses its group, and is counted.
//! 9. In lockstep, no token is asked for before every environment of the wave has started.
//! 10. A stream gives every group exactly once, as soon as it is whole, and no group later than `max_staleness` steps
//!     after it was begun: it waits for one that would become too old.
//! 11. A stream with `max_staleness` 0 gives what collections give, to the last bit.
//! 12. An environment that does not answer within `turn_timeout` is a fault; a policy that is out of `episode_timeout`
//!     has ended its episode.
//! 13. With `keep_screenshots: K` a context never holds more than `2K` pictures, each sampled token is trained on in one row
//!     of its episode, and every row holds what the sampler was given, to the token (`tests/windows.rs`).
//!
//! | file | subject |
//! |---|---|
//! | `attempts.rs` | attempts at an episode, until one ends |
//! | `caught.rs` | panics as faults |
//! | `collect.rs` | a collection, each slot on its own or in lockstep |
//! | `config.rs` | what bounds an episode; batches and the seeds that follow from them |
//! | `context.rs` | the conversation as the policy sees it, and where it is cut back |
//! | `engine.rs` | the engine and its collections |
//! | `episode.rs` | one attempt, from `start` to `finish` |
//! | `gauge.rs` | counts over time |
//! | `law.rs` | how far a stream may run ahead, and which group it may give |
//! | `ledger.rs` | slots that come out, groups that are whole |
//! | `score.rs` | the rewards of the groups |
//! | `stats.rs` | what a collection cost |
//! | `stream.rs`, `worker.rs` | groups as they become whole, while others are played |
//! | `tasks.rs` | a cursor into a task source |

mod attempts;
mod caught;
mod collect;
mod config;
mod context;
mod engine;
mod episode;
mod error;
mod gauge;
mod law;
mod ledger;
mod score;
mod stats;
mod stream;
mod tasks;
mod worker;

pub use config::{Batches, RolloutConfig, StreamConfig};
pub use context::DROPPED_SCREENSHOT;
pub use engine::{Collection, GroupRequest, RolloutEngine};
pub use error::EngineError;
pub use stats::{Busy, FaultCounts, Progress, ProgressEvent, RolloutStats};
pub use stream::{Batch, GroupStream};
pub use tasks::TaskCursor;
pub use tokio_util::sync::CancellationToken;
