//! Tests of the client, the pool and the environment on boxes, offline against a scripted service.

#![allow(clippy::unwrap_used)] // Helpers of tests: a failed unwrap is a failed test.

mod double;
mod env;
mod hostile;
mod pool;
mod transport;
mod unsure;
mod wire;
