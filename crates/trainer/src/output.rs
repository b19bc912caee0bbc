//! What a command prints for other programs.

use anyhow::{Context, Result};
use std::io::Write;

/// One line on standard output.
pub fn line(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")
        .and_then(|()| output.flush())
        .context("cannot write to standard output")
}
