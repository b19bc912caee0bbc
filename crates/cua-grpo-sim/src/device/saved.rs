//! What an app of the full phone knows, as it stands in a backup.

use cua_grpo_phone::state::{
    State,
    data::{Alarm, Note},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an app keeps for itself, with the notes or alarms that are its.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct AppData {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    memory: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<SavedNote>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<SavedAlarm>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedNote {
    id: u32,
    title: String,
    body: String,
    items: Vec<(String, bool)>,
    pinned: bool,
    color: u8,
    changed: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedAlarm {
    id: u32,
    hour: u32,
    minute: u32,
    enabled: bool,
    days: u8,
    label: String,
    vibrate: bool,
}

const KEEP: &str = "com.google.android.keep";
const CLOCK: &str = "com.google.android.deskclock";

impl AppData {
    /// What a package knows.
    pub fn of(state: &State, package: &str) -> Self {
        let memory = state.packages.get(package).map(|known| known.memory.clone());
        let note = |note: &Note| SavedNote {
            id: note.id,
            title: note.title.clone(),
            body: note.body.clone(),
            items: note.items.clone(),
            pinned: note.pinned,
            color: note.color,
            changed: note.changed,
        };
        let alarm = |alarm: &Alarm| SavedAlarm {
            id: alarm.id,
            hour: alarm.hour,
            minute: alarm.minute,
            enabled: alarm.enabled,
            days: alarm.days,
            label: alarm.label.clone(),
            vibrate: alarm.vibrate,
        };
        Self {
            memory: memory.unwrap_or_default(),
            notes: state.notes.iter().filter(|_| package == KEEP).map(note).collect(),
            alarms: state.alarms.iter().filter(|_| package == CLOCK).map(alarm).collect(),
        }
    }

    /// Brings it back.
    pub fn bring_back(self, state: &mut State, package: &str) {
        if let Some(known) = state.packages.get_mut(package) {
            known.memory = self.memory;
        }
        if package == KEEP {
            let note = |note: SavedNote| Note {
                id: note.id,
                title: note.title,
                body: note.body,
                items: note.items,
                pinned: note.pinned,
                color: note.color,
                changed: note.changed,
            };
            state.notes = self.notes.into_iter().map(note).collect();
        } else if package == CLOCK {
            let alarm = |alarm: SavedAlarm| Alarm {
                id: alarm.id,
                hour: alarm.hour.min(23),
                minute: alarm.minute.min(59),
                enabled: alarm.enabled,
                days: alarm.days & 127,
                label: alarm.label,
                vibrate: alarm.vibrate,
            };
            state.alarms = self.alarms.into_iter().map(alarm).collect();
        }
        let ids = state.notes.iter().map(|note| note.id);
        let most = ids.chain(state.alarms.iter().map(|alarm| alarm.id)).max();
        state.next_id = state.next_id.max(most.unwrap_or_default());
    }
}
