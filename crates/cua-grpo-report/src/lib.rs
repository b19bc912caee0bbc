//! The report of a run: one HTML file with curves, configuration, episodes of training and of the first and last evaluation.

mod chart;
mod episodes;
mod error;
mod figures;
mod html;
mod invocation;
mod overview;
mod text;
mod training;
mod write;

#[cfg(test)]
mod tests;

pub use error::ReportError;
pub use invocation::{INVOCATIONS, Invocation, read_invocations};
pub use text::{before_after, by_distance, conduct, figures, incomplete, rough};
pub use write::write_report;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
