//! What a simulator is to be: address, key, quota, and how slow and unreliable it pretends to be.

use cua_grpo_core::Secret;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Settings of a simulator.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:0`.
    pub bind: SocketAddr,
    /// The only key that is accepted. Default `None`: any bearer key will do.
    pub api_key: Option<Secret>,
    /// Boxes that may run at once; one more is answered 429. Default 64.
    pub quota: usize,
    /// How slow it pretends to be. Default: as fast as it can.
    pub latency: Latency,
    /// How unreliable it pretends to be. Default: reliable.
    pub faults: Faults,
    /// What a client may take of it.
    pub limits: Limits,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            api_key: None,
            quota: 64,
            latency: Latency::default(),
            faults: Faults::default(),
            limits: Limits::default(),
        }
    }
}

/// What a client may take of the simulator before it is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait until one ends. Default 1,024.
    pub connections: usize,
    /// Until the first byte of a connection. Default 10 s.
    pub first_byte: Duration,
    /// Until the head of a request is whole, which includes the time between two requests of a connection. Default 2 min,
    /// longer than clients keep a connection that is idle.
    pub head: Duration,
    /// Until the body of a request is whole. Default 30 s.
    pub body: Duration,
    /// Largest body, in bytes. Default 16 MiB.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(120),
            body: Duration::from_secs(30),
            body_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Time that passes before things are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    /// Until a new box runs.
    pub boot: Duration,
    /// Before each request is looked at.
    pub request: Duration,
    /// Each request takes up to this much longer, drawn evenly.
    pub jitter: Duration,
}

/// Failures on purpose, drawn from a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// Share of requests that are answered 503 before anything is done, 0 to 1.
    pub unavailable: f64,
    /// Share of actions that are answered 400, as if their content were wrong, before anything is done, 0 to 1.
    pub refused_actions: f64,
    /// Share of boxes that die, 0 to 1.
    pub deaths: f64,
    /// Requests that a box which is to die still answers.
    pub death_after: u64,
    /// Seed of the draws (also of the jitter).
    pub seed: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            unavailable: 0.0,
            refused_actions: 0.0,
            deaths: 0.0,
            death_after: 3,
            seed: 0,
        }
    }
}
