//! What a text of others may do to a terminal.

/// Whether a terminal obeys the character instead of showing it: control characters, and the marks of Unicode that break a
/// line or turn the direction of what follows.
pub fn obeyed(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
