//! The simulator on its own: prints where it listens, and ends when its standard input does.
//!
//! `cargo run -p cua-grpo-sim --example serve -- small` (or `pixel`), then point a client at the address, with any key.

#![allow(clippy::print_stdout, reason = "the address is what it is asked for")]

use cua_grpo_sim::{PhoneKind, SimConfig, SimServer};
use std::io::{Read as _, Write as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let phone: PhoneKind = std::env::args()
        .nth(1)
        .map_or(Ok(PhoneKind::Small), |name| name.parse())?;
    let config = SimConfig {
        phone: phone.into(),
        ..SimConfig::default()
    };
    let server = SimServer::start(config).await?;
    println!("{}", server.base_url());
    std::io::stdout().flush()?;
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    closed.await??;
    server.shutdown().await;
    Ok(())
}
