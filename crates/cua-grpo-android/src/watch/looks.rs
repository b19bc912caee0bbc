//! What is looked at on each kind of phone, and the rows of a content provider as `content query` prints them.

use crate::PhoneKind;
use std::iter::once;

/// A list that is looked at.
#[derive(Debug)]
pub(super) struct Look {
    /// The kind of things in it, e.g. `alarm`.
    pub kind: &'static str,
    /// The command that lists them, a thing a line.
    command: &'static str,
    /// The columns of the rows of a provider, whose address is `command` then; the first tells one thing from another.
    pub columns: &'static [&'static str],
    /// Columns of words by which a check may name a thing.
    pub telling: &'static [&'static str],
}

const fn list(kind: &'static str, command: &'static str) -> Look {
    Look {
        kind,
        command,
        columns: &[],
        telling: &[],
    }
}

const fn table(
    kind: &'static str,
    address: &'static str,
    columns: &'static [&'static str],
    telling: &'static [&'static str],
) -> Look {
    Look {
        kind,
        command: address,
        columns,
        telling,
    }
}

/// What every phone has.
const LISTS: [Look; 5] = [
    list("setting system", "settings list system"),
    list("setting secure", "settings list secure"),
    list("setting global", "settings list global"),
    list("package", "pm list packages"),
    list("file", "find /sdcard -type f"),
];
const SMALL: [Look; 2] = [
    table("alarm", "content://alarms", &["time", "enabled"], &["time"]),
    table("note", "content://notes", &["text"], &["text"]),
];
/// Providers of Android, then tables that the simulated phone alone has. Whether something was read does not count.
const PIXEL: [Look; 13] = [
    table(
        "contact",
        "content://com.android.contacts/raw_contacts",
        &["_id", "display_name", "starred"],
        &["display_name"],
    ),
    table(
        "contact entry",
        "content://com.android.contacts/data",
        &["_id", "mimetype", "data1", "display_name"],
        &["display_name", "data1"],
    ),
    table(
        "message",
        "content://sms",
        &["_id", "address", "type", "body"],
        &["body", "address"],
    ),
    table(
        "call",
        "content://call_log/calls",
        &["_id", "number", "type"],
        &["number"],
    ),
    table(
        "event",
        "content://com.android.calendar/events",
        &[
            "_id",
            "title",
            "dtstart",
            "dtend",
            "allDay",
            "eventLocation",
            "description",
        ],
        &["title"],
    ),
    table(
        "alarm",
        "content://com.google.android.deskclock/alarms",
        &["_id", "hour", "minutes", "daysofweek", "enabled", "vibrate", "label"],
        &["label"],
    ),
    table(
        "note",
        "content://com.google.android.keep/notes",
        &["_id", "title", "pinned", "color", "body", "items"],
        &["title", "body", "items"],
    ),
    table(
        "mail",
        "content://com.google.android.gm/mails",
        &["_id", "address", "subject", "sent", "starred", "archived", "body"],
        &["subject", "body"],
    ),
    table("bookmark", "content://com.android.chrome/bookmarks", &["url"], &["url"]),
    table(
        "saved place",
        "content://com.google.android.apps.maps/saved",
        &["name"],
        &["name"],
    ),
    table(
        "playlist",
        "content://com.google.android.apps.youtube.music/playlists",
        &["name", "songs"],
        &["name"],
    ),
    table(
        "cart",
        "content://com.example.market/cart",
        &["name", "count"],
        &["name"],
    ),
    table(
        "order",
        "content://com.example.market/orders",
        &["date", "items", "total"],
        &["items"],
    ),
];

/// What is looked at on a kind of phone.
pub(super) fn looks(phone: PhoneKind) -> impl Iterator<Item = &'static Look> {
    let tables: &[Look] = match phone {
        PhoneKind::Small => &SMALL,
        PhoneKind::Pixel => &PIXEL,
    };
    LISTS.iter().chain(tables)
}

impl Look {
    /// The command on a kind of phone. A phone that does not know it lists nothing.
    pub fn command(&self, phone: PhoneKind) -> String {
        match (self.columns, phone) {
            ([], _) => self.command.to_owned(),
            // It has no other columns.
            (_, PhoneKind::Small) => format!("content query --uri {}", self.command),
            (columns, _) => format!(
                "content query --uri {} --projection {}",
                self.command,
                columns.join(":")
            ),
        }
    }

    /// Whether a command reads this table.
    pub fn is_read_by(&self, command: &str) -> bool {
        let ends = |rest: &str| {
            rest.chars()
                .next()
                .is_none_or(|next| !next.is_ascii_alphanumeric() && next != '_')
        };
        let mut found = command.match_indices(self.command);
        !self.columns.is_empty() && found.any(|(at, word)| ends(&command[at + word.len()..]))
    }

    /// Name and value of what stands on a line, or on several where a value of a provider has several.
    pub fn thing(&self, text: &str) -> (String, String) {
        let parts = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        match self.columns {
            [] if self.kind.starts_with("setting") => parts(text.trim().split_once('=').unwrap_or((text.trim(), ""))),
            [] => parts((text.trim().trim_start_matches("package:"), "")),
            [_] => parts((after_number(text), "")),
            [_, second, ..] => {
                let row = after_number(text);
                match row.find(&format!(", {second}=")) {
                    Some(at) => parts((&row[..at], &row[at + 2..])),
                    None => parts((row, "")),
                }
            }
        }
    }

    /// The columns of a thing with their values.
    pub fn cells(&self, name: &str, value: &str) -> Vec<(&'static str, String)> {
        let own = self.columns.iter().take(1).filter_map(|column| {
            let text = name.strip_prefix(column)?.strip_prefix('=')?;
            Some((*column, text.to_owned()))
        });
        let others = self.columns.get(1..).unwrap_or_default();
        let begin = |column: &str| format!("{column}=");
        let mut rest = others.first().and_then(|first| value.strip_prefix(&begin(first)));
        let mut cells: Vec<_> = own.collect();
        for (index, column) in others.iter().enumerate() {
            let Some(text) = rest else { break };
            let next = others.get(index + 1).map(|next| format!(", {}", begin(next)));
            let parts = next.and_then(|next| text.split_once(&next));
            let (text, left) = parts.map_or((text, None), |(text, left)| (text, Some(left)));
            cells.push((column, text.to_owned()));
            rest = left;
        }
        cells
    }
}

/// A row without `Row: 3 `.
fn after_number(text: &str) -> &str {
    let row = text.strip_prefix("Row: ").and_then(|rest| rest.split_once(' '));
    row.map_or(text, |(_, row)| row)
}

/// The things of a list, each with all of its lines.
pub(super) fn entries<'a>(look: &Look, lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in lines {
        match (look.columns.is_empty(), line.starts_with("Row: "), all.last_mut()) {
            (true, ..) if line.trim().is_empty() => {}
            (true, ..) | (false, true, _) => all.push(line.to_owned()),
            (false, false, Some(last)) => last.extend(once("\n").chain(once(line))),
            // `No result found.`
            (false, false, None) => {}
        }
    }
    all
}
