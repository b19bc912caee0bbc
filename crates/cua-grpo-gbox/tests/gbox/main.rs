//! Tests of the client, the pool and the environment on boxes, offline against a scripted service.

#![allow(clippy::unwrap_used)] // Helpers of tests: a failed unwrap is a failed test.

mod double;
mod echo;
mod env;
mod foreign;
mod hostile;
mod pool;
mod raw;
mod transport;
mod unsure;
mod wire;
