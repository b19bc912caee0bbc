//! What a user can type next: the name that the program was started by, and words that a shell reads as one.

use cua_grpo_train::shell::{self, Started};
pub use cua_grpo_train::shell::{argument, path};

/// This program with `arguments`, as one line for a shell. A program that cargo started is started by cargo again.
pub fn command(arguments: &[&str]) -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    // Cargo names the package of what it runs to the process.
    let by_cargo =
        std::env::var_os("CARGO").is_some() && std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == "trainer");
    let started = Started {
        program: &program.to_string_lossy(),
        by_cargo,
        cuda: cfg!(feature = "cuda"),
    };
    shell::command(started, arguments)
}
