//! Between goals and device state: the commands that make a goal true or false, and the check that tells; here those of
//! the small phone.

use super::{Check, Goal, Step, pixel};
use crate::PhoneKind;
use crate::names::{App, Level, Page};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Names the activity in front; the second half is for devices whose window service does not tell.
const FOCUS: &str = "dumpsys window | grep mCurrentFocus || dumpsys activity | grep mResumedActivity";

const LAUNCHER: &str = "com.android.launcher3";

impl Goal {
    /// The question to a phone that tells whether the goal holds.
    pub fn check(&self, phone: PhoneKind) -> Check {
        match phone {
            PhoneKind::Small => self.small_check(),
            PhoneKind::Pixel => pixel::check(self),
        }
    }

    /// Commands after which the goal does not hold (`done` false) or holds (`done` true).
    ///
    /// `None` where only the policy can bring it about: a note cannot be written from the shell.
    pub fn set(&self, done: bool, phone: PhoneKind, rng: &mut impl Rng) -> Option<Vec<String>> {
        match phone {
            PhoneKind::Small => self.small_set(done, rng),
            PhoneKind::Pixel => pixel::set(self, done, rng),
        }
    }

    /// How an expert brings it about on the full phone; on the small one the demonstrator reads the goal itself.
    pub fn steps(&self) -> Vec<Step> {
        pixel::steps(self)
    }

    fn small_check(&self) -> Check {
        let (command, expect) = match self {
            Self::Toggle { toggle, on } => (get(&toggle.setting()), toggle.pattern(*on).to_owned()),
            Self::Brightness(level) => (get("system screen_brightness"), level.pattern().to_owned()),
            Self::Timeout(milliseconds) => (get("system screen_off_timeout"), milliseconds.to_string()),
            Self::App(app) => (FOCUS.to_owned(), in_front(app.package(), "")),
            Self::Page(page) => (FOCUS.to_owned(), in_front(App::Settings.package(), page.activity())),
            Self::Home => (FOCUS.to_owned(), in_front(LAUNCHER, "")),
            Self::Note(text) => {
                let row = format!(r"(?sm).*^Row: \d+ text={}$.*", regex::escape(text));
                ("content query --uri content://notes".to_owned(), row)
            }
            Self::Alarm { time, on } => {
                let row = format!(
                    r"(?sm).*^Row: \d+ time={}, enabled={}$.*",
                    regex::escape(time),
                    i32::from(*on)
                );
                ("content query --uri content://alarms".to_owned(), row)
            }
        };
        Check { command, expect }
    }

    fn small_set(&self, done: bool, rng: &mut impl Rng) -> Option<Vec<String>> {
        let commands = match self {
            Self::Toggle { toggle, on } => vec![put(&toggle.setting(), toggle.value(*on == done))],
            Self::Brightness(level) => {
                let other = other(&Level::ALL, level, done, rng);
                vec![put("system screen_brightness", &other.middle().to_string())]
            }
            Self::Timeout(milliseconds) => {
                let other = other(&Self::TIMEOUTS, milliseconds, done, rng);
                vec![put("system screen_off_timeout", &other.to_string())]
            }
            // The launcher is where most attempts start; sometimes another place of the same kind is open.
            Self::App(app) if done || rng.random_bool(0.2) => {
                let app = other(&App::ALL, app, done, rng);
                vec![start(app.package(), app.activity())]
            }
            Self::Page(page) if done || rng.random_bool(0.2) => {
                let page = other(&Page::ASKED, page, done, rng);
                vec![start(App::Settings.package(), page.activity())]
            }
            Self::App(_) | Self::Page(_) => vec!["input keyevent KEYCODE_HOME".to_owned()],
            Self::Home if done => vec!["input keyevent KEYCODE_HOME".to_owned()],
            Self::Home if rng.random_bool(0.5) => {
                let page = Page::ASKED[rng.random_range(0..Page::ASKED.len())];
                vec![start(App::Settings.package(), page.activity())]
            }
            Self::Home => {
                let app = App::ALL[rng.random_range(0..App::ALL.len())];
                vec![start(app.package(), app.activity())]
            }
            Self::Note(_) if done => return None,
            Self::Note(_) => Vec::new(),
            Self::Alarm { time, on } => {
                let enabled = i32::from(*on == done);
                vec![
                    format!("content insert --uri content://alarms --bind time:s:{time} --bind enabled:i:{enabled}"),
                    format!("content update --uri content://alarms --bind enabled:i:{enabled} --where time={time}"),
                ]
            }
        };
        Some(commands)
    }

    /// What it is about: two goals with one subject contradict or repeat each other.
    pub fn subject(&self) -> String {
        match self {
            Self::Toggle { toggle, .. } => format!("the switch {}", toggle.key()),
            Self::Brightness(_) => "the brightness".to_owned(),
            Self::Timeout(_) => "the screen timeout".to_owned(),
            Self::App(_) | Self::Page(_) | Self::Home => "what is in front".to_owned(),
            Self::Note(text) => format!("the note {text:?}"),
            Self::Alarm { time, .. } => format!("the alarm at {time}"),
        }
    }

    /// The app that it is about; none for the launcher.
    pub fn app(&self) -> Option<App> {
        match self {
            Self::Toggle { .. } | Self::Brightness(_) | Self::Timeout(_) | Self::Page(_) => Some(App::Settings),
            Self::App(app) => Some(*app),
            Self::Home => None,
            Self::Note(_) => Some(App::Notes),
            Self::Alarm { .. } => Some(App::Clock),
        }
    }

    /// The word that stands for the goal in an instruction: `on`, `low`, `2 minutes`, `Clock`, the text of a note.
    pub fn word(&self) -> String {
        match self {
            Self::Toggle { on, .. } | Self::Alarm { on, .. } => if *on { "on" } else { "off" }.to_owned(),
            Self::Brightness(level) => level.key().to_owned(),
            Self::Timeout(milliseconds) if *milliseconds < 60_000 => format!("{} seconds", milliseconds / 1000),
            Self::Timeout(60_000) => "1 minute".to_owned(),
            Self::Timeout(milliseconds) => format!("{} minutes", milliseconds / 60_000),
            Self::App(app) => app.label().to_owned(),
            Self::Page(page) => page.label().to_owned(),
            Self::Home => "home".to_owned(),
            Self::Note(text) => text.clone(),
        }
    }
}

fn get(setting: &str) -> String {
    format!("settings get {setting}")
}

fn put(setting: &str, value: &str) -> String {
    format!("settings put {setting} {value}")
}

/// `$` is quoted by single quotes: a shell must not read `$DisplaySettingsActivity` as a variable.
fn start(package: &str, activity: &str) -> String {
    if activity.contains('$') {
        return format!("am start -n '{package}/.{activity}'");
    }
    format!("am start -n {package}/.{activity}")
}

/// A line of the focus output that names `package`, and `activity` if it is not empty, with or without the package
/// before it.
fn in_front(package: &str, activity: &str) -> String {
    let package = regex::escape(package);
    if activity.is_empty() {
        return format!(r"(?s).*\b{package}/.*");
    }
    format!(r"(?s).*\b{package}/(?:{package})?\.{}\b.*", regex::escape(activity))
}

/// `wanted` itself, or any other of `all`.
fn other<T: Copy + PartialEq>(all: &[T], wanted: &T, same: bool, rng: &mut impl Rng) -> T {
    let others: Vec<T> = all.iter().copied().filter(|item| same == (item == wanted)).collect();
    others.choose(rng).copied().unwrap_or(*wanted)
}
