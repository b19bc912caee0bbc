//! Tags: what each word that starts one may be followed by.

use super::lexer::{Kind, opening, tokens};
use super::parser::{Parser, Read};

/// Most tokens of a tag.
const MOST_TOKENS: usize = 4096;

/// The tag `{{ ... }}` or `{% ... %}` that `source` starts with, written for the engine, and how many bytes it has.
///
/// # Errors
/// What is wrong with it.
pub(super) fn tag(source: &str, end: &str) -> Read<(String, usize)> {
    let (tokens, length) = tokens(source, end, MOST_TOKENS)?;
    let mut parser = Parser::new(tokens);
    let written = match end {
        "}}" => parser.tuple(true)?.text,
        _ => statement(&mut parser)?,
    };
    let close = match parser.next() {
        Kind::End(close) => close,
        other => return Err(format!("expected the end of the tag, found {other}")),
    };
    // Lines are counted in the engine's errors.
    let lines = source[..length].matches('\n').count();
    let space = if lines == 0 { " ".to_owned() } else { "\n".repeat(lines) };
    Ok((format!("{} {written}{space}{close}", opening(source)), length))
}

fn statement(parser: &mut Parser<'_>) -> Read<String> {
    let word = parser.name()?;
    let written = match word {
        "if" | "elif" => format!("{word} {}", parser.tuple(false)?.text),
        "for" => each(parser)?,
        "set" => set(parser)?,
        "macro" => {
            let name = parser.name()?;
            format!("macro {name}{}", signature(parser)?)
        }
        "call" => {
            let given = if parser.at_sign("(") {
                signature(parser)?
            } else {
                String::new()
            };
            format!("call{given} {}", parser.expression()?.text)
        }
        "filter" => format!("filter {}", parser.filters()?),
        "with" => with(parser)?,
        "generation" => "with".to_owned(),
        "endgeneration" => "endwith".to_owned(),
        "block" => format!("block {}", parser.name()?),
        "endblock" => match parser.peek() {
            Kind::Name(_) => format!("endblock {}", parser.name()?),
            _ => "endblock".to_owned(),
        },
        "else" | "endif" | "endfor" | "endset" | "endmacro" | "endcall" | "endfilter" | "endwith" | "endraw"
        | "break" | "continue" => word.to_owned(),
        "include" | "import" | "from" | "extends" => {
            return Err(format!(
                "the tag `{word}` reads another template, and a chat template has none"
            ));
        }
        "print" => return Err("the tag `print`: write `{{ ... }}` in its place".to_owned()),
        other => return Err(format!("a tag that is not known: `{other}`")),
    };
    match parser.peek() {
        Kind::End(_) => Ok(written),
        other => Err(format!("`{word}`: expected the end of the tag, found {other}")),
    }
}

fn each(parser: &mut Parser<'_>) -> Read<String> {
    let target = targets(parser)?;
    if !parser.skip_word("in") {
        return Err(format!("`for`: expected `in`, found {}", parser.peek()));
    }
    let over = parser.tuple(false)?.filter("_each").text;
    let mut written = format!("for {target} in {over}");
    if parser.skip_word("if") {
        written = format!("{written} if {}", parser.expression()?.text);
    }
    if parser.skip_word("recursive") {
        written.push_str(" recursive");
    }
    Ok(written)
}

fn set(parser: &mut Parser<'_>) -> Read<String> {
    let target = targets(parser)?;
    if parser.skip_sign("=") {
        return Ok(format!("set {target} = {}", parser.tuple(true)?.text));
    }
    Ok(match parser.skip_sign("|") {
        true => format!("set {target} | {}", parser.filters()?),
        false => format!("set {target}"),
    })
}

/// What is assigned to: names, attributes of namespaces, and several in brackets or without.
fn targets(parser: &mut Parser<'_>) -> Read<String> {
    let mut written = target(parser)?;
    while parser.skip_sign(",") {
        if parser.at_word("in") || matches!(parser.peek(), Kind::Sign("=" | ")")) {
            written.push(',');
            break;
        }
        written = format!("{written}, {}", target(parser)?);
    }
    Ok(written)
}

fn target(parser: &mut Parser<'_>) -> Read<String> {
    if parser.skip_sign("(") {
        parser.down()?;
        let inside = targets(parser)?;
        parser.expect(")")?;
        parser.up();
        return Ok(format!("({inside})"));
    }
    let name = parser.name()?;
    Ok(match parser.skip_sign(".") {
        true => format!("{name}.{}", parser.name()?),
        false => name.to_owned(),
    })
}

/// Parameters with their defaults, in round brackets.
fn signature(parser: &mut Parser<'_>) -> Read<String> {
    parser.expect("(")?;
    let parameters = parser.items(")", |parser| {
        let name = parser.name()?;
        Ok(match parser.skip_sign("=") {
            true => format!("{name}={}", parser.expression()?.text),
            false => name.to_owned(),
        })
    })?;
    Ok(format!("({parameters})"))
}

fn with(parser: &mut Parser<'_>) -> Read<String> {
    let mut parts = Vec::new();
    while !matches!(parser.peek(), Kind::End(_)) {
        if !parts.is_empty() {
            parser.expect(",")?;
        }
        let target = target(parser)?;
        parser.expect("=")?;
        parts.push(format!("{target} = {}", parser.expression()?.text));
    }
    Ok(format!("with {}", parts.join(", ")))
}
