//! The rows of content providers, made from the state, and written back to it.

use super::people::{Row, text};
use crate::{
    apps,
    state::{
        State,
        data::{Call, Contact, Event, Message},
    },
};

/// Tables that `content` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Settings of a table.
    Settings(crate::state::Table),
    /// `contacts`.
    Contacts,
    /// `raw_contacts`.
    RawContacts,
    /// `data`.
    Data,
    /// `contacts/phones`.
    Phones,
    /// The call log.
    Calls,
    /// Text messages: all, inbox, sent.
    Sms(Option<bool>),
    /// Calendars.
    Calendars,
    /// Events.
    Events,
    /// Reminders.
    Reminders,
    /// Media: the word that paths have, or all.
    Media(&'static str),
    /// Notes. Real phones have no provider for them.
    Notes,
    /// Alarms. On real phones only the clock itself and root read them.
    Alarms,
    /// What an app keeps for itself.
    Store(super::stores::Store),
}

impl Kind {
    /// The table of a URI; `None` where no provider has it.
    pub fn of(uri: &str) -> Option<(Self, Option<u32>)> {
        let rest = uri.strip_prefix("content://")?.trim_end_matches('/');
        let (path, id) = match rest.rsplit_once('/') {
            Some((path, last)) if last.parse::<u32>().is_ok() => (path, last.parse().ok()),
            _ => (rest, None),
        };
        let path = path.replace("com.android.contacts", "contacts");
        let kind = match path.as_str() {
            "settings/global" => Self::Settings(crate::state::Table::Global),
            "settings/system" => Self::Settings(crate::state::Table::System),
            "settings/secure" => Self::Settings(crate::state::Table::Secure),
            "contacts/contacts" => Self::Contacts,
            "contacts/raw_contacts" => Self::RawContacts,
            "contacts/data" => Self::Data,
            "contacts/phones" | "contacts/data/phones" => Self::Phones,
            "call_log/calls" => Self::Calls,
            "sms" => Self::Sms(None),
            "sms/inbox" => Self::Sms(Some(false)),
            "sms/sent" => Self::Sms(Some(true)),
            "com.android.calendar/calendars" => Self::Calendars,
            "com.android.calendar/events" => Self::Events,
            "com.android.calendar/reminders" => Self::Reminders,
            "media/external/images/media" => Self::Media("jpg png"),
            "media/external/video/media" => Self::Media("mp4"),
            "media/external/audio/media" => Self::Media("mp3 m4a wav"),
            "media/external/file" | "media/external_primary/file" => Self::Media(""),
            "media/external/downloads" => Self::Media("/Download/"),
            "com.google.android.keep/notes" => Self::Notes,
            "com.google.android.deskclock/alarms" => Self::Alarms,
            other => Self::Store(super::stores::Store::of(other)?),
        };
        Some((kind, id))
    }

    /// All rows.
    pub fn rows(self, state: &State) -> Vec<Row> {
        match self {
            Self::Settings(table) => state
                .settings
                .rows(table)
                .enumerate()
                .map(|(id, (name, value))| {
                    vec![
                        ("_id", Some((id + 1).to_string())),
                        ("name", Some(name.to_owned())),
                        ("value", Some(value.to_owned())),
                    ]
                })
                .collect(),
            Self::Contacts => state.contacts.iter().map(super::people::contact).collect(),
            Self::RawContacts => state.contacts.iter().map(super::people::raw_contact).collect(),
            Self::Data => state.contacts.iter().flat_map(super::people::contact_data).collect(),
            Self::Phones => state.contacts.iter().flat_map(super::people::phones).collect(),
            Self::Calls => state.calls.iter().map(|call| self::call(state, call)).collect(),
            Self::Sms(sent) => {
                let list = state
                    .messages
                    .iter()
                    .rev()
                    .filter(|message| sent.is_none_or(|sent| message.sent == sent));
                list.map(|message| sms(state, message)).collect()
            }
            Self::Calendars => state
                .calendars
                .iter()
                .map(|(id, name)| {
                    vec![
                        ("_id", text(id)),
                        ("name", Some(name.clone())),
                        ("calendar_displayName", Some(name.clone())),
                        ("account_name", text("alex@example.com")),
                    ]
                })
                .collect(),
            Self::Events => state.events.iter().map(event).collect(),
            Self::Reminders => state
                .events
                .iter()
                .map(|event| {
                    vec![
                        ("_id", text(event.id)),
                        ("event_id", text(event.id)),
                        ("minutes", text(30)),
                        ("method", text(1)),
                    ]
                })
                .collect(),
            Self::Media(words) => media(state, words),
            Self::Notes => state.notes.iter().map(super::notes::note).collect(),
            Self::Alarms => state.alarms.iter().map(super::notes::alarm).collect(),
            Self::Store(store) => store.rows(state),
        }
    }

    /// Writes a row that was changed, or a new one without `_id`. An error says what is missing.
    pub fn write(self, state: &mut State, id: Option<u32>, values: &[(String, Option<String>)]) -> Result<(), String> {
        let value = |name: &str| {
            values
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone().unwrap_or_default())
        };
        let number = |name: &str| value(name).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Settings(table) => {
                let (Some(name), Some(new)) = (value("name"), value("value")) else {
                    return Err("IllegalArgumentException: name and value are needed".to_owned());
                };
                state.settings.write(table, &name, &new);
            }
            Self::RawContacts if id.is_none() => {
                // A number of one's own, where nobody has it, as the provider of Android takes it.
                let own = number("_id").and_then(|own| u32::try_from(own).ok());
                let free = own.filter(|own| state.contacts.iter().all(|contact| contact.id != *own));
                let id = free.unwrap_or_else(|| state.fresh_id());
                state.contacts.push(Contact {
                    id,
                    ..Contact::default()
                });
            }
            Self::Contacts | Self::RawContacts => {
                let star = number("starred");
                if let Some(contact) = state.contacts.iter_mut().find(|contact| Some(contact.id) == id) {
                    contact.starred = star.unwrap_or(i64::from(contact.starred)) != 0;
                }
            }
            Self::Data => return super::people::write_data(state, id, &value),
            Self::Calls if id.is_none() => {
                let call = Call {
                    id: state.fresh_id(),
                    number: value("number").unwrap_or_default(),
                    date: number("date").unwrap_or(state.now),
                    duration: number("duration").unwrap_or(0) as u32,
                    kind: number("type").unwrap_or(1) as u8,
                };
                state.calls.push(call);
                state.calls.sort_by_key(|call| std::cmp::Reverse((call.date, call.id)));
            }
            Self::Sms(sent) => {
                let Some(id) = id else {
                    let sent = sent.unwrap_or(number("type") == Some(2));
                    let message = Message {
                        id: state.fresh_id(),
                        address: value("address").unwrap_or_default(),
                        body: value("body").unwrap_or_default(),
                        date: number("date").unwrap_or(state.now),
                        sent,
                        read: sent || number("read").unwrap_or(0) != 0,
                    };
                    state.messages.push(message);
                    state.messages.sort_by_key(|message| (message.date, message.id));
                    return Ok(());
                };
                if let Some(message) = state.messages.iter_mut().find(|message| message.id == id) {
                    message.read = number("read").map_or(message.read, |read| read != 0);
                    message.body = value("body").unwrap_or_else(|| message.body.clone());
                }
            }
            Self::Calendars => {
                let id = state.fresh_id();
                let name = value("calendar_displayName").or(value("name")).unwrap_or_default();
                state.calendars.push((id, name));
            }
            Self::Events => {
                let known = state.events.iter().find(|event| Some(event.id) == id).cloned();
                if known.is_none() && number("dtstart").is_none() {
                    return Err("IllegalArgumentException: Event values must include a dtstart".to_owned());
                }
                let mut event = known.unwrap_or_else(|| Event {
                    id: state.fresh_id(),
                    calendar: 1,
                    ..Event::default()
                });
                event.title = value("title").unwrap_or(event.title);
                event.start = number("dtstart").unwrap_or(event.start);
                event.end = number("dtend").unwrap_or(event.end.max(event.start + 3_600_000));
                event.all_day = number("allDay").map_or(event.all_day, |on| on != 0);
                event.place = value("eventLocation").unwrap_or(event.place);
                event.text = value("description").unwrap_or(event.text);
                event.calendar = number("calendar_id").map_or(event.calendar, |id| id as u32);
                state.events.retain(|other| other.id != event.id);
                state.events.push(event);
                state.events.sort_by_key(|event| (event.start, event.id));
            }
            Self::Media(_) => {
                let star = number("is_favorite");
                let row = id.and_then(|id| media_path(state, id));
                if let (Some(star), Some(file)) = (star, row.and_then(|path| state.files.get_mut(&path))) {
                    file.favorite = star != 0;
                }
            }
            Self::Notes => super::notes::write_note(state, id, &value),
            Self::Alarms => return super::notes::write_alarm(state, id, &value),
            Self::Store(store) => return store.write(state, id, &value),
            Self::Phones | Self::Calls | Self::Reminders => {
                return Err("UnsupportedOperationException: this table is read only here".to_owned());
            }
        }
        Ok(())
    }

    /// Deletes a row.
    pub fn delete(self, state: &mut State, id: u32) {
        match self {
            Self::Settings(table) => {
                let key = state
                    .settings
                    .rows(table)
                    .nth(id as usize - 1)
                    .map(|(key, _)| key.to_owned());
                if let Some(key) = key {
                    state.settings.delete(table, &key);
                }
            }
            Self::Contacts | Self::RawContacts => state.contacts.retain(|contact| contact.id != id),
            Self::Data | Self::Phones => {
                for contact in &mut state.contacts {
                    let own = contact.id;
                    let mut index = 0;
                    contact.phones.retain(|_| {
                        index += 1;
                        own * 10 + index != id
                    });
                }
            }
            Self::Calls => state.calls.retain(|call| call.id != id),
            Self::Sms(_) => state.messages.retain(|message| message.id != id),
            Self::Calendars => {
                state.calendars.retain(|(known, _)| *known != id);
                state.events.retain(|event| event.calendar != id);
            }
            Self::Events => state.events.retain(|event| event.id != id),
            Self::Media(_) => {
                if let Some(path) = media_path(state, id) {
                    state.delete_file(&path);
                }
            }
            Self::Notes => state.notes.retain(|note| note.id != id),
            Self::Alarms => state.alarms.retain(|alarm| alarm.id != id),
            Self::Store(store) => store.delete(state, id),
            Self::Reminders => {}
        }
    }
}

fn call(state: &State, call: &Call) -> Row {
    let name = state.contact_of(&call.number).map(Contact::name);
    vec![
        ("_id", text(call.id)),
        ("number", Some(call.number.clone())),
        ("date", text(call.date)),
        ("duration", text(call.duration)),
        ("type", text(call.kind)),
        ("name", name),
    ]
}

fn sms(state: &State, message: &Message) -> Row {
    let thread = apps::threads(state)
        .iter()
        .position(|last| crate::state::digits(&last.address) == crate::state::digits(&message.address));
    vec![
        ("_id", text(message.id)),
        ("thread_id", text(thread.map_or(0, |index| index + 1))),
        ("address", Some(message.address.clone())),
        ("person", None),
        ("date", text(message.date)),
        ("read", text(u8::from(message.read))),
        ("type", text(if message.sent { 2 } else { 1 })),
        ("body", Some(message.body.clone())),
    ]
}

fn event(event: &Event) -> Row {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    vec![
        ("_id", text(event.id)),
        ("calendar_id", text(event.calendar)),
        ("title", Some(event.title.clone())),
        ("dtstart", text(event.start)),
        ("dtend", text(event.end)),
        ("duration", None),
        ("rrule", None),
        ("allDay", text(u8::from(event.all_day))),
        ("eventLocation", some(&event.place)),
        ("description", some(&event.text)),
    ]
}

/// Whether the media store knows a file: one of the shared storage.
fn is_shared(path: &str, file: &crate::state::data::File) -> bool {
    !file.is_folder() && path.starts_with("/sdcard/")
}

/// Paths of media with their numbers, which follow from the order of the paths.
fn media(state: &State, words: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, (path, file)) in state
        .files
        .iter()
        .filter(|(path, file)| is_shared(path, file))
        .enumerate()
    {
        let end = path.rsplit('.').next().unwrap_or_default();
        let fits = words.is_empty()
            || words.split(' ').any(|word| word == end)
            || (words.starts_with('/') && path.contains(words));
        if !fits {
            continue;
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        rows.push(vec![
            ("_id", text(index + 1)),
            ("_display_name", text(name)),
            ("_data", Some(path.replacen("/sdcard", "/storage/emulated/0", 1))),
            (
                "relative_path",
                Some(format!("{}/", folder.trim_start_matches("/sdcard/"))),
            ),
            ("_size", text(file.size)),
            ("date_added", text(file.changed / 1000)),
            ("is_favorite", text(u8::from(file.favorite))),
        ]);
    }
    rows
}

fn media_path(state: &State, id: u32) -> Option<String> {
    let list = state.files.iter().filter(|(path, file)| is_shared(path, file));
    list.map(|(path, _)| path.clone()).nth((id as usize).checked_sub(1)?)
}
