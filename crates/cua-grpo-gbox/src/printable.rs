//! Texts of the service as a terminal and a log may get them.

/// Most characters of a text of the service that is shown.
pub(crate) const MOST_SHOWN: usize = 300;

/// The first `most` characters on one line, without control sequences and without characters that turn the direction of
/// what follows: what a terminal and a log may get.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let turns = |c: char| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = |c: char| if c.is_control() || turns(c) { ' ' } else { c };
    text.chars().take(most).map(plain).collect()
}
