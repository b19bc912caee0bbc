//! From a file's text to templates.

use super::constraint::Constraint;
use super::extra::{HeldOut, apps, held_out_apps, may_change, report};
use super::fields::{Fields, NAME, is_name, list, map, name, one_of, text, time, whole};
use super::parameter::{Domain, Parameter, Word};
use super::pattern::Pattern;
use super::template::{CheckPattern, FileTemplate, StepPattern};
use super::verify::verify;
use super::yaml::{Entry, Node, Value, Wrong, parse, shortened};
use crate::tasks::step;
use std::collections::BTreeMap;
use std::path::Path;

const MOST_TEMPLATES: usize = 1_000;
const MOST_LISTS: usize = 100;
const MOST_WORDS: usize = 1_000;
const MOST_PARAMETERS: usize = 32;
const MOST_ITEMS: usize = 64;
/// Most values of one parameter.
const MOST_VALUES: u64 = 1_000_000_000;
/// Largest number of an integer parameter.
const LARGEST: i64 = 1_000_000_000;

const KEYS: [&str; 19] = [
    "id",
    "category",
    "tags",
    "difficulty",
    "max_turns",
    "split",
    "instructions",
    "parameters",
    "constraints",
    "hidden",
    "goals",
    "setup",
    "precheck",
    "checks",
    "expert",
    "apps",
    "report",
    "may_change",
    "expert_turns",
];

type Lists = BTreeMap<String, Vec<String>>;

/// The templates of the file at `path`, whose text is given, and the apps that it keeps from training.
pub(super) fn templates(path: &Path, text: &str) -> Result<(Vec<FileTemplate>, Vec<HeldOut>), Wrong> {
    let root = parse(text)?;
    let fields = Fields::of(&root, "a file of tasks", &["words", "templates", "held_out_apps"])?;
    let apart = fields.get("held_out_apps").map_or(Ok(Vec::new()), held_out_apps)?;
    let lists = fields.get("words").map_or(Ok(Lists::new()), words)?;
    let nodes = list(fields.need("templates")?, "`templates`", 1, MOST_TEMPLATES)?;
    let read = nodes.iter().map(|node| template(node, path, &lists));
    Ok((read.collect::<Result<_, Wrong>>()?, apart))
}

fn words(node: &Node) -> Result<Lists, Wrong> {
    let entries = map(node, "`words`")?;
    if entries.len() > MOST_LISTS {
        return Err(Wrong::new(node.at, format!("more than {MOST_LISTS} lists of words")));
    }
    let list = |entry: &Entry| {
        named(entry, "a list of words")?;
        let items = list(&entry.value, "a list of words", 1, MOST_WORDS)?;
        let items = items.iter().map(|item| Ok(text(item, "a word")?.to_owned()));
        Ok((entry.key.clone(), items.collect::<Result<_, Wrong>>()?))
    };
    entries.iter().map(list).collect()
}

fn named(entry: &Entry, what: &str) -> Result<(), Wrong> {
    if is_name(&entry.key) {
        return Ok(());
    }
    Err(Wrong::new(
        entry.at,
        format!("{what}: expected {NAME}, got `{}`", shortened(&entry.key)),
    ))
}

fn template(node: &Node, path: &Path, lists: &Lists) -> Result<FileTemplate, Wrong> {
    let fields = Fields::of(node, "a template", &KEYS)?;
    let parameters = match fields.get("parameters") {
        Some(node) => parameters(node, lists)?,
        None => Vec::new(),
    };
    let patterns = |key: &str, least: usize| -> Result<Vec<Pattern>, Wrong> {
        let Some(node) = fields.get(key) else {
            return Ok(Vec::new());
        };
        let what = format!("`{key}`");
        let items = list(node, &what, least, MOST_ITEMS)?.iter();
        items
            .map(|item| Pattern::new(text(item, &what)?, item.at, &parameters))
            .collect()
    };
    fields.need("instructions")?;
    let (instructions, goals, setup) = (
        patterns("instructions", 1)?,
        patterns("goals", 1)?,
        patterns("setup", 1)?,
    );
    let checks_of = |key: &str| {
        fields
            .get(key)
            .map_or(Ok(Vec::new()), |node| checks(node, key, &parameters))
    };
    let (precheck, checks) = (checks_of("precheck")?, checks_of("checks")?);
    let report = fields.get("report").map(|node| report(node, &parameters)).transpose()?;
    let answered = report.as_ref().is_some_and(|report| report.pattern().is_some());
    if goals.is_empty() && checks.is_empty() && !answered {
        let what = "a template needs `goals`, `checks` of its own or the text of a `report`: without them nothing tells \
                    whether it is done";
        return Err(Wrong::new(node.at, what));
    }
    let expert = match fields.get("expert") {
        Some(node) => expert(node, &parameters)?,
        None => Vec::new(),
    };
    let tags = match fields.get("tags") {
        Some(node) => {
            let items = list(node, "`tags`", 0, MOST_ITEMS)?.iter();
            items
                .map(|item| Ok(name(item, "a tag")?.to_owned()))
                .collect::<Result<_, Wrong>>()?
        }
        None => Vec::new(),
    };
    let split = fields
        .get("split")
        .map_or(Ok("train"), |node| one_of(node, "`split`", &["train", "held_out"]))?;
    let constraints_node = fields.get("constraints");
    let constraints = match constraints_node {
        Some(node) => constraints(node, &parameters)?,
        None => Vec::new(),
    };
    let hidden = match fields.get("hidden") {
        Some(node) => hidden(node, &parameters)?,
        None => Vec::new(),
    };
    let mut template = FileTemplate {
        id: name(fields.need("id")?, "`id`")?.to_owned(),
        category: name(fields.need("category")?, "`category`")?.to_owned(),
        tags,
        difficulty: one_of(fields.need("difficulty")?, "`difficulty`", &["easy", "medium", "hard"])?.to_owned(),
        max_turns: whole(fields.need("max_turns")?, "`max_turns`", 1, 1_000)? as usize,
        held_out: split == "held_out",
        held_out_app: false,
        names_apps: fields.get("apps").is_some() || !goals.is_empty(),
        apps: fields.get("apps").map_or(Ok(Vec::new()), apps)?,
        expert_turns: fields
            .get("expert_turns")
            .map(|node| whole(node, "`expert_turns`", 1, 1_000))
            .transpose()?
            .map(|turns| turns as usize),
        may_change: fields.get("may_change").map_or(Ok(Vec::new()), may_change)?,
        report,
        path: path.into(),
        line: fields.at().line,
        at: fields.at(),
        constraints_at: constraints_node.map_or(node.at, |node| node.at),
        instructions,
        parameters,
        constraints,
        hidden,
        goals,
        setup,
        precheck,
        checks,
        expert,
        fitting: Vec::new(),
    };
    verify(&mut template)?;
    Ok(template)
}

/// The steps of an expert. Their words are told apart before parameters are filled in, so that no value can make another
/// step of one.
fn expert(node: &Node, parameters: &[Parameter]) -> Result<Vec<StepPattern>, Wrong> {
    let items = list(node, "`expert`", 1, MOST_ITEMS)?.iter();
    let step = |item: &Node| {
        let wrong = |error: step::StepError| Wrong::new(item.at, error.to_string());
        let words = step::words(text(item, "`expert`")?).map_err(wrong)?;
        let words = words
            .into_iter()
            .map(|word| Ok((Pattern::new(&word.text, item.at, parameters)?, word.quoted)));
        Ok(StepPattern {
            at: item.at,
            words: words.collect::<Result<_, Wrong>>()?,
        })
    };
    items.map(step).collect()
}

fn parameters(node: &Node, lists: &Lists) -> Result<Vec<Parameter>, Wrong> {
    let entries = map(node, "`parameters`")?;
    if entries.len() > MOST_PARAMETERS {
        return Err(Wrong::new(node.at, format!("more than {MOST_PARAMETERS} parameters")));
    }
    let mut all: Vec<Parameter> = Vec::new();
    for entry in entries {
        named(entry, "a parameter")?;
        let domain = domain(&entry.value, lists, &all)?;
        if domain.size() > MOST_VALUES {
            let what = format!(
                "parameter `{}` has more than {MOST_VALUES} values; shorten its lists",
                entry.key
            );
            return Err(Wrong::new(entry.value.at, what));
        }
        all.push(Parameter {
            name: entry.key.clone(),
            domain,
        });
    }
    Ok(all)
}

/// The values of a parameter; `above` are those that stand before it.
fn domain(node: &Node, lists: &Lists, above: &[Parameter]) -> Result<Domain, Wrong> {
    let entries = map(node, "a parameter")?;
    let kinds = "one of `choice`, `integer`, `time`, `text`, `sum`";
    let [entry] = entries else {
        return Err(Wrong::new(
            node.at,
            format!("a parameter: expected {kinds}, got {} keys", entries.len()),
        ));
    };
    let range = || Fields::of(&entry.value, "a range", &["from", "to", "step"]);
    let checked = |from: i64, to: i64, what: &str| match from <= to {
        true => Ok(()),
        false => Err(Wrong::new(entry.value.at, format!("{what}: `from` is more than `to`"))),
    };
    match entry.key.as_str() {
        "choice" => choice(&entry.value),
        "integer" => {
            let fields = range()?;
            let number = |key: &str| whole(fields.need(key)?, "an integer parameter", -LARGEST, LARGEST);
            let (from, to) = (number("from")?, number("to")?);
            let step = fields
                .get("step")
                .map_or(Ok(1), |node| whole(node, "`step`", 1, LARGEST))?;
            checked(from, to, "an integer parameter")?;
            Ok(Domain::Integer { from, to, step })
        }
        "time" => {
            let fields = range()?;
            let (from, to) = (time(fields.need("from")?, "`from`")?, time(fields.need("to")?, "`to`")?);
            let step = fields
                .get("step")
                .map_or(Ok(1), |node| whole(node, "`step` in minutes", 1, 1_440))?;
            checked(from, to, "a time parameter")?;
            Ok(Domain::Time { from, to, step })
        }
        "text" => text_domain(&entry.value, lists),
        "sum" => {
            let part = |item: &Node| {
                let name = name(item, "a parameter")?;
                let is = |one: &Parameter| one.name == name && matches!(one.domain, Domain::Integer { .. });
                let what = || format!("`sum`: `{name}` is no integer parameter that stands above it");
                let found = above.iter().position(is);
                found.ok_or_else(|| Wrong::new(item.at, what()))
            };
            let items = list(&entry.value, "`sum`", 1, MOST_PARAMETERS)?.iter();
            items.map(part).collect::<Result<_, Wrong>>().map(Domain::Sum)
        }
        other => Err(Wrong::new(
            entry.at,
            format!("a parameter: expected {kinds}, got `{}`", shortened(other)),
        )),
    }
}

fn choice(node: &Node) -> Result<Domain, Wrong> {
    let words: Vec<Word> = match &node.value {
        Value::Map(entries) if (1..=MOST_WORDS).contains(&entries.len()) => {
            let word = |entry: &Entry| {
                Ok(Word {
                    value: entry.key.clone(),
                    spoken: text(&entry.value, "the spoken form")?.to_owned(),
                })
            };
            entries.iter().map(word).collect::<Result<_, Wrong>>()?
        }
        _ => {
            let items = list(node, "`choice`", 1, MOST_WORDS)?.iter();
            items
                .map(|item| Ok(Word::plain(text(item, "a choice")?.to_owned())))
                .collect::<Result<_, Wrong>>()?
        }
    };
    for (index, word) in words.iter().enumerate() {
        if words[..index].iter().any(|other| other.value == word.value) {
            return Err(Wrong::new(
                node.at,
                format!("`choice`: `{}` stands there twice", shortened(&word.value)),
            ));
        }
    }
    Ok(Domain::Choice(words))
}

/// `{verb} {noun}`: names of lists in braces, other text as it is.
fn text_domain(node: &Node, lists: &Lists) -> Result<Domain, Wrong> {
    let pattern = text(node, "`text`")?;
    let (mut texts, mut used, mut rest) = (Vec::new(), Vec::new(), pattern);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(Wrong::new(node.at, "`text`: a `{` without its `}`"));
        };
        let known = || {
            let names: Vec<&str> = lists.keys().map(String::as_str).collect();
            let what = format!(
                "no list of words `{}`; lists stand under `words` of the file",
                shortened(name)
            );
            Wrong::new(node.at, format!("{what}, which has: {}", names.join(", ")))
        };
        used.push(lists.get(name).ok_or_else(known)?.clone());
        texts.push(before.to_owned());
        rest = behind;
    }
    texts.push(rest.to_owned());
    if used.is_empty() || used.len() > 8 {
        return Err(Wrong::new(
            node.at,
            "`text`: expected 1 to 8 names of lists in braces, e.g. \"{verb} {noun}\"",
        ));
    }
    Ok(Domain::Text { texts, lists: used })
}

fn checks(node: &Node, key: &str, parameters: &[Parameter]) -> Result<Vec<CheckPattern>, Wrong> {
    let check = |node: &Node| {
        let fields = Fields::of(node, "a check", &["command", "expect", "equals"])?;
        let pattern = |node: &Node, what| Pattern::new(text(node, what)?, node.at, parameters);
        let (expect, equals) = (fields.get("expect"), fields.get("equals"));
        let (wanted, literal) = match (expect, equals) {
            (Some(wanted), None) => (wanted, false),
            (None, Some(wanted)) => (wanted, true),
            _ => {
                let what = "a check needs either `equals` (the whole output) or `expect` (a regular expression for it)";
                return Err(Wrong::new(node.at, what));
            }
        };
        Ok(CheckPattern {
            command: pattern(fields.need("command")?, "`command`")?,
            expect: pattern(wanted, "an expectation")?,
            literal,
        })
    };
    list(node, &format!("`{key}`"), 1, MOST_ITEMS)?
        .iter()
        .map(check)
        .collect()
}

/// Parameters that instructions need not say.
fn hidden(node: &Node, parameters: &[Parameter]) -> Result<Vec<usize>, Wrong> {
    let number = |item: &Node| {
        let name = name(item, "a parameter")?;
        let found = parameters.iter().position(|parameter| parameter.name == name);
        found.ok_or_else(|| Wrong::new(item.at, format!("`hidden` names `{name}`, which is no parameter")))
    };
    list(node, "`hidden`", 1, MOST_ITEMS)?.iter().map(number).collect()
}

fn constraints(node: &Node, parameters: &[Parameter]) -> Result<Vec<Constraint>, Wrong> {
    let items = list(node, "`constraints`", 0, MOST_ITEMS)?;
    items.iter().map(|item| constraint(item, parameters)).collect()
}

fn constraint(node: &Node, parameters: &[Parameter]) -> Result<Constraint, Wrong> {
    let kinds = "one of `different: [a, b]`, `ascending: [a, b]`, `not: {a: value, b: value}`";
    let [entry] = map(node, "a constraint")? else {
        return Err(Wrong::new(node.at, format!("a constraint: expected {kinds}")));
    };
    let find = |name: &str, at| {
        let found = parameters.iter().position(|parameter| parameter.name == name);
        found.ok_or_else(|| {
            Wrong::new(
                at,
                format!("no parameter `{}`; declare it under `parameters`", shortened(name)),
            )
        })
    };
    let these = || -> Result<Vec<usize>, Wrong> {
        let items = list(&entry.value, "a constraint", 2, MOST_PARAMETERS)?.iter();
        items.map(|item| find(text(item, "a parameter")?, item.at)).collect()
    };
    match entry.key.as_str() {
        "different" => Ok(Constraint::Different(these()?)),
        "ascending" => {
            let these = these()?;
            let kind = |index: &usize| std::mem::discriminant(&parameters[*index].domain);
            let alike = these
                .iter()
                .all(|index| parameters[*index].domain.ordered() && kind(index) == kind(&these[0]));
            match alike {
                true => Ok(Constraint::Ascending(these)),
                false => Err(Wrong::new(
                    entry.at,
                    "`ascending` compares integers with integers, or times with times",
                )),
            }
        }
        "not" => {
            let pairs = map(&entry.value, "`not`")?.iter().map(|pair| {
                let index = find(&pair.key, pair.at)?;
                let value = text(&pair.value, "`not`")?.to_owned();
                let domain = &parameters[index].domain;
                let known = matches!(domain, Domain::Choice(words) if words.iter().any(|word| word.value == value));
                match known {
                    true => Ok((index, value)),
                    false => Err(Wrong::new(
                        pair.value.at,
                        format!("`{}` is no choice of `{}`", shortened(&value), pair.key),
                    )),
                }
            });
            Ok(Constraint::Not(pairs.collect::<Result<_, Wrong>>()?))
        }
        other => Err(Wrong::new(
            entry.at,
            format!("a constraint: expected {kinds}, got `{}`", shortened(other)),
        )),
    }
}
