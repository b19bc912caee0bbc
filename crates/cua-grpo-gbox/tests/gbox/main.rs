//! Tests of the client, the pool, the grammar, the tasks and the environment, offline against a scripted service.

mod action;
mod double;
mod env;
mod pool;
mod tasks;
mod transport;
mod wire;
