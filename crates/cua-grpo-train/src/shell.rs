//! Paths and words that a shell reads as one word, for messages that say what to type.

use std::path::Path;

/// `text` as one word of a POSIX shell.
pub fn word(text: &str) -> String {
    // No path holds the zero byte that cannot be quoted.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), |quoted| quoted.into_owned())
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
}
