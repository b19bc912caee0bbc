//! The source of a template in the engine's dialect of Jinja.
//!
//! What differs from transformers' environment:
//! - line ends are `\n` there whatever the file has;
//! - `{% generation %}` marks the tokens of a training mask; it renders its body in a scope of its own;
//! - a line end after `{% raw %}` is kept there;
//! - expressions compute as Python does, so [`super::statements`] and [`super::grammar`] parse every tag and write it anew;
//! - `filter`, a `set` without `=` and the `else` of a loop are scopes there, and a macro sets its parameters one after the
//!   other ([`super::blocks`], [`super::statements`]);
//! - what makes texts and lists, and long stretches of text, pay for it ([`super::limits`]).

use super::blocks::Blocks;
use super::lexer::opening;
use super::limits::RAW;
use super::statements;
use std::collections::BTreeSet;

/// Most bytes of a template: a hundred times the longest of a released model.
const MOST: usize = 1 << 20;

/// Bytes from which on a stretch of text pays each time that it is written.
const LONG: usize = 256;

/// Most bytes of a stretch of text in which nothing can be put.
const LONGEST: usize = 4096;

/// `source` rewritten; texts, comments and raw blocks are left alone.
///
/// # Errors
/// When it is too long, or one of its parts is.
pub(super) fn rewrite(source: &str) -> Result<String, String> {
    if source.len() > MOST {
        return Err(format!("expected at most {MOST} bytes, found {}", source.len()));
    }
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let none = BTreeSet::new();
    let mut blocks = Blocks::new(&none);
    let out = written(&source, &mut blocks)?;
    let macros = blocks.into_found();
    if macros.is_empty() {
        return Ok(out);
    }
    // A macro may be called before the text comes to it.
    written(&source, &mut Blocks::new(&macros))
}

fn written(source: &str, blocks: &mut Blocks<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        text(&rest[..at], &mut out)?;
        rest = &rest[at..];
        let line = |message: String| {
            let line = source[..source.len() - rest.len()].matches('\n').count() + 1;
            format!("line {line}: {message}")
        };
        let length = match rest.as_bytes().get(1) {
            Some(b'#') => {
                let end = rest
                    .find("#}")
                    .ok_or_else(|| line("a comment without its `#}`".to_owned()))?;
                let length = end + 2;
                out.push_str(&rest[..length]);
                length
            }
            Some(b'{') => tag(rest, "}}", blocks, &mut out).map_err(line)?,
            Some(b'%') => tag(rest, "%}", blocks, &mut out).map_err(line)?,
            _ => {
                out.push('{');
                1
            }
        };
        rest = &rest[length..];
    }
    text(rest, &mut out)?;
    Ok(out)
}

/// Writes a stretch of text. A long one pays: between two letters of it, where no white space is that the engine might take
/// away.
fn text(text: &str, out: &mut String) -> Result<(), String> {
    let bytes = text.as_bytes();
    let place = match text.len() {
        0..LONG => None,
        _ => (1..bytes.len()).find(|&at| bytes[at - 1].is_ascii_alphanumeric() && bytes[at].is_ascii_alphanumeric()),
    };
    match place {
        Some(at) => out.push_str(&format!(
            "{}{{{{ {RAW}({}) }}}}{}",
            &text[..at],
            text.len(),
            &text[at..]
        )),
        None if text.len() > LONGEST => {
            return Err(format!(
                "{} bytes of signs and white space on end; expected at most {LONGEST}",
                text.len()
            ));
        }
        None => out.push_str(text),
    }
    Ok(())
}

/// Writes one tag, with what belongs to it, and returns how long it was.
fn tag(rest: &str, end: &str, blocks: &mut Blocks<'_>, out: &mut String) -> Result<usize, String> {
    if end == "%}" && name(rest) == "raw" {
        return raw(rest, out);
    }
    let (written, length) = statements::tag(rest, end, blocks)?;
    out.push_str(&written);
    Ok(length)
}

/// Writes a raw block as it is, up to the tag that ends it.
fn raw(rest: &str, out: &mut String) -> Result<usize, String> {
    let length = end_of_tag(rest, "%}");
    let tag = &rest[..length];
    out.push_str(tag);
    if rest[length..].starts_with('\n') && !tag.ends_with("-%}") && !tag.ends_with("+%}") {
        // The engine takes one away.
        out.push('\n');
    }
    let body = length_of_raw(&rest[length..]);
    if body > LONGEST {
        return Err(format!("a raw block of {body} bytes; expected at most {LONGEST}"));
    }
    out.push_str(&rest[length..length + body]);
    Ok(length + body)
}

/// Bytes up to the tag that ends a raw block.
fn length_of_raw(body: &str) -> usize {
    let mut from = 0;
    while let Some(at) = body[from..].find("{%") {
        let at = from + at;
        if name(&body[at..at + end_of_tag(&body[at..], "%}")]) == "endraw" {
            return at;
        }
        from = at + 2;
    }
    body.len()
}

/// Bytes up to and with `end`, which does not count inside quoted texts.
fn end_of_tag(tag: &str, end: &str) -> usize {
    let bytes = tag.as_bytes();
    let (mut index, mut quote) = (2, None);
    while index < bytes.len() {
        match (quote, bytes[index]) {
            (Some(_), b'\\') => index += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, _) if bytes[index..].starts_with(end.as_bytes()) => return index + end.len(),
            _ => {}
        }
        index += 1;
    }
    tag.len()
}

/// The first word of a block tag.
fn name(tag: &str) -> &str {
    let inside = tag.get(opening(tag).len()..).unwrap_or_default().trim_start();
    let mut words = inside.split(|character: char| !character.is_alphanumeric() && character != '_');
    words.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn tags_are_rewritten_and_texts_are_not() {
        for (source, want) in [
            ("{% generation %}a{% endgeneration %}", "{% with %}a{% endwith %}"),
            (
                "{%- generation -%}\r\n{%-endgeneration-%}",
                "{%- with -%}\n{%- endwith -%}",
            ),
            (
                "{# {% generation %} #}{{ '{% generation %}' }}",
                "{# {% generation %} #}{{ '{% generation %}' }}",
            ),
            (
                "{% raw %}{% generation %}{{{% endraw %}",
                "{% raw %}{% generation %}{{{% endraw %}",
            ),
            (
                "{% raw %}\na ~ b{%- endraw %}{{ x }}",
                "{% raw %}\n\na ~ b{%- endraw %}{{ x }}",
            ),
            (
                "{% if '%}\\'' == x %}{ {%generation%}",
                "{% if '%}\\''|_eq(x) %}{ {% with %}",
            ),
            (
                "{{ {'a': {'b': 1}}.a }}{% endgeneration %}",
                "{{ {'a': {'b': 1 } }.a }}{% endwith %}",
            ),
            ("a ~ b[::-1] {", "a ~ b[::-1] {"),
            // Lines stay lines.
            ("{{ a\n+ b\n}}", "{{ a|_add(b)\n\n}}"),
        ] {
            assert_eq!(rewrite(source).unwrap(), want);
        }
    }

    #[test]
    fn operators_become_filters_of_what_they_bind_to() {
        for (source, want) in [
            ("a + b * c - d", "a|_add(b|_times(c))|_subtract(d)"),
            ("(a + b) * c", "a|_add(b)|_times(c)"),
            ("(a or b) * c", "(a or b)|_times(c)"),
            ("a ~ b + c ~ d", "a|_joined(b)|_add(c|_joined(d))"),
            ("-a.b|f ** 2", "a.b|_negative|f|_power(2)"),
            ("not a in b", "not a|_in(b)"),
            ("not not a", "not (not a)"),
            ("a < b <= c", "a|_compare('lt', b, 'le', c)"),
            ("a not in b and '' and c", "a|_not_in(b) and '' and c"),
            ("'' and c", "''|_as_is and c"),
            ("('' or 0) and c", "('' or 0)|_as_is and c"),
            ("a[1:].b(c)[0].d", "((a|_slice(1, none)).b(c)|_item(0)).d"),
            ("a['b'].items", "a['b']|_attribute('items')"),
            ("loop.index", "loop.index"),
            (
                "a is divisibleby 3 or b is not none",
                "a is divisibleby(3) or b is not none",
            ),
            ("(a is b)|f", "(a is b)|f"),
            ("a if b else c, d", "_tuple((a if b else c), d)"),
            ("f(*a, b=c ~ 'd', **e)", "f(*a|_each, b=c|_joined('d'), **e)"),
        ] {
            assert_eq!(
                rewrite(&format!("{{{{ {source} }}}}")).unwrap(),
                format!("{{{{ {want} }}}}")
            );
        }
        for (source, told) in [
            ("a\n{{ b", "line 2: a tag without its `}}`"),
            ("{{ a b }}", "line 1: expected the end of the tag, found `b`"),
            ("{% if a b %}", "line 1: `if`: expected the end of the tag, found `b`"),
            ("{# a", "line 1: a comment without its `#}`"),
            ("{{ a[1 }}", "line 1: expected `]`, found `}`"),
            ("{{ a + }}", "line 1: expected a value, found `}}`, the end of the tag"),
            (
                "{% include 'a' %}",
                "line 1: the tag `include` reads another template, and a chat template has none",
            ),
        ] {
            assert_eq!(rewrite(source).unwrap_err(), told);
        }
    }

    #[test]
    fn long_texts_pay_where_nothing_is_taken_away() {
        let words = "word and ".repeat(40);
        let want = format!("{{% if a %}}\n w{{{{ _raw({}) }}}}{}", words.len() + 2, &words[1..]);
        assert_eq!(rewrite(&format!("{{% if a %}}\n {words}")).unwrap(), want);
        assert_eq!(rewrite(&"word ".repeat(50)).unwrap(), "word ".repeat(50));
        assert!(rewrite(&" ".repeat(5000)).is_err());
        assert!(rewrite(&"a".repeat(2 << 20)).is_err());
        assert!(rewrite(&format!("{{% raw %}}{}{{% endraw %}}", "a".repeat(5000))).is_err());
    }
}
