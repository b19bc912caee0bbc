//! The one state of the phone: what a shell command reads and what a screen shows both come from here.

pub mod data;
mod device;
mod dice;
mod editing;
mod file;
pub mod files;
mod going;
pub mod place;
mod seed;
mod seed_data;
mod seed_settings;
pub mod settings;
mod storage;
mod ticking;
pub mod time;

use crate::draw::emblem::Icon;
use data::{
    Alarm, Battery, Call, Contact, Device, Event, Mail, Message, Network, Note, Notification, Package, Stopwatch, Timer,
};
pub use device::{Stream, brightness_to_slider, slider_to_brightness};
pub use place::{Field, Fling, Place, Task, Window};
pub use seed::birth;
pub use settings::{Settings, Table, Toggle};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write};
pub use storage::NewApp;

/// The home screen's package.
pub const LAUNCHER: &str = "com.google.android.apps.nexuslauncher";

/// Size and density of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Display {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Dots per inch; 160 make a dp one pixel.
    pub density: u32,
}

impl Display {
    /// A Pixel: 1080x2400 at 420 dpi.
    pub const PIXEL: Self = Self {
        width: 1080,
        height: 2400,
        density: 420,
    };
    /// Half of it: 540x1200 at 210 dpi, with the same layout.
    pub const HALF: Self = Self {
        width: 540,
        height: 1200,
        density: 210,
    };

    /// Pixels of a dp.
    pub fn scale(self) -> f32 {
        self.density as f32 / 160.0
    }
}

/// The keyboard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyboard {
    /// Whether it was put away although a field has the focus.
    pub hidden: bool,
    /// 0 letters, 1 and 2 symbols.
    pub layer: u8,
    /// Whether the next letter is a capital.
    pub shift: bool,
    /// Whether all letters are.
    pub caps: bool,
    /// Whether the next letter is a small one although a sentence begins.
    pub plain: bool,
}

/// A question of the system whether an app may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The app.
    pub package: String,
    /// The last word of the permission.
    pub permission: String,
}

/// Everything that the phone is, knows and shows. A clone is a snapshot; both go on alone.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The number that the phone was made from.
    pub seed: u64,
    /// The screen as it was built.
    pub physical: Display,
    /// The screen as it is used.
    pub display: Display,
    /// Milliseconds since 1970, UTC.
    pub now: i64,
    /// When the phone started.
    pub booted: i64,
    /// The settings database.
    pub settings: Settings,
    /// System properties.
    pub props: BTreeMap<String, String>,
    /// Apps.
    pub packages: BTreeMap<String, Package>,
    /// Apps by role: `HOME`, `DIALER`, `SMS`, `BROWSER`, `ASSISTANT`.
    pub roles: BTreeMap<String, String>,
    /// The battery.
    pub battery: Battery,
    /// Networks in reach.
    pub networks: Vec<Network>,
    /// Paired devices.
    pub devices: Vec<Device>,
    /// Notifications, newest first.
    pub notifications: Vec<Notification>,
    /// Notifications that were dismissed, newest first.
    pub dismissed: Vec<Notification>,
    /// People.
    pub contacts: Vec<Contact>,
    /// Text messages, oldest first.
    pub messages: Vec<Message>,
    /// Mails, newest first.
    pub mails: Vec<Mail>,
    /// Calls, newest first.
    pub calls: Vec<Call>,
    /// The call that goes on: number and start.
    pub call: Option<(String, i64)>,
    /// Alarms.
    pub alarms: Vec<Alarm>,
    /// Cities of the world clock.
    pub cities: Vec<String>,
    /// The timer.
    pub timer: Timer,
    /// The stopwatch.
    pub stopwatch: Stopwatch,
    /// Notes.
    pub notes: Vec<Note>,
    /// Calendars with their names.
    pub calendars: Vec<(u32, String)>,
    /// Events.
    pub events: Vec<Event>,
    /// Files by their full path.
    pub files: files::Files,
    /// What was copied.
    pub clipboard: String,
    /// Icons of the home screen, page by page, and of the dock at the end: packages.
    pub home: Vec<Vec<String>>,
    /// The code of the lock screen, or nothing.
    pub pin: String,
    /// Whether there is a lock screen.
    pub lock_enabled: bool,

    /// Whether the screen is on.
    pub awake: bool,
    /// Whether the lock screen is in front.
    pub locked: bool,
    /// Apps in use, the last used one at the end.
    pub tasks: Vec<Task>,
    /// Whether the last task is in front; otherwise the home screen is.
    pub in_app: bool,
    /// Whether the recent apps are in front.
    pub recents: bool,
    /// How far the shade is pulled down: 0 not, 1 notifications, 2 quick settings.
    pub shade: u8,
    /// Places of the windows that are no apps.
    pub places: BTreeMap<Window, Place>,
    /// The keyboard.
    pub keyboard: Keyboard,
    /// A short message and when it goes.
    pub toast: Option<(String, i64)>,
    /// The notification that slides in, and when it goes.
    pub heads_up: Option<(u32, i64)>,
    /// The volume panel and when it goes.
    pub volume_panel: Option<i64>,
    /// A question of the system.
    pub prompt: Option<Prompt>,
    /// A list that moves by itself.
    pub fling: Option<Fling>,
    /// When the screen was touched last.
    pub touched: i64,
    /// The number that the next row or task gets.
    pub next_id: u32,
}

impl State {
    /// A number of everything that the phone is and knows. Equal phones have equal numbers.
    pub fn hash(&self) -> u64 {
        struct Feed(Sha256);
        impl Write for Feed {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.update(text.as_bytes());
                Ok(())
            }
        }
        let mut feed = Feed(Sha256::new());
        // All of the state is plain data, and its debug form shows all of it. Writing into a hash cannot fail.
        let _ = write!(feed, "{self:?}");
        let digest = feed.0.finalize();
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// A number that nothing else has.
    pub fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Whether something is on.
    pub fn on(&self, toggle: Toggle) -> bool {
        toggle.is_on(&self.settings)
    }

    /// Milliseconds of the local clock.
    pub fn local(&self, utc: i64) -> i64 {
        utc + time::zone_offset(self.zone())
    }

    /// The local time now.
    pub fn civil(&self) -> time::Civil {
        time::Civil::new(self.local(self.now))
    }

    /// The time zone.
    pub fn zone(&self) -> &str {
        self.props.get("persist.sys.timezone").map_or("GMT", String::as_str)
    }

    /// A time of the day as this phone writes it.
    pub fn clock(&self, hour: u32, minute: u32) -> String {
        time::clock(hour, minute, self.on(Toggle::FullDay))
    }

    /// A moment as a time of the day.
    pub fn clock_of(&self, utc: i64) -> String {
        let civil = time::Civil::new(self.local(utc));
        self.clock(civil.hour, civil.minute)
    }

    /// The icon of an app; the robot where it has none.
    pub fn icon(&self, package: &str) -> Icon {
        self.packages.get(package).map_or(Icon::ROBOT, |package| package.icon)
    }

    /// Which wallpaper the phone has.
    pub fn wallpaper(&self) -> u8 {
        let chosen = self.settings.number(Table::Secure, "wallpaper_kind");
        chosen.unwrap_or((self.seed % 4) as i64).rem_euclid(4) as u8
    }

    /// The name of an app.
    pub fn label(&self, package: &str) -> String {
        match package {
            "com.android.shell" => "Shell".to_owned(),
            "android" => "Android System".to_owned(),
            other => self
                .packages
                .get(other)
                .map_or_else(|| other.to_owned(), |package| package.label.to_string()),
        }
    }

    /// The name of someone, or the number itself.
    pub fn name_of(&self, number: &str) -> String {
        self.contact_of(number).map_or_else(|| number.to_owned(), Contact::name)
    }

    /// Who has a number; spaces, dashes and brackets do not count.
    pub fn contact_of(&self, number: &str) -> Option<&Contact> {
        let wanted = digits(number);
        let same = |contact: &&Contact| contact.phones.iter().any(|(other, _)| digits(other) == wanted);
        (!wanted.is_empty()).then(|| self.contacts.iter().find(same)).flatten()
    }
}

/// The digits of a number, with a plus before them where it has one.
pub fn digits(number: &str) -> String {
    number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect()
}
