//! The phone behind the GBox HTTP API.

mod actions;
mod adb;
mod api;
mod boxes;
mod browser;
mod client;
mod commands;
mod config;
mod devices;
mod files;
mod form;
mod gestures;
mod insight;
mod keys;
mod links;
mod media;
mod memory;
mod mishap;
mod model;
mod network;
mod packages;
mod pictures;
mod places;
mod play;
mod recording;
mod reply;
mod serve;
mod snapshots;
mod socket;
mod start;
mod state;
mod storage;
mod touch;

pub use config::{Faults, Latency, Limits, Mishap, MishapShare, SimConfig};
pub use play::{PlayError, PlayServer};
pub use start::{PhoneAccess, SimError, SimServer, SimStats};
