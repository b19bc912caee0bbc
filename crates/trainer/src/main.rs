//! The binary of cua-grpo: config, objects, loop, artefacts.
fn main() {}
