//! Tests of the client, the pool, the grammar, the tasks and the environment, offline against a scripted service.

#![allow(clippy::unwrap_used)] // Helpers of tests: a failed unwrap is a failed test.

mod action;
mod double;
mod env;
mod pool;
mod tasks;
mod transport;
mod wire;
