//! What a run was trained on, step by step, so that it can be learnt from again without an environment or a sampler.
//!
//! With the key `record` each step leaves a folder `episodes/record-STEP`:
//!
//! - `step.jsonl`: a line of the step (`"kind": "step"`), and for each group a line (`"group"`) and one for each of its
//!   episodes (`"episode"`): task, facts, reward, turns, rows, what the step cost.
//! - `rows.safetensors`: the tokens of all episodes one after the other (`tokens`, `trained`, `logprobs`, `kept_mass`,
//!   `versions`, one number for each token; `trained` is 1 for tokens that are trained on, 2 for those of earlier replies that
//!   stand again behind a cut of the context, else 0), and every picture once under the SHA-256 of its bytes (`picture.HASH`).
//! - `checksums.json`: over both.
//!
//! An episode has a row, and one more for each time that its context was cut back. Format 1, of older versions, knows no such
//! rows, and is read as well.
//!
//! [`Recorder`] writes them, [`Replay`] gives them to a run again.

mod lines;
mod read;
mod recorder;
mod replay;
#[cfg(test)]
mod tests;
mod write;

pub use lines::{Head, StepRecord};
pub use read::{read_head, read_step};
pub use recorder::Recorder;
pub use replay::Replay;
pub use write::write_record;
