//! `trainer sim`: serves the simulated phone.

use crate::cli::SimArgs;
use crate::interrupt::{Interrupt, Notice};
use crate::output;
use anyhow::Result;
use cua_grpo_sim::{Faults, Latency, SimConfig, SimServer};
use cua_grpo_train::Mendable;
use std::time::Duration;

/// Serves simulated phones until a signal asks for the end.
pub async fn sim(arguments: &SimArgs) -> Result<()> {
    let config = SimConfig {
        bind: arguments.bind,
        api_key: arguments.api_key.clone(),
        quota: arguments.quota,
        latency: Latency {
            request: Duration::from_millis(arguments.latency_ms),
            ..Default::default()
        },
        faults: Faults {
            unavailable: arguments.fault_rate,
            refused_actions: arguments.refuse_rate,
            seed: arguments.seed,
            ..Default::default()
        },
    };
    let interrupt = Interrupt::listen(Notice::SERVING);
    interrupt.hold();
    let server = SimServer::start(config).await.mendable("--bind")?;
    output::say(format!("simulated phones at {}", server.base_url()));
    output::say(format!(
        "use them with: {}",
        crate::hint::command(&[
            &format!("--set=gbox_base_url={}", server.base_url()),
            "--set=gbox_api_key=any"
        ])
    ));
    output::say(format!(
        "or from the official SDK: GBOX_CLIENT_BASE_URL={} GBOX_API_KEY=any",
        server.base_url()
    ));
    interrupt.wait().await;
    server.shutdown().await;
    Ok(())
}
