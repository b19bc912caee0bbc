//! A simulated Android phone behind the GBox HTTP API.
