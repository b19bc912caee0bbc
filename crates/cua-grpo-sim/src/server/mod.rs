//! The phone behind the GBox HTTP API.

mod actions;
mod api;
mod boxes;
mod config;
mod gestures;
mod memory;
mod mishap;
mod model;
mod reply;
mod serve;
mod start;
mod state;
mod time;

pub use config::{Faults, Latency, Limits, Mishap, MishapShare, SimConfig};
pub use start::{PhoneAccess, SimError, SimServer, SimStats};
