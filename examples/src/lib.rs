//! Examples of use; each is a file beside this folder and runs with `cargo run -p examples --example NAME`.
