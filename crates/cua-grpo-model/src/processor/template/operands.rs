//! Expressions inside a tag: operands of `~` become texts, `[::-1]` and `'...' % x` become filters.
//!
//! The filter `string` binds to the operand that it follows. Where that is a factor of a product or has a sign, or a test
//! follows, the operand is left as it is: what comes out is a number or a truth value, which the engine writes as Python.

/// The filter that stands for `[::-1]`.
pub(super) const REVERSED: &str = "_reversed";
/// The function that stands for round brackets around several values.
pub(super) const TUPLE: &str = "_tuple";

/// One token: what it is, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) depth: usize,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether an operand can end with this token.
    pub(super) fn is_value(&self) -> bool {
        let first = self.text.chars().next().unwrap_or_default();
        let word = first.is_alphanumeric() || matches!(first, '_' | '"' | '\'' | ')' | ']' | '}');
        word && !["and", "or", "not", "in", "is", "if", "else", "elif"].contains(&self.text)
    }
}

/// The tag with its expressions rewritten.
pub(super) fn rewrite(tag: &str) -> String {
    let inside = tag.get(2..tag.len().saturating_sub(2)).unwrap_or_default();
    if !inside.contains(['~', '%', ',']) && !inside.contains("-1") {
        return tag.to_owned();
    }
    let tokens = tokens(tag);
    // Where something is put, and how much is taken away there.
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let mut text_at = |end: usize| {
        if !edits.iter().any(|(at, _, _)| *at == end) {
            edits.push((end, 0, "|string".to_owned()));
        }
    };
    for (index, token) in tokens.iter().enumerate() {
        if token.text == "~" {
            if let Some(end) = left_operand(&tokens, index) {
                text_at(end);
            }
            if let Some(end) = right_operand(&tokens, index) {
                text_at(end);
            }
        }
    }
    for (index, token) in tokens.iter().enumerate().skip(1) {
        let format = &tokens[index - 1];
        if token.text != "%" || !is_quoted(format.text) {
            continue;
        }
        if let (Some(first), Some(end)) = (tokens.get(index + 1), right_operand(&tokens, index)) {
            // Several values come in round brackets, which are those of the filter then.
            let bare = first.text != "(";
            let open = if bare { "|format(" } else { "|format" };
            edits.push((format.end(), first.start - format.end(), open.to_owned()));
            if bare {
                edits.push((end, 0, ")".to_owned()));
            }
        }
    }
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "(") {
        let before = index.checked_sub(1).map(|before| tokens[before]);
        let format = index > 1 && tokens[index - 1].text == "%" && is_quoted(tokens[index - 2].text);
        // After a value they hold what it is called with; after `for` and `set` names.
        if format || before.is_some_and(|before| before.is_value()) {
            continue;
        }
        let mut inside = tokens[index + 1..]
            .iter()
            .take_while(|inner| inner.depth > token.depth || (inner.depth == token.depth && inner.text != ")"));
        if inside.any(|inner| inner.text == "," && inner.depth == token.depth) {
            edits.push((token.start, 0, TUPLE.to_owned()));
        }
    }
    for window in tokens.windows(6) {
        let texts: Vec<&str> = window[..6].iter().map(|token| token.text).collect();
        if texts[1..] == ["[", ":", ":", "-", "1"] && window[0].is_value() {
            let close = tokens.iter().find(|token| token.start >= window[5].end());
            let Some(close) = close.filter(|token| token.text == "]") else {
                continue;
            };
            let next = tokens.iter().find(|token| token.start >= close.end());
            if next.is_none_or(|next| ![".", "[", "("].contains(&next.text)) {
                edits.push((window[1].start, close.end() - window[1].start, format!("|{REVERSED}")));
            }
        }
    }
    edits.sort_by_key(|edit| edit.0);
    let (mut out, mut from) = (String::new(), 0);
    for (at, length, text) in edits {
        out.push_str(&tag[from..at]);
        out.push_str(&text);
        from = at + length;
    }
    out + &tag[from..]
}

/// The end of the operand before the token `index`, where it may be followed by a filter.
pub(super) fn left_operand(tokens: &[Token<'_>], index: usize) -> Option<usize> {
    let depth = tokens[index].depth;
    let last = tokens[..index].last().filter(|token| token.is_value())?;
    // Back over the operand: values, dots, bars and what is inside brackets, to the operator before it.
    let mut value_follows = false;
    for token in tokens[..index].iter().rev() {
        if token.depth > depth {
            // In brackets: a group, or what a value before it is called or indexed with.
            value_follows = false;
            continue;
        }
        if token.depth < depth {
            break;
        }
        match token.text {
            "*" | "/" | "//" | "%" | "**" | "-" | "is" => return None,
            "." | "|" => value_follows = false,
            _ if token.is_value() && value_follows => break,
            _ if token.is_value() => value_follows = true,
            _ => break,
        }
    }
    Some(last.end())
}

/// The end of the operand after the token `index`, where it may be followed by a filter.
pub(super) fn right_operand(tokens: &[Token<'_>], index: usize) -> Option<usize> {
    let depth = tokens[index].depth;
    let mut rest = tokens[index + 1..].iter().peekable();
    let first = rest.peek()?;
    if !first.is_value() && !matches!(first.text, "(" | "[" | "{") {
        return None;
    }
    let (mut end, mut expects, mut bar) = (None, true, false);
    for token in rest {
        if token.depth > depth {
            end = Some(token.end());
            expects = false;
            continue;
        }
        if token.depth < depth {
            break;
        }
        match token.text {
            "." => expects = true,
            "|" => (expects, bar) = (true, true),
            "*" | "/" | "//" | "%" | "**" | "is" => return None,
            _ if token.is_value() && (expects || (is_quoted(token.text) && !bar)) => {
                end = Some(token.end());
                expects = false;
            }
            _ => break,
        }
    }
    end
}

pub(super) fn is_quoted(text: &str) -> bool {
    text.starts_with(['"', '\''])
}

/// The tokens between the delimiters of a tag. Brackets stand one level deeper than what is around them.
pub(super) fn tokens(tag: &str) -> Vec<Token<'_>> {
    let bytes = tag.as_bytes();
    let control = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        usize::from(matches!(byte, Some(b'-' | b'+')))
    };
    let end = tag.len().saturating_sub(2 + control(tag.len().checked_sub(3)));
    let (mut tokens, mut depth, mut index) = (Vec::new(), 0_usize, 2 + control(Some(2)));
    while index < end {
        let start = index;
        let byte = bytes[index];
        match byte {
            byte if byte.is_ascii_whitespace() => {
                index += 1;
                continue;
            }
            b'"' | b'\'' => {
                index += 1;
                while index < end && bytes[index] != byte {
                    index += if bytes[index] == b'\\' { 2 } else { 1 };
                }
                index = (index + 1).min(end);
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 => {
                let number = byte.is_ascii_digit();
                let inside = |index: usize| {
                    let byte = bytes[index];
                    let dot = number && byte == b'.' && bytes.get(index + 1).is_some_and(u8::is_ascii_digit);
                    let sign = number && matches!(byte, b'+' | b'-') && matches!(bytes[index - 1], b'e' | b'E');
                    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 || dot || sign
                };
                while index < end && inside(index) {
                    index += 1;
                }
            }
            _ => {
                let two = ["//", "**", "==", "!=", "<=", ">="];
                index += if tag.get(index..index + 2).is_some_and(|pair| two.contains(&pair)) {
                    2
                } else {
                    1
                };
            }
        }
        let text = tag.get(start..index).unwrap_or_default();
        if matches!(text, "(" | "[" | "{") {
            depth += 1;
        }
        tokens.push(Token { text, start, depth });
        if matches!(text, ")" | "]" | "}") {
            depth = depth.saturating_sub(1);
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn operands_become_texts_where_a_filter_may_follow() {
        for (tag, want) in [
            ("{{ a ~ b }}", "{{ a|string ~ b|string }}"),
            (
                "{{ 'x' ~ m.a[0].f(1, 'c ~ d') ~ [1] }}",
                "{{ 'x'|string ~ m.a[0].f(1, 'c ~ d')|string ~ [1]|string }}",
            ),
            (
                "{{ a | f(b ~ c) ~ d|g }}",
                "{{ a | f(b|string ~ c|string)|string ~ d|g|string }}",
            ),
            ("{{- a ~ f(1) -}}", "{{- a|string ~ f(1)|string -}}"),
            ("{{ a * f(1) ~ (b) }}", "{{ a * f(1) ~ (b)|string }}"),
            ("{{ a * 2 ~ b }}", "{{ a * 2 ~ b|string }}"),
            ("{{ a ~ b * 2 }}", "{{ a|string ~ b * 2 }}"),
            ("{{ a ~ -1 }}", "{{ a|string ~ -1 }}"),
            ("{{ x + a ~ b + y }}", "{{ x + a|string ~ b|string + y }}"),
            (
                "{{ a ~ b if c else d ~ e }}",
                "{{ a|string ~ b|string if c else d|string ~ e|string }}",
            ),
            ("{{ a is defined ~ b }}", "{{ a is defined ~ b|string }}"),
            (
                "{{ (a ~ b) ~ c, d }}",
                "{{ (a|string ~ b|string)|string ~ c|string, d }}",
            ),
            (
                "{%- set x = a ~ {'k': b}.k -%}",
                "{%- set x = a|string ~ {'k': b}.k|string -%}",
            ),
            ("{{ a ~ 1.5 ~ 1e-7 }}", "{{ a|string ~ 1.5|string ~ 1e-7|string }}"),
            ("{% if not a ~ b == c %}", "{% if not a|string ~ b|string == c %}"),
            ("{{ '%s: %d' % (a, b) ~ c }}", "{{ '%s: %d'|format(a, b) ~ c|string }}"),
            ("{{ '%s' % a.b | trim + c }}", "{{ '%s'|format(a.b | trim) + c }}"),
            ("{{ 7 % 3 }}", "{{ 7 % 3 }}"),
            ("{% for m in messages[::-1] %}", "{% for m in messages|_reversed %}"),
            (
                "{{ x[::-1][0] ~ y[1:][::-1] }}",
                "{{ x[::-1][0]|string ~ y[1:]|_reversed|string }}",
            ),
            ("{{ '~' + a[: :-1] }}", "{{ '~' + a|_reversed }}"),
        ] {
            assert_eq!(rewrite(tag), want, "{tag}");
        }
    }
}
