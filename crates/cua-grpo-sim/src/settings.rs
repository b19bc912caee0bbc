//! The settings database: what `settings get` and `settings put` read and write, and what the switches show.

use cua_grpo_android::names::Toggle;
use cua_grpo_phone::state::Table;
use std::collections::BTreeMap;

/// The choices of the screen timeout: milliseconds, words in the dialog, short form in the row.
pub const TIMEOUTS: [(u32, &str, &str); 6] = [
    (15_000, "15 seconds", "15 s"),
    (30_000, "30 seconds", "30 s"),
    (60_000, "1 minute", "1 min"),
    (120_000, "2 minutes", "2 min"),
    (300_000, "5 minutes", "5 min"),
    (600_000, "10 minutes", "10 min"),
];

/// What all keys and values may have together, in bytes.
const LARGEST_DATABASE: usize = 256 * 1024;

/// All settings, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<(Table, String), String>,
}

impl Settings {
    /// The value of a key, if it was ever written.
    pub fn get(&self, table: Table, key: &str) -> Option<&str> {
        self.values.get(&(table, key.to_owned())).map(String::as_str)
    }

    /// Writes a value.
    pub fn put(&mut self, table: Table, key: &str, value: impl Into<String>) {
        self.values.insert((table, key.to_owned()), value.into());
    }

    /// Whether the database has room for one more value of `more` bytes, key included.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        let used: usize = self
            .values
            .iter()
            .map(|((_, key), value)| key.len() + value.len())
            .sum();
        used.saturating_add(more) <= LARGEST_DATABASE
    }

    /// Forgets a key; tells whether it was there.
    pub fn delete(&mut self, table: Table, key: &str) -> bool {
        self.values.remove(&(table, key.to_owned())).is_some()
    }

    /// All entries of a table, as `key=value` lines in the order of their keys.
    pub fn list(&self, table: Table) -> String {
        let entries = self.values.iter().filter(|((of, _), _)| *of == table);
        entries.map(|((_, key), value)| format!("{key}={value}\n")).collect()
    }

    /// Whether a toggle is on: any value other than the one for off, as Android reads these keys.
    pub fn is_on(&self, toggle: Toggle) -> bool {
        let (table, key, off, _) = toggle.entry();
        let value = Table::parse(table).and_then(|table| self.get(table, key));
        value.is_some_and(|value| value != off)
    }

    /// Sets a toggle.
    pub fn set(&mut self, toggle: Toggle, on: bool) {
        let (table, key, off_value, on_value) = toggle.entry();
        if let Some(table) = Table::parse(table) {
            self.put(table, key, if on { on_value } else { off_value });
        }
    }

    /// The brightness, 0 to 255.
    pub fn brightness(&self) -> u8 {
        let value = self
            .get(Table::System, "screen_brightness")
            .and_then(|text| text.trim().parse::<i64>().ok());
        value.unwrap_or(128).clamp(0, 255) as u8
    }

    /// The screen timeout in milliseconds.
    pub fn timeout_ms(&self) -> u32 {
        let value = self
            .get(Table::System, "screen_off_timeout")
            .and_then(|text| text.trim().parse().ok());
        value.unwrap_or(60_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_of_tasks_has_its_table() {
        for toggle in Toggle::ALL {
            let mut settings = Settings::default();
            for on in [true, false] {
                settings.set(toggle, on);
                assert_eq!(settings.is_on(toggle), on, "{toggle:?}");
            }
        }
    }
}
