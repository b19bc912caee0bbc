//! The report of a run: one HTML file with curves, configuration and the last evaluation's episodes.

mod chart;
mod episodes;
mod html;
mod record;
mod write;

#[cfg(test)]
mod tests;

pub use record::{EpisodeRecord, TurnRecord, eval_folders, load_episodes, save_episode};
pub use write::{REPORT, ReportError, write_report};
