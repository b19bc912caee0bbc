//! A check against stored figures: the clock is virtual, so what differs is the engine.

use crate::play::Line;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Share by which a figure may be worse than the stored one. The order of events at one moment of the clock may differ.
const MARGIN: f64 = 0.05;

/// Fails when a line has fewer episodes an hour or less busy phones than its counterpart in `file` allows, or none.
pub fn check(file: &Path, lines: &[Line]) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let stored: Vec<Line> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not a file of lines of this bench", file.display()))?;
    let mut worse = Vec::new();
    for line in lines {
        let same = |other: &&Line| (&other.mode, other.phones, other.cards) == (&line.mode, line.phones, line.cards);
        let Some(before) = stored.iter().find(same) else {
            worse.push(format!("{} of {} phones is not in the file", line.mode, line.phones));
            continue;
        };
        for (what, now, then) in [
            ("episodes an hour", line.episodes_per_h, before.episodes_per_h),
            ("busy phones", line.phones_busy, before.phones_busy),
        ] {
            if now < then * (1.0 - MARGIN) {
                worse.push(format!(
                    "{}, {} phones: {what} {now:.3}, stored {then:.3}",
                    line.mode, line.phones
                ));
            }
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    bail!(
        "worse than {} by more than {MARGIN}: {}",
        file.display(),
        worse.join("; ")
    )
}
