//! Empty: cargo reads the build dependencies of a crate only where there is a build script.

fn main() {}
