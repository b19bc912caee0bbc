//! What the phone keeps: people, messages, alarms, files and the like.

pub use super::file::{Blob, File};

use crate::draw::emblem::Icon;
use std::{borrow::Cow, collections::BTreeMap};

/// Someone in the contacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// Key of the row.
    pub id: u32,
    /// First name.
    pub first: String,
    /// Last name.
    pub last: String,
    /// Numbers with their type: 1 home, 2 mobile, 3 work.
    pub phones: Vec<(String, u8)>,
    /// E-mail address, or nothing.
    pub email: String,
    /// Company, or nothing.
    pub company: String,
    /// Whether it is a favourite.
    pub starred: bool,
}

impl Contact {
    /// First and last name.
    pub fn name(&self) -> String {
        format!("{} {}", self.first, self.last).trim().to_owned()
    }
}

/// A text message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Key of the row.
    pub id: u32,
    /// Number of the other side.
    pub address: String,
    /// The text.
    pub body: String,
    /// Milliseconds since 1970.
    pub date: i64,
    /// Whether it was sent from here.
    pub sent: bool,
    /// Whether it was read.
    pub read: bool,
}

/// A row of the call log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Key of the row.
    pub id: u32,
    /// Number of the other side.
    pub number: String,
    /// Milliseconds since 1970.
    pub date: i64,
    /// Seconds.
    pub duration: u32,
    /// 1 incoming, 2 outgoing, 3 missed.
    pub kind: u8,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Key of the row.
    pub id: u32,
    /// Hour, 0 to 23.
    pub hour: u32,
    /// Minute.
    pub minute: u32,
    /// Whether it will ring.
    pub enabled: bool,
    /// Days on which it rings: bit 0 is Monday; none is once.
    pub days: u8,
    /// Its label, or nothing.
    pub label: String,
    /// Whether the phone vibrates as well.
    pub vibrate: bool,
}

/// The timer of the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timer {
    /// What it was set to, in ms; 0 while there is none.
    pub length: i64,
    /// What is left while it stands still, in ms.
    pub left: i64,
    /// When it ends, while it runs.
    pub ends: Option<i64>,
}

/// The stopwatch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopwatch {
    /// What was measured before it was started last, in ms.
    pub before: i64,
    /// When it was started, while it runs.
    pub since: Option<i64>,
    /// Laps, in ms since the start.
    pub laps: Vec<i64>,
}

impl Stopwatch {
    /// What it shows, in ms.
    pub fn shown(&self, now: i64) -> i64 {
        self.before + self.since.map_or(0, |since| (now - since).max(0))
    }
}

/// A note.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// Key of the row.
    pub id: u32,
    /// Title.
    pub title: String,
    /// Text.
    pub body: String,
    /// Items with their ticks, where it is a checklist.
    pub items: Vec<(String, bool)>,
    /// Whether it stands first.
    pub pinned: bool,
    /// Which of the colours, 0 is none.
    pub color: u8,
    /// When it was changed last.
    pub changed: i64,
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Key of the row.
    pub id: u32,
    /// Who wrote it, or `To: ` and the recipient.
    pub who: String,
    /// Address of the other side.
    pub address: String,
    /// Subject.
    pub subject: String,
    /// Text.
    pub body: String,
    /// When it came or was sent.
    pub date: i64,
    /// Whether it was read.
    pub read: bool,
    /// Whether it was sent from here.
    pub sent: bool,
    /// Whether it has a star.
    pub starred: bool,
    /// Whether it is out of the inbox.
    pub archived: bool,
}

impl Mail {
    /// The folder that shows it; nothing is the inbox.
    pub fn folder(&self) -> &'static str {
        match (self.archived, self.sent) {
            (true, _) => "Archive",
            (false, true) => "Sent",
            (false, false) => "",
        }
    }
}

/// An event of the calendar; times are UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Key of the row.
    pub id: u32,
    /// Title.
    pub title: String,
    /// Start, ms since 1970.
    pub start: i64,
    /// End.
    pub end: i64,
    /// Whether it has no times.
    pub all_day: bool,
    /// Place, or nothing.
    pub place: String,
    /// Text, or nothing.
    pub text: String,
    /// The calendar that it belongs to.
    pub calendar: u32,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Number of the notification.
    pub id: u32,
    /// Tag, or nothing.
    pub tag: String,
    /// Package that posted it.
    pub package: String,
    /// Title.
    pub title: String,
    /// Text.
    pub text: String,
    /// When it came.
    pub date: i64,
    /// Whether it comes without sound.
    pub silent: bool,
    /// Whether it cannot be swiped away.
    pub ongoing: bool,
    /// Page of the package that a tap opens.
    pub page: String,
    /// Number of the thing that the page is about.
    pub about: String,
}

/// A wireless network in reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub ssid: String,
    /// Whether it asks for a password.
    pub secured: bool,
    /// Whether the phone knows it.
    pub saved: bool,
    /// Strength, 0 to 4.
    pub level: u8,
}

/// A device that was paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its icon.
    pub icon: &'static str,
    /// Whether it is connected.
    pub connected: bool,
}

/// The battery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Battery {
    /// Percent.
    pub level: u32,
    /// Whether it charges over USB.
    pub plugged: bool,
    /// Whether `cmd battery` holds the values.
    pub held: bool,
}

/// What an app says of itself, and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// The name under its icon.
    pub label: Cow<'static, str>,
    /// Full name of the class that the launcher starts; nothing where it starts none.
    pub activity: Cow<'static, str>,
    /// Other classes that can be started, for an app that was installed.
    pub classes: Vec<String>,
    /// Its version.
    pub version: String,
    /// Where its package file is.
    pub apk: String,
    /// Its icon.
    pub icon: Icon,
    /// Whether it belongs to the system.
    pub system: bool,
    /// Permissions that it asks for, and whether it has them; `None` is not asked yet.
    pub permissions: BTreeMap<&'static str, Option<bool>>,
    /// Whether its notifications are shown.
    pub notifies: bool,
    /// Whether it was stopped by force.
    pub stopped: bool,
    /// Bytes of the app and of its data.
    pub size: (u64, u64),
    /// What it keeps for itself.
    pub memory: BTreeMap<String, String>,
}

/// What an app says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Info {
    /// Its package.
    pub package: &'static str,
    /// The name under its icon.
    pub label: &'static str,
    /// Full name of the class that the launcher starts; nothing where it starts none.
    pub activity: &'static str,
    /// Permissions that it asks for, by their last word.
    pub permissions: &'static [&'static str],
}
