//! Texts of the service as a terminal and a log may get them.

/// Most characters of a text of the service that is shown.
pub(crate) const MOST_SHOWN: usize = 300;

/// The first `most` characters on one line, without what a terminal obeys ([`cua_grpo_core::obeyed`]).
pub(crate) fn printable(text: &str, most: usize) -> String {
    let plain = |c: char| if cua_grpo_core::obeyed(c) { ' ' } else { c };
    text.chars().take(most).map(plain).collect()
}
