//! Replies that several commands give.

use super::line::ShellOutput;

pub fn word(word: &str) -> ShellOutput {
    ShellOutput::ok(format!("{word}\n"))
}

pub fn missing(rest: &[&str]) -> ShellOutput {
    match rest {
        [] => ShellOutput::fail(255, "No command given"),
        [only] => ShellOutput::fail(255, format!("Argument expected after \"{only}\"")),
        [first, ..] => ShellOutput::fail(255, format!("Unknown command: {first}")),
    }
}

/// What Java prints when a service command throws.
pub fn thrown(word: &str, what: &str) -> ShellOutput {
    ShellOutput::fail(
        255,
        format!(
            "\nException occurred while executing '{word}':\n{what}\n\tat com.android.server.ShellCommand.exec(ShellCommand.java)"
        ),
    )
}

/// The value behind a flag.
pub fn flag<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|word| *word == name)?;
    arguments.get(at + 1).copied()
}
