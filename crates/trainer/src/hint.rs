//! What a user can type next: the name that the program was started by, and words that a shell reads as one.

use cua_grpo_train::shell::word;
pub use cua_grpo_train::shell::{argument, path};

/// This program with `arguments`, as one line for a shell. A program that cargo started is started by cargo again.
pub fn command(arguments: &[&str]) -> String {
    let started = std::env::args_os().next().unwrap_or_default();
    let started = started.to_string_lossy();
    // Cargo names the package of what it runs to the process.
    let cargo =
        std::env::var_os("CARGO").is_some() && std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == "trainer");
    join(&started, cargo, arguments)
}

fn join(started: &str, cargo: bool, arguments: &[&str]) -> String {
    let mut words = if cargo {
        let mut words = vec!["cargo".to_owned(), "run".to_owned()];
        if started.contains("/release/") {
            words.push("--release".into());
        }
        words.extend(["-p".into(), "trainer".into()]);
        if cfg!(feature = "cuda") {
            words.extend(["--features".into(), "cuda".into()]);
        }
        words.push("--".into());
        words
    } else if started.is_empty() {
        vec!["trainer".to_owned()]
    } else {
        vec![word(started)]
    };
    words.extend(arguments.iter().map(|argument| word(argument)));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_and_quotes_stay_one_word() {
        for path in ["runs/a", "my runs/first one", "it's", "a\"b", "$HOME", "ü", "a\nb", "*"] {
            let line = join("/opt/the trainer", false, &["eval", "--adapter", path]);
            let words: Vec<String> = shlex::Shlex::new(&line).collect();
            assert_eq!(words, ["/opt/the trainer", "eval", "--adapter", path], "{line}");
        }
        assert_eq!(
            join("trainer", false, &["report", "a/b-1_c.d"]),
            "trainer report a/b-1_c.d"
        );
        assert_eq!(join("", false, &["report", "a"]), "trainer report a");
    }

    #[test]
    fn a_program_that_cargo_started_is_started_by_cargo_again() {
        let gpu = if cfg!(feature = "cuda") { " --features cuda" } else { "" };
        assert_eq!(
            join("target/debug/trainer", true, &["report", "my run"]),
            format!("cargo run -p trainer{gpu} -- report 'my run'")
        );
        assert_eq!(
            join("/t/release/trainer", true, &["report", "r"]),
            format!("cargo run --release -p trainer{gpu} -- report r")
        );
    }
}
