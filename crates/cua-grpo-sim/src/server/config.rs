//! What a simulator is to be: address, key, quota, and how slow and unreliable it pretends to be.

use crate::device::PhoneSpec;
use cua_grpo_core::Secret;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
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
    /// The phones of its boxes. Default: the small one.
    pub phone: PhoneSpec,
    /// Whether the `sleep` of a command takes no time: it moves the clock of the phone on in either case. Default `false`.
    pub virtual_clock: bool,
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
            phone: PhoneSpec::default(),
            virtual_clock: false,
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
    /// Longest time in which a client takes nothing of what it is sent. Default 30 s.
    pub answer: Duration,
    /// Largest body, in bytes. Default 16 MiB.
    pub body_bytes: usize,
    /// Largest body that brings files, packages or pictures, in bytes. Default 64 MiB.
    pub upload_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(120),
            body: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            body_bytes: 16 * 1024 * 1024,
            upload_bytes: 64 * 1024 * 1024,
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

/// A way in which a request fails on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// Nothing is done; the answer is 503.
    Unavailable,
    /// Nothing is done; the answer is 429.
    Limited,
    /// It is done; the answer is 503.
    UnavailableAfter,
    /// It is done; the answer is 429.
    LimitedAfter,
    /// Nothing is done, and no answer comes.
    Hang,
    /// It is done, and no answer comes.
    HangAfter,
    /// It is done, and the connection breaks before an answer.
    Drop,
    /// It is done, and the answer breaks off in its middle.
    Truncate,
    /// It is done, and the answer never ends.
    Endless,
    /// It is done, and the answer has a gigabyte.
    Huge,
    /// A box is not terminated (423); other requests are let be.
    Stuck,
}

impl Mishap {
    /// All kinds, with the names by which they are asked for.
    pub const ALL: [(&str, Self); 11] = [
        ("unavailable", Self::Unavailable),
        ("limited", Self::Limited),
        ("unavailable-after", Self::UnavailableAfter),
        ("limited-after", Self::LimitedAfter),
        ("hang", Self::Hang),
        ("hang-after", Self::HangAfter),
        ("drop", Self::Drop),
        ("truncate", Self::Truncate),
        ("endless", Self::Endless),
        ("huge", Self::Huge),
        ("stuck", Self::Stuck),
    ];
}

/// A kind of mishap and the share of requests that meet it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MishapShare {
    /// The kind.
    pub kind: Mishap,
    /// Share of requests, 0 to 1.
    pub share: f64,
}

/// `KIND=SHARE`, e.g. `hang-after=0.02`.
impl FromStr for MishapShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Mishap::ALL.map(|(name, _)| name).join(", ");
        let wrong = || {
            format!(
                "expected KIND=SHARE with a share of 0 to 1 and one of the kinds {}",
                names()
            )
        };
        let (name, share) = text.split_once('=').ok_or_else(wrong)?;
        let (_, kind) = Mishap::ALL
            .into_iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(wrong)?;
        let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let share = share.ok_or_else(wrong)?;
        Ok(Self { kind, share })
    }
}

/// Failures on purpose, drawn from a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// Share of requests that are answered 503 before anything is done, 0 to 1.
    pub unavailable: f64,
    /// Share of actions that are answered 400, as if their content were wrong, before anything is done, 0 to 1.
    pub refused_actions: f64,
    /// Share of boxes that die, 0 to 1.
    pub deaths: f64,
    /// Requests that a box which is to die still answers.
    pub death_after: u64,
    /// Mishaps of requests: a request meets at most one.
    pub mishaps: Vec<MishapShare>,
    /// Every page of a list is the first one.
    pub pages_ignored: bool,
    /// Boxes of others, of no known status, in every list.
    pub foreign_boxes: usize,
    /// Shell commands that only read, besides those that are known for it: they are no deeds, so asking one again repeats
    /// none.
    pub questions: Vec<String>,
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
            mishaps: Vec::new(),
            pages_ignored: false,
            foreign_boxes: 0,
            questions: Vec::new(),
            seed: 0,
        }
    }
}
