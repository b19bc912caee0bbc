//! Whether a check asks for what has become of a row of a table.

use super::looks::Look;
use crate::tasks::Check;
use crate::validate::matches;

/// Letters of a value that a check is taken to name where it has it.
const SHORTEST: usize = 3;

/// A row with its columns.
pub(super) type Cells = Vec<(&'static str, String)>;

/// Whether `check` asks for a row that was `before` and is `after`.
///
/// A check that reads another list asks for the things that it names. One that reads this table asks for the rows that its
/// condition chooses, and else for those that it expects; one that counts asks for all.
pub(super) fn is_asked(look: &Look, before: Option<&Cells>, after: Option<&Cells>, check: &Check) -> bool {
    let plain = check.expect.replace('\\', "");
    let rows = || before.into_iter().chain(after);
    if !look.is_read_by(&check.command) {
        return rows().any(|row| mentioned(look, row, check, &plain));
    }
    if check.command.contains("wc -l") {
        return true;
    }
    if let Some(condition) = condition(&check.command) {
        return rows().any(|row| holds(condition, row) || mentioned(look, row, check, &plain));
    }
    let columns = projection(look, &check.command);
    let text = |row: &Cells| -> Option<String> {
        let cell = |column: &&str| {
            let (name, value) = row.iter().find(|(name, _)| name == column)?;
            Some(format!("{name}={value}"))
        };
        columns
            .iter()
            .map(cell)
            .collect::<Option<Vec<_>>>()
            .map(|cells| cells.join(", "))
    };
    // The whole list is told, so what is not on it is to go.
    let whole = plain.starts_with("Row:") || plain.starts_with("No result");
    match (before.and_then(text), after.and_then(text)) {
        (_, Some(new)) => matches(&check.expect, &format!("Row: 0 {new}")).unwrap_or(false) || has(&plain, &new),
        (Some(old), None) => whole && !has(&plain, &old),
        (None, None) => true,
    }
}

/// Whether a check names a row by one of its words.
fn mentioned(look: &Look, row: &Cells, check: &Check, plain: &str) -> bool {
    named(look, row).any(|word| check.command.contains(&word) || plain.contains(&word))
}

/// Whether `check` finds a file: it names it, or looks through its folder for names like its own.
pub(super) fn is_found(path: &str, check: &Check) -> bool {
    let Some(folder) = flag(&check.command, "find") else {
        return false;
    };
    let within = path.strip_prefix(folder.trim_end_matches('/'));
    let pattern = flag(&check.command, "-name").unwrap_or("*");
    let fits = match pattern.strip_prefix('*') {
        Some(end) => path.ends_with(end),
        None => path.rsplit('/').next() == Some(pattern),
    };
    within.is_some_and(|rest| rest.starts_with('/')) && fits
}

/// Whether a text has a row, and not a longer one that begins so.
fn has(text: &str, row: &str) -> bool {
    let ends = |rest: &str| rest.chars().next().is_none_or(|next| "\n$()|".contains(next));
    !row.is_empty() && text.match_indices(row).any(|(at, _)| ends(&text[at + row.len()..]))
}

/// The words by which a check may name a row.
fn named<'a>(look: &'a Look, row: &'a Cells) -> impl Iterator<Item = String> + 'a {
    let value = |name: &str| {
        row.iter()
            .find(|(column, _)| *column == name)
            .map(|(_, value)| value.as_str())
    };
    let telling = look.telling.iter().filter_map(move |name| value(name));
    let lines = telling
        .flat_map(str::lines)
        .map(|line| line.trim_start_matches(['[', 'x', ' ', ']']));
    let words = lines
        .filter(|line| line.len() >= SHORTEST && *line != "NULL")
        .map(str::to_owned);
    let time = || {
        let (hour, minute) = (
            value("hour")?.parse::<u32>().ok()?,
            value("minutes")?.parse::<u32>().ok()?,
        );
        Some(format!("{hour}:{minute:02}"))
    };
    words.chain(time())
}

/// What stands behind a flag: a word, or a text in quotes.
fn flag<'a>(command: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = command.split_once(&format!("{name} "))?;
    let quote = rest.chars().next().filter(|first| ['\'', '"'].contains(first));
    match quote {
        Some(quote) => rest[1..].split(quote).next(),
        None => rest.split(' ').next(),
    }
}

fn projection<'a>(look: &Look, command: &'a str) -> Vec<&'a str>
where
    'static: 'a,
{
    match flag(command, "--projection") {
        Some(names) => names.split(':').collect(),
        None => look.columns.to_vec(),
    }
}

fn condition(command: &str) -> Option<&str> {
    flag(command, "--where")
}

/// Whether a row is as a condition wants it. What cannot be told here does not speak against it.
fn holds(condition: &str, row: &Cells) -> bool {
    condition.split(" AND ").all(|part| {
        let Some((name, wanted)) = part.split_once('=') else {
            return true;
        };
        let cell = row.iter().find(|(column, _)| *column == name.trim());
        let wanted = wanted.trim().trim_matches(['\'', '"']);
        cell.is_none_or(|(_, value)| wanted.contains("$((") || value == wanted)
    })
}
