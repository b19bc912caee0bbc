//! Expressions inside a tag: what makes a text or a list by an operator pays for it.
//!
//! Operands of `+` and `~` get the filter [`HELD`], products become the filter [`TIMES`], results of slices and long texts are
//! paid for. See [`super::limits`].

use super::limits::{HELD, NUMBER, TIMES};
use super::operands::{Token, is_quoted, left_operand, right_operand, tokens};

/// Most tokens of a tag, which bounds the time that all of this takes.
const MOST_TOKENS: usize = 4096;

/// Bytes from which on a text in quotes pays each time.
const LONG: usize = 256;

/// The tag, where it has no more words and signs than a tag may have.
///
/// # Errors
/// When it has more.
pub(super) fn check(tag: &str) -> Result<&str, String> {
    match tokens(tag).len() {
        0..=MOST_TOKENS => Ok(tag),
        found => Err(format!(
            "a tag of {found} words and signs; expected at most {MOST_TOKENS}"
        )),
    }
}

/// The tag with its expressions rewritten.
pub(super) fn guard(tag: &str) -> String {
    let tokens = tokens(tag);
    let sums = tokens.iter().filter(|token| matches!(token.text, "+" | "~")).count();
    // Where something is put, how much is taken away there, and what is put.
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).map_or("", |next| next.text);
        let ends = !matches!(next, "." | "[" | "(" | ":");
        let long = is_quoted(token.text) && token.text.len() >= LONG && !is_quoted(next);
        if ends && (long || token.text == "]" && is_slice(&tokens, index)) {
            edits.push((token.end(), 0, format!("|{HELD}(1)")));
        }
    }
    let mut held = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            "+" | "~" => {
                for end in [left_operand(&tokens, index), right_operand(&tokens, index)]
                    .into_iter()
                    .flatten()
                {
                    if !held.contains(&end) {
                        held.push(end);
                        edits.push((end, 0, format!("|{HELD}({})", sums + 1)));
                    }
                }
            }
            "*" => {
                let Some(end) = factor_end(&tokens, index) else {
                    continue;
                };
                match before_factor(&tokens, index) {
                    Some("/" | "//" | "%" | "**") => edits.push((end, 0, format!("|{NUMBER}"))),
                    _ => {
                        edits.push((token.start, 1, format!("|{TIMES}(")));
                        edits.push((end, 0, ")".to_owned()));
                    }
                }
            }
            _ => {}
        }
    }
    if edits.is_empty() {
        return tag.to_owned();
    }
    // At one place what was found first comes first.
    edits.sort_by_key(|edit| edit.0);
    let (mut out, mut from) = (String::new(), 0);
    for (at, length, text) in edits {
        out.push_str(&tag[from..at]);
        out.push_str(&text);
        from = at + length;
    }
    out + &tag[from..]
}

/// Whether the bracket that closes at `index` holds a slice.
fn is_slice(tokens: &[Token<'_>], index: usize) -> bool {
    let depth = tokens[index].depth;
    let inside = tokens[..index]
        .iter()
        .rev()
        .take_while(|token| !(token.depth == depth && token.text == "["));
    let mut inside = inside.filter(|token| token.depth == depth);
    inside.any(|token| token.text == ":")
}

/// The token before the factor that ends before `index`, in the same brackets.
fn before_factor<'a>(tokens: &[Token<'a>], index: usize) -> Option<&'a str> {
    let depth = tokens[index].depth;
    let mut value_follows = false;
    for token in tokens[..index].iter().rev() {
        if token.depth > depth {
            value_follows = false;
            continue;
        }
        if token.depth < depth {
            return None;
        }
        match token.text {
            "." | "|" => value_follows = false,
            _ if token.is_value() && !value_follows => value_follows = true,
            other => return Some(other),
        }
    }
    None
}

/// The end of the factor after `index`, powers included; none where it has a sign or is tested.
fn factor_end(tokens: &[Token<'_>], index: usize) -> Option<usize> {
    let depth = tokens[index].depth;
    let first = tokens.get(index + 1)?;
    if !first.is_value() && !matches!(first.text, "(" | "[" | "{") {
        return None;
    }
    let (mut end, mut expects) = (None, true);
    for token in &tokens[index + 1..] {
        if token.depth > depth {
            end = Some(token.end());
            expects = false;
            continue;
        }
        if token.depth < depth {
            break;
        }
        match token.text {
            "." | "|" | "**" => expects = true,
            "is" => return None,
            _ if token.is_value() && expects => {
                end = Some(token.end());
                expects = false;
            }
            _ => break,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::{check, guard};

    #[test]
    fn what_grows_pays() {
        for (tag, want) in [
            ("{{ a }}", "{{ a }}"),
            ("{{ a + b }}", "{{ a|_held(2) + b|_held(2) }}"),
            (
                "{{ a + b.c(d) + 1 }}",
                "{{ a|_held(3) + b.c(d)|_held(3) + 1|_held(3) }}",
            ),
            ("{{ 'x' * n }}", "{{ 'x' |_times( n) }}"),
            ("{{ a * b * c.d }}", "{{ a |_times( b) |_times( c.d) }}"),
            ("{{ a + b * c }}", "{{ a|_held(2) + b |_times( c) }}"),
            ("{{ a // b * c }}", "{{ a // b * c|_number }}"),
            ("{{ a * b ** c }}", "{{ a |_times( b ** c) }}"),
            ("{{ f(a * b) * -1 }}", "{{ f(a |_times( b)) * -1 }}"),
            ("{% set x = y[1:] %}", "{% set x = y[1:]|_held(1) %}"),
            (
                "{{ y[1:].strip() + y[0] }}",
                "{{ y[1:].strip()|_held(2) + y[0]|_held(2) }}",
            ),
            ("{{ {'a': 1}['a'] }}", "{{ {'a': 1}['a'] }}"),
            (
                "{% for m in a[1:] + [b] %}",
                "{% for m in a[1:]|_held(1)|_held(2) + [b]|_held(2) %}",
            ),
        ] {
            assert_eq!(guard(tag), want, "{tag}");
        }
        let long = "x".repeat(300);
        assert_eq!(
            guard(&format!("{{{{ '{long}' }}}}")),
            format!("{{{{ '{long}'|_held(1) }}}}")
        );
        assert!(check(&format!("{{{{ {} }}}}", "a, ".repeat(3000))).is_err());
    }
}
