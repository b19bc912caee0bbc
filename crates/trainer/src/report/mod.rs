//! The report of a run: one HTML file with curves, configuration, episodes of training and of the first and last evaluation.

mod chart;
mod episodes;
mod figures;
mod html;
mod invocation;
mod overview;
mod record;
mod training;
mod write;

#[cfg(test)]
mod tests;

pub use invocation::{INVOCATIONS, Invocation, read_invocations};
pub use record::{EpisodeRecord, Saved, TurnRecord, load_episodes, save_episode};
pub use write::{REPORT, ReportError, write_report};
