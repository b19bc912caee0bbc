//! Paths and words that a shell reads as one word, for messages that say what to type.

use crate::plain::{Form, plain};
use std::path::Path;

/// `text` as one word of a shell. What a terminal would obey or hide (control characters, turns of direction) is written as
/// an escape of bash, zsh and ksh, so that the word can be copied; all else is as in a POSIX shell.
pub fn word(text: &str) -> String {
    if text.chars().any(is_hidden) {
        return format!("$'{}'", text.chars().map(escaped).collect::<String>());
    }
    // No path holds the zero byte that cannot be quoted.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), |quoted| quoted.into_owned())
}

/// Whether a terminal shows another thing than the letter.
fn is_hidden(letter: char) -> bool {
    let text = letter.to_string();
    plain(&text, Form::Text) != text
}

/// A letter between `$'` and `'`.
fn escaped(letter: char) -> String {
    match letter {
        '\'' => "\\'".into(),
        '\\' => "\\\\".into(),
        // Its bytes are the same in every locale.
        hidden if is_hidden(hidden) => {
            let bytes = hidden.to_string().into_bytes();
            bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
        }
        letter => letter.into(),
    }
}

/// A path as one word of a shell, behind a flag.
pub fn argument(place: &Path) -> String {
    word(&path(place))
}

/// A path as it can be given to a flag where the user stands.
pub fn path(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    let text = relative.unwrap_or_else(|| path.to_path_buf()).display().to_string();
    match text {
        text if text.is_empty() => ".".into(),
        // A flag would be read otherwise.
        text if text.starts_with('-') => format!("./{text}"),
        text => text,
    }
}

/// How a program was started.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// Its path, as the shell gave it.
    pub program: &'a str,
    /// Cargo started it, and will start it again.
    pub by_cargo: bool,
    /// It was built with the feature `cuda`.
    pub cuda: bool,
}

/// A program with `arguments`, as one line for a shell.
pub fn command(started: Started<'_>, arguments: &[&str]) -> String {
    let mut words = if started.by_cargo {
        let mut words = vec!["cargo".to_owned(), "run".to_owned()];
        if started.program.contains("/release/") {
            words.push("--release".into());
        }
        words.extend(["-p".into(), "trainer".into()]);
        if started.cuda {
            words.extend(["--features".into(), "cuda".into()]);
        }
        words.push("--".into());
        words
    } else if started.program.is_empty() {
        vec!["trainer".to_owned()]
    } else {
        vec![word(started.program)]
    };
    words.extend(arguments.iter().map(|argument| word(argument)));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_where_the_user_stands() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(path(&here.join("runs/a")), "runs/a");
        assert_eq!(path(&here), ".");
        assert_eq!(path(Path::new("-run")), "./-run");
        let words: Vec<String> = shlex::Shlex::new(&argument(Path::new("it's mine"))).collect();
        assert_eq!(words, ["it's mine"]);
        assert_eq!(path(Path::new("/elsewhere/a")), "/elsewhere/a");
    }

    fn join(program: &str, by_cargo: bool, arguments: &[&str]) -> String {
        let cuda = program.contains("gpu");
        let started = Started {
            program,
            by_cargo,
            cuda,
        };
        command(started, arguments)
    }

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

    #[cfg(unix)]
    #[test]
    fn a_word_that_a_terminal_would_show_otherwise_can_be_copied_from_it() {
        let names = [
            "rtl\u{202e}abc",
            "esc\u{1b}[31m it's",
            "bell\u{7}f00 \\x",
            "ü\u{200f}",
            "nl\n\u{1b}",
        ];
        for name in names {
            let written = word(name);
            assert_eq!(plain(&written, Form::Text), written, "{written}");
            let script = format!("printf %s {written}");
            let Ok(said) = std::process::Command::new("bash").args(["-c", &script]).output() else {
                continue;
            };
            assert_eq!(String::from_utf8_lossy(&said.stdout), name, "{written}");
        }
    }

    #[test]
    fn a_program_that_cargo_started_is_started_by_cargo_again() {
        assert_eq!(
            join("target/debug/trainer", true, &["report", "my run"]),
            "cargo run -p trainer -- report 'my run'"
        );
        assert_eq!(
            join("/gpu/release/trainer", true, &["report", "r"]),
            "cargo run --release -p trainer --features cuda -- report r"
        );
    }
}
