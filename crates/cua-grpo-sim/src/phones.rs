//! The phones of a run: simulated inside this process, or boxes of a service.

use crate::device::PhoneSpec;
use crate::server::{SimConfig, SimError, SimServer};
use cua_grpo_gbox::{BoxPool, ClientConfig, Closed, GboxClient, GboxError, PoolConfig, PoolGuard};
use std::time::Duration;

/// The address that means the simulated phone inside this process.
pub const HERE: &str = "sim";

/// Which phones, how many, and whose they are.
#[derive(Debug, Clone)]
pub struct PhonesConfig<'a> {
    /// [`HERE`], or the address of a service.
    pub base_url: &'a str,
    /// Key of the service.
    pub api_key: Option<&'a str>,
    /// Phones at once.
    pub at_once: usize,
    /// Names the run in the labels of its boxes; a random one when absent.
    pub label: Option<String>,
    /// How long a service is waited for that takes no requests.
    pub outage_budget: Duration,
    /// The phones, when they are simulated here.
    pub phone: PhoneSpec,
}

/// Why there are no phones.
#[derive(Debug, thiserror::Error)]
pub enum PhonesError {
    /// A service needs a key.
    #[error("no key for {0}: set GBOX_API_KEY, or use the simulated phone with --set gbox_base_url=sim")]
    NoKey(String),
    /// The service does not accept the key or the address.
    #[error("cannot use the GBox service at {address}; check gbox_base_url and GBOX_API_KEY: {reason}")]
    Refused {
        /// Where.
        address: String,
        /// What it says.
        reason: GboxError,
    },
    /// The service cannot be used now.
    #[error("cannot use the GBox service at {address}; check gbox_base_url and GBOX_API_KEY: {reason}")]
    Unusable {
        /// Where.
        address: String,
        /// Why.
        reason: GboxError,
    },
    /// The simulator did not start.
    #[error(transparent)]
    Sim(#[from] SimError),
}

impl PhonesError {
    /// Whether the user can mend it: a key, an address; as opposed to a service that does not answer.
    pub fn is_mendable(&self) -> bool {
        matches!(self, Self::NoKey(_) | Self::Refused { .. })
    }
}

/// Phones that can be leased. Dropped without [`Phones::close`], they end their boxes all the same, if less orderly.
#[derive(Debug)]
pub struct Phones {
    /// Where they are leased.
    pub pool: BoxPool,
    /// The phones, when they are simulated here.
    pub sim: Option<SimServer>,
    _guard: Option<PoolGuard>,
}

impl Phones {
    /// Starts the simulated phone or connects to the service, checks that boxes can be had, and ends those that an earlier
    /// process with the same label has left.
    ///
    /// # Errors
    /// [`PhonesError`].
    pub async fn open(config: PhonesConfig<'_>) -> Result<Self, PhonesError> {
        let (sim, mut client) = if config.base_url == HERE {
            let sim = SimServer::start(SimConfig {
                quota: config.at_once,
                phone: config.phone,
                virtual_clock: true,
                ..Default::default()
            })
            .await?;
            let client = ClientConfig::new(HERE).at(sim.base_url());
            (Some(sim), client)
        } else {
            let key = config
                .api_key
                .ok_or_else(|| PhonesError::NoKey(config.base_url.to_owned()))?;
            (None, ClientConfig::new(key).at(config.base_url))
        };
        client.retry.outage_budget = config.outage_budget;
        let address = client.base_url.clone();
        let failed = |reason: GboxError| match reason {
            reason @ (GboxError::Unauthorized { .. } | GboxError::Config(_)) => PhonesError::Refused {
                address: address.clone(),
                reason,
            },
            reason => PhonesError::Unusable {
                address: address.clone(),
                reason,
            },
        };
        let defaults = PoolConfig::default();
        let earlier = config.label.is_some();
        let pool = PoolConfig {
            quota: config.at_once,
            label: config.label.unwrap_or(defaults.label),
            ..defaults
        };
        let pool = GboxClient::new(client)
            .and_then(|client| BoxPool::new(client, pool))
            .map_err(failed)?;
        pool.preflight().await.map_err(failed)?;
        if earlier && sim.is_none() {
            pool.sweep().await.map_err(failed)?;
        }
        Ok(Self {
            _guard: sim.is_none().then(|| pool.guard()),
            pool,
            sim,
        })
    }

    /// Ends every box of the run, within the time that [`PoolConfig`] allows.
    pub async fn close(self) -> Closed {
        let closed = self.pool.close().await;
        if let Some(sim) = self.sim {
            sim.shutdown().await;
        }
        closed
    }
}
