//! Faults that must not vanish, through the real binary: signals, closed pipes, full disks, lost boxes, bad numbers.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![cfg(unix)]

mod live;
mod lost;
mod messages;
mod numbers;
mod outages;
mod secrets;
mod signals;
