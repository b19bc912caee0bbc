//! `trainer sim`: serves the simulated phone.

use crate::cli::SimArgs;
use crate::interrupt::{Interrupt, Notice};
use crate::output;
use anyhow::Result;
use cua_grpo_core::Secret;
use cua_grpo_sim::{Faults, Latency, PhoneSpec, SimConfig, SimServer};
use cua_grpo_train::Mendable;
use std::time::Duration;

/// The phones that the flags describe.
fn phone(arguments: &SimArgs) -> PhoneSpec {
    let mut phone = PhoneSpec::from(arguments.phone);
    let display = &mut phone.looks.display;
    if let Some((width, height)) = arguments.size {
        // As many dp across as a Pixel has.
        display.density = (width * display.density / display.width.max(1)).clamp(72, 1000);
        (display.width, display.height) = (width, height);
    }
    display.density = arguments.density.unwrap_or(display.density);
    phone.looks.dark = arguments.dark;
    phone.looks.locale.clone_from(&arguments.locale);
    phone
}

/// Serves simulated phones until a signal asks for the end.
pub async fn sim(arguments: &SimArgs) -> Result<()> {
    let config = SimConfig {
        bind: arguments.bind,
        api_key: arguments.api_key.clone().map(Secret::from),
        quota: arguments.quota,
        latency: Latency {
            request: Duration::from_millis(arguments.latency_ms),
            ..Default::default()
        },
        faults: Faults {
            unavailable: arguments.fault_rate,
            refused_actions: arguments.refuse_rate,
            mishaps: arguments.mishap.clone(),
            seed: arguments.seed,
            ..Default::default()
        },
        phone: phone(arguments),
        ..Default::default()
    };
    let interrupt = Interrupt::listen(Notice::SERVING);
    interrupt.hold();
    let server = SimServer::start(config).await.mendable("--bind")?;
    output::say(format!("simulated phones at {}", server.base_url()));
    let key = if arguments.api_key.is_some() { "THE_KEY" } else { "any" };
    let address = server.base_url();
    output::say(format!(
        "use them with: GBOX_API_KEY={key} {}",
        crate::hint::command(&[&format!("--set=gbox_base_url={address}")])
    ));
    output::say(format!(
        "or from the official SDK: GBOX_CLIENT_BASE_URL={address} GBOX_API_KEY={key}"
    ));
    interrupt.wait().await;
    server.shutdown().await;
    Ok(())
}
