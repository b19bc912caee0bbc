//! Tags: what each word that starts one may be followed by.

use super::blocks::Blocks;
use super::lexer::{Kind, opening, tokens};
use super::parser::{Parser, Read, TUPLE};

/// Most tokens of a tag.
const MOST_TOKENS: usize = 4096;

/// The tag `{{ ... }}` or `{% ... %}` that `source` starts with, written for the engine, and how many bytes it has. It stands
/// inside `blocks`, and may open or close one.
///
/// # Errors
/// What is wrong with it.
pub(super) fn tag(source: &str, end: &str, blocks: &mut Blocks<'_>) -> Read<(String, usize)> {
    let (tokens, length) = tokens(source, end, MOST_TOKENS)?;
    let mut parser = Parser::new(tokens, blocks.macros());
    let written = match end {
        "}}" => parser.tuple(true)?.text,
        _ => statement(&mut parser, blocks)?,
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

fn statement(parser: &mut Parser<'_>, blocks: &mut Blocks<'_>) -> Read<String> {
    let word = parser.name()?;
    let written = match word {
        "if" | "elif" => format!("{word} {}", parser.tuple(false)?.text),
        "for" => each(parser)?,
        "set" => set(parser, blocks)?,
        "macro" => {
            let name = parser.name()?;
            format!("macro {name}{}", parameters(name, parser, blocks)?)
        }
        "call" => {
            let given = if parser.at_sign("(") {
                signature(&declared(parser)?)
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
        Kind::End(_) => blocks.pass(word, written),
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

fn set(parser: &mut Parser<'_>, blocks: &mut Blocks<'_>) -> Read<String> {
    let target = targets(parser)?;
    if parser.skip_sign("=") {
        return Ok(format!("set {target} = {}", parser.tuple(true)?.text));
    }
    blocks.capture();
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

/// Parameters with their defaults.
type Parameters = Vec<(String, Option<String>)>;

fn declared(parser: &mut Parser<'_>) -> Read<Parameters> {
    parser.expect("(")?;
    let mut parameters = Parameters::new();
    parser.items(")", |parser| {
        let name = parser.name()?.to_owned();
        let default = match parser.skip_sign("=") {
            true => Some(parser.expression()?.text),
            false => None,
        };
        parameters.push((name, default));
        Ok(String::new())
    })?;
    Ok(parameters)
}

/// Parameters as the engine takes them, in round brackets.
fn signature(parameters: &[(String, Option<String>)]) -> String {
    let parts = parameters.iter().map(|(name, default)| match default {
        Some(default) => format!("{name}={default}"),
        None => name.clone(),
    });
    format!("({})", parts.collect::<Vec<_>>().join(", "))
}

/// The parameters of a macro. Where one has a default, the body sets them in their order: a default may name those before it,
/// and stands for what is not given, not for what is given and undefined.
fn parameters(name: &str, parser: &mut Parser<'_>, blocks: &mut Blocks<'_>) -> Read<String> {
    let parameters = declared(parser)?;
    if parameters.iter().any(|(_, default)| default.is_some()) {
        blocks.found(name);
    }
    if !blocks.macros().contains(name) {
        return Ok(signature(&parameters));
    }
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let mut written = format!("({})", names.join(", "));
    for (name, default) in &parameters {
        let value = match default {
            Some(default) => format!("({default}) if {name} is undefined else {name}|_given"),
            None => format!("{name}|_given"),
        };
        written.push_str(&format!(" %}}{{% set {name} = {value}"));
    }
    Ok(written)
}

/// Targets with their values, which see none of the targets.
fn with(parser: &mut Parser<'_>) -> Read<String> {
    let (mut targets, mut values) = (Vec::new(), Vec::new());
    while !matches!(parser.peek(), Kind::End(_)) {
        if !targets.is_empty() {
            parser.expect(",")?;
        }
        targets.push(target(parser)?);
        parser.expect("=")?;
        values.push(parser.expression()?.text);
    }
    Ok(match (targets.as_slice(), values.as_slice()) {
        ([], _) => "with".to_owned(),
        ([target], [value]) => format!("with {target} = {value}"),
        _ => format!("with ({}) = {TUPLE}({})", targets.join(", "), values.join(", ")),
    })
}
