//! The simulator on its own: prints where it listens, and ends when its standard input does.
//!
//! `cargo run -p cua-grpo-sim --example serve`, then point a client at the address, with any key.

#![allow(clippy::print_stdout, reason = "the address is what it is asked for")]

use cua_grpo_sim::{SimConfig, SimServer};
use std::io::{Read as _, Write as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = SimServer::start(SimConfig::default()).await?;
    println!("{}", server.base_url());
    std::io::stdout().flush()?;
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    closed.await??;
    server.shutdown().await;
    Ok(())
}
