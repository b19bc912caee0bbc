//! Everything that the binary writes besides the files of a run: the one module that may touch standard streams.
//!
//! - [`line()`] and [`piece`] write results to standard output; a reader that has seen enough (`| head`) is no error.
//! - [`say`], [`warn`] and [`error`] write to standard error, above the progress bar, and to `log.txt` of the run. They
//!   cannot fail and never panic: a closed pipe, a full disk or a terminal that is gone does not end a training run.

mod log_file;
mod stdout;
mod stream;
mod terminal;

pub use stdout::{check_target, line, piece, write_json};
pub use stream::{LogFormat, error, install, open_log, say, warn};
pub use terminal::attach;
