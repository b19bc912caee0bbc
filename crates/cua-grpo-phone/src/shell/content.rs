//! `content query|insert|update|delete`.

use super::{line::ShellOutput, people::Row, replies::flag, tables::Kind};
use crate::Phone;

/// Runs a command on a provider.
pub fn content(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let [verb, rest @ ..] = arguments else {
        return ShellOutput::fail(1, "usage: adb shell content [subcommand] [options]");
    };
    let Some(uri) = flag(rest, "--uri") else {
        return ShellOutput::fail(
            1,
            "[ERROR] Content provider URI not specified. Did you specify --uri argument?",
        );
    };
    let provider = uri
        .trim_start_matches("content://")
        .split('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let error = |what: &str| ShellOutput {
        stderr: format!("Error while accessing provider:{provider}\njava.lang.{what}\n"),
        ..ShellOutput::default()
    };
    let Some((kind, id)) = Kind::of(uri) else {
        return error(&format!("IllegalStateException: Could not find provider: {provider}"));
    };
    let condition = match flag(rest, "--where").map(Condition::read) {
        Some(Err(message)) => return error(&format!("IllegalArgumentException: {message}")),
        Some(Ok(condition)) => condition,
        None => Condition::default(),
    };
    let mut rows = kind.rows(phone.state());
    rows.retain(|row| condition.holds(row) && id.is_none_or(|id| column(row, "_id") == Some(id.to_string().as_str())));
    match *verb {
        "query" => query(rest, rows, &error),
        "insert" | "update" => {
            let values = match binds(rest) {
                Ok(values) => values,
                Err(message) => return ShellOutput::fail(1, format!("[ERROR] {message}")),
            };
            let targets: Vec<Option<u32>> = if *verb == "insert" {
                vec![None]
            } else {
                rows.iter()
                    .filter_map(|row| column(row, "_id")?.parse().ok())
                    .map(Some)
                    .collect()
            };
            for target in targets {
                if let Err(message) = kind.write(phone.state_mut(), target, &values) {
                    return error(&message);
                }
            }
            ShellOutput::default()
        }
        "delete" => {
            // From the end, because the numbers of some rows follow from their order.
            for row in rows.iter().rev() {
                if let Some(id) = column(row, "_id").and_then(|id| id.parse().ok()) {
                    kind.delete(phone.state_mut(), id);
                }
            }
            ShellOutput::default()
        }
        other => ShellOutput::fail(1, format!("[ERROR] Unsupported operation: {other}")),
    }
}

fn column<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.iter()
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.as_deref())
}

fn query(rest: &[&str], mut rows: Vec<Row>, error: &dyn Fn(&str) -> ShellOutput) -> ShellOutput {
    if let Some(sort) = flag(rest, "--sort") {
        for part in sort.split(',').rev() {
            let mut words = part.split_whitespace();
            let (name, down) = (
                words.next().unwrap_or_default(),
                words.next().is_some_and(|word| word.eq_ignore_ascii_case("desc")),
            );
            rows.sort_by(|a, b| {
                let (a, b) = (column(a, name), column(b, name));
                let order = match (
                    a.and_then(|a| a.parse::<i64>().ok()),
                    b.and_then(|b| b.parse::<i64>().ok()),
                ) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    _ => a.cmp(&b),
                };
                if down { order.reverse() } else { order }
            });
        }
    }
    let wanted: Option<Vec<&str>> = flag(rest, "--projection").map(|text| text.split(':').collect());
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = match &wanted {
            None => row.iter().map(|(key, value)| cell(key, value.as_deref())).collect(),
            Some(names) => {
                if let Some(name) = names.iter().find(|name| !row.iter().any(|(key, _)| key == *name)) {
                    return error(&format!("IllegalArgumentException: Invalid column {name}"));
                }
                names.iter().map(|name| cell(name, column(row, name))).collect()
            }
        };
        out.push_str(&format!("Row: {index} {}\n", cells.join(", ")));
    }
    ShellOutput::ok(if out.is_empty() {
        "No result found.\n".to_owned()
    } else {
        out
    })
}

fn cell(name: &str, value: Option<&str>) -> String {
    format!("{name}={}", value.unwrap_or("NULL"))
}

/// The values of `--bind COLUMN:TYPE:VALUE`.
fn binds(rest: &[&str]) -> Result<Vec<(String, Option<String>)>, String> {
    let pairs = rest.windows(2).filter(|pair| pair[0] == "--bind");
    pairs
        .map(|pair| {
            let mut parts = pair[1].splitn(3, ':');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(name), Some("s" | "b" | "i" | "l" | "f" | "d"), Some(value)) => {
                    Ok((name.to_owned(), Some(value.to_owned())))
                }
                (Some(name), Some("n"), _) => Ok((name.to_owned(), None)),
                _ => Err(format!("Binding not well formed: {}", pair[1])),
            }
        })
        .collect()
}

/// Comparisons that all must hold.
#[derive(Debug, Default)]
struct Condition(Vec<(String, String, String)>);

impl Condition {
    /// Reads `a=1 AND b LIKE 'x%'`.
    fn read(text: &str) -> Result<Self, String> {
        let mut list = Vec::new();
        for part in split_and(text) {
            let part = part.trim();
            let lower = part.to_lowercase();
            let found = [">=", "<=", "!=", "=", ">", "<"]
                .into_iter()
                .filter_map(|sign| Some((part.find(sign)?, sign)))
                .min_by_key(|(at, sign)| (*at, std::cmp::Reverse(sign.len())));
            let (name, sign, value) = match (lower.find(" like "), found) {
                (Some(at), _) => (&part[..at], "like", &part[at + 6..]),
                (None, Some((at, sign))) => (&part[..at], sign, &part[at + sign.len()..]),
                (None, None) => return Err(format!("no comparison in {part:?}")),
            };
            list.push((
                name.trim().to_owned(),
                sign.to_owned(),
                value.trim().trim_matches(['\'', '"']).to_owned(),
            ));
        }
        Ok(Self(list))
    }

    fn holds(&self, row: &Row) -> bool {
        self.0.iter().all(|(name, sign, wanted)| {
            let Some(value) = column(row, name) else {
                return false;
            };
            let numbers = value.parse::<f64>().ok().zip(wanted.parse::<f64>().ok());
            match (sign.as_str(), numbers) {
                ("=", _) => value == wanted,
                ("!=", _) => value != wanted,
                ("like", _) => like(&wanted.to_lowercase(), &value.to_lowercase()),
                (">", Some((a, b))) => a > b,
                ("<", Some((a, b))) => a < b,
                (">=", Some((a, b))) => a >= b,
                ("<=", Some((a, b))) => a <= b,
                _ => false,
            }
        })
    }
}

/// Parts between `AND`s outside of quotes.
fn split_and(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted) = (Vec::new(), String::new(), false);
    for word in text.split(' ') {
        if !quoted && word.eq_ignore_ascii_case("and") {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        quoted ^= word.matches('\'').count() % 2 == 1;
        part.push_str(word);
        part.push(' ');
    }
    parts.push(part);
    parts
}

fn like(pattern: &str, value: &str) -> bool {
    let parts: Vec<&str> = pattern.split('%').collect();
    let Some((first, rest)) = parts.split_first() else {
        return value.is_empty();
    };
    let Some(mut left) = value.strip_prefix(first) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return left.is_empty();
    };
    for part in middle {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}
