//! The rows of the contacts provider.

use crate::state::{State, data::Contact};

/// A row: columns with their values; `None` is NULL.
pub type Row = Vec<(&'static str, Option<String>)>;

pub fn text(value: impl std::fmt::Display) -> Option<String> {
    Some(value.to_string())
}

pub fn contact(contact: &Contact) -> Row {
    vec![
        ("_id", text(contact.id)),
        ("display_name", Some(contact.name())),
        ("starred", text(u8::from(contact.starred))),
        ("has_phone_number", text(u8::from(!contact.phones.is_empty()))),
    ]
}

pub fn raw_contact(contact: &Contact) -> Row {
    vec![
        ("_id", text(contact.id)),
        ("contact_id", text(contact.id)),
        ("display_name", Some(contact.name())),
        ("starred", text(u8::from(contact.starred))),
        ("deleted", text(0)),
    ]
}

pub fn phones(contact: &Contact) -> Vec<Row> {
    let row = |(index, (number, kind)): (usize, &(String, u8))| {
        vec![
            ("_id", text(contact.id * 10 + index as u32 + 1)),
            ("display_name", Some(contact.name())),
            ("number", Some(number.clone())),
            ("type", text(kind)),
        ]
    };
    contact.phones.iter().enumerate().map(row).collect()
}

pub fn contact_data(contact: &Contact) -> Vec<Row> {
    let base = contact.id * 10;
    let row = |id: u32, mime: &str, first: &str, second: Option<String>| {
        vec![
            ("_id", text(id)),
            ("raw_contact_id", text(contact.id)),
            ("contact_id", text(contact.id)),
            ("mimetype", text(format!("vnd.android.cursor.item/{mime}"))),
            ("data1", text(first)),
            ("data2", second),
            ("display_name", Some(contact.name())),
        ]
    };
    let mut rows = vec![row(base, "name", &contact.name(), Some(contact.first.clone()))];
    for (index, (number, kind)) in contact.phones.iter().enumerate() {
        rows.push(row(base + index as u32 + 1, "phone_v2", number, text(kind)));
    }
    if !contact.email.is_empty() {
        rows.push(row(base + 8, "email_v2", &contact.email, text(1)));
    }
    if !contact.company.is_empty() {
        rows.push(row(base + 9, "organization", &contact.company, text(1)));
    }
    rows
}

pub fn write_data(state: &mut State, id: Option<u32>, value: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    let owner = match id {
        Some(id) => Some(id / 10),
        None => value("raw_contact_id").and_then(|id| id.parse().ok()),
    };
    let first = value("data1").unwrap_or_default();
    let Some(contact) = state.contacts.iter_mut().find(|contact| Some(contact.id) == owner) else {
        return Err("IllegalArgumentException: raw_contact_id is needed".to_owned());
    };
    if let Some(id) = id {
        // A row that is there already: its place says what it is.
        match (id % 10) as usize {
            0 => (contact.first, contact.last) = split(&first),
            8 => contact.email = first,
            9 => contact.company = first,
            index => {
                if let Some(entry) = contact.phones.get_mut(index - 1) {
                    entry.0 = first;
                }
            }
        }
        return Ok(());
    }
    let mime = value("mimetype").unwrap_or_default();
    match mime.rsplit('/').next().unwrap_or_default() {
        "name" => (contact.first, contact.last) = split(&first),
        "phone_v2" => contact
            .phones
            .push((first, value("data2").and_then(|kind| kind.parse().ok()).unwrap_or(2))),
        "email_v2" => contact.email = first,
        "organization" => contact.company = first,
        other => return Err(format!("IllegalArgumentException: mimetype {other:?} is not kept here")),
    }
    Ok(())
}

fn split(name: &str) -> (String, String) {
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    (first.to_owned(), last.to_owned())
}
