//! What both benches play with.

pub mod phones;
