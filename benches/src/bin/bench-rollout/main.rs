//! Speed of rollouts: the engine with phones and a card of given speeds, on a clock that does not wait.
//!
//! `cargo xtask bench-rollout` plays the same tasks in lockstep, free, and with a stream of staleness 1, 2 and 4, and
//! of 2 with nine attempts begun for eight, and prints a line of JSON for each on standard output. Latencies are those of
//! rented phones; the card is an H200 with an 8B
//! model by the figures of `docs/PERFORMANCE.md`. The engine is the real one; phones, card and updates only wait, on a
//! virtual clock, so an hour takes seconds and does not depend on this machine. `--check FILE` fails when a figure is
//! worse than in a file of such lines. `cargo xtask bench-rollout http` measures the engine and the simulated phone by a
//! real clock instead.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the JSON lines are the output, the table is for the reader"
)]

mod baseline;
mod card;
mod http;
mod play;

use anyhow::Result;
use clap::{Parser, Subcommand};
use play::{Mode, Setup};
use std::path::PathBuf;

/// Speed of rollouts.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Phones, and so episodes at once
    #[arg(long, value_delimiter = ',', default_value = "32")]
    phones: Vec<usize>,
    /// Cards that sample and train
    #[arg(long, value_delimiter = ',', default_value = "1")]
    cards: Vec<usize>,
    /// Ways to play: lockstep, free, or a staleness, with an oversampling behind it or without
    #[arg(long, value_delimiter = ',', default_value = "lockstep,free,1,2,4,2x1.125")]
    modes: Vec<Mode>,
    /// Episodes of a group; a step has as many groups as fill the phones once
    #[arg(long, default_value_t = 8)]
    group: usize,
    /// Steps that are measured, after three that are not
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Seed of latencies, faults and replies
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fails when episodes an hour or busy phones are worse than in this file of lines
    #[arg(long)]
    check: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// The engine and the simulated phone over HTTP, by a real clock
    Http(http::Http),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Http(http)) = &arguments.command {
        return http::run(http);
    }
    eprintln!(
        "{:>9} {:>6} {:>5}  {:>10} {:>8} {:>6} {:>9} {:>7} {:>6} {:>9} {:>9}",
        "mode", "phones", "cards", "episodes/h", "tokens/s", "busy", "card idle", "s/step", "faults", "stale", "oldest"
    );
    let mut lines = Vec::new();
    for &cards in &arguments.cards {
        for &phones in &arguments.phones {
            for &mode in &arguments.modes {
                let line = play::measure(&Setup {
                    mode,
                    phones,
                    cards,
                    group: arguments.group,
                    steps: arguments.steps,
                    seed: arguments.seed,
                })?;
                eprintln!(
                    "{:>9} {phones:>6} {cards:>5}  {:>10.0} {:>8.0} {:>6.3} {:>9.3} {:>7.1} {:>6} {:>9.2} {:>9}",
                    line.mode,
                    line.episodes_per_h,
                    line.tokens_per_s,
                    line.phones_busy,
                    line.card_idle,
                    line.step_s,
                    line.faults,
                    line.staleness_mean,
                    line.staleness_max
                );
                println!("{}", serde_json::to_string(&line)?);
                lines.push(line);
            }
        }
    }
    arguments.check.map_or(Ok(()), |file| baseline::check(&file, &lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_default_is_shown_as_it_is_typed() {
        let shown = "lockstep,free,1,2,4,2x1.125";
        assert!(
            Arguments::command()
                .render_help()
                .to_string()
                .contains(&format!("[default: {shown}]"))
        );
        let typed = Arguments::parse_from(["bench-rollout", "--modes", shown]);
        assert_eq!(Arguments::parse_from(["bench-rollout"]).modes, typed.modes);
        assert_eq!((typed.modes.len(), typed.phones, typed.cards), (6, vec![32], vec![1]));
    }
}
