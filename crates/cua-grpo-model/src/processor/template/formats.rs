//! What the fields of a format may ask for.

use super::limits::{length, spend, wrong};
use super::python;
use minijinja::{Error, Value};

/// That the fields of a format have widths that people write, and that all fields together fit in a text.
///
/// # Errors
/// When they do not.
pub(super) fn check(format: &str, mark: char, arguments: &[Value]) -> Result<(), Error> {
    /// Digits of a width or precision.
    const DIGITS: usize = 4;
    let (mut run, mut fields, mut longest) = (0, 0, 0);
    for character in format.chars() {
        run = if character.is_ascii_digit() { run + 1 } else { 0 };
        if run > DIGITS {
            return Err(wrong(format!("format: expected widths of at most {DIGITS} digits")));
        }
        fields += usize::from(character == mark);
    }
    if format.contains(['*']) && mark == '%' || format.contains(":{") {
        return Err(wrong("format: expected widths that are written out".to_owned()));
    }
    for argument in arguments {
        let bytes = match argument.as_str() {
            Some(text) => text.len(),
            None => python::str(argument).len(),
        };
        longest = longest.max(bytes + 10_000);
    }
    let bytes = fields.saturating_mul(longest).saturating_add(format.len());
    if fields > 1 {
        length(bytes)?;
    }
    spend(bytes)
}
