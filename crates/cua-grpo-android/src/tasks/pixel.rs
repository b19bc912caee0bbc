//! Goals on a Pixel: the commands of Android 13 to 15 that bring them about and read them, and an expert's way to them.

use super::{Check, Goal, Step};
use crate::names::{App, Level, Page, Toggle};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Names the window that has the focus.
const FOCUS: &str = "dumpsys window | grep mCurrentFocus";
/// Prints the nodes of the screen. A page of the settings that was reached by taps has no class of its own.
const LAYOUT: &str = "uiautomator dump /dev/tty";
/// Tables that the simulated phone alone has: on a real one they need root, or there are none.
const NOTES: &str = "content://com.google.android.keep/notes";
const ALARMS: &str = "content://com.google.android.deskclock/alarms";

impl Toggle {
    /// Commands that turn it on or off.
    fn commands(self, on: bool) -> Vec<String> {
        let pick = |yes: &'static str, no: &'static str| if on { yes } else { no };
        let able = pick("enable", "disable");
        vec![match self {
            Self::Wifi => format!("svc wifi {able}"),
            Self::Bluetooth => format!("cmd bluetooth_manager {able}"),
            Self::Airplane => format!("cmd connectivity airplane-mode {able}"),
            Self::MobileData => format!("svc data {able}"),
            Self::DarkTheme => format!("cmd uimode night {}", pick("yes", "no")),
            Self::AutoRotate => format!("settings put system accelerometer_rotation {}", pick("1", "0")),
            Self::DoNotDisturb => format!("cmd notification set_dnd {}", pick("priority", "off")),
            Self::Location => format!("cmd location set-location-enabled {}", pick("true", "false")),
            // A phone that charges does not save.
            Self::BatterySaver => {
                return vec![
                    "cmd battery unplug".to_owned(),
                    format!("cmd power set-mode {}", pick("1", "0")),
                ];
            }
        }]
    }

    /// What tells whether it is on. Wi-Fi is 2 while it is on in airplane mode, and 3 while that mode keeps it off.
    fn question(self, on: bool) -> (String, &'static str) {
        let expect = match (self, on) {
            (Self::DarkTheme, _) => {
                let expect = if on { "Night mode: yes" } else { "Night mode: no" };
                return ("cmd uimode night".to_owned(), expect);
            }
            (Self::Wifi | Self::Bluetooth, true) => "[12]",
            (Self::Wifi, false) => "[03]",
            _ => self.pattern(on),
        };
        (format!("settings get {}", self.setting()), expect)
    }

    /// The rows from the settings to its page, and what is written beside it there.
    fn way(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Wifi => (&["Network & internet", "Internet"], "Wi-Fi"),
            Self::Bluetooth => (
                &["Connected devices", "Connection preferences", "Bluetooth"],
                "Use Bluetooth",
            ),
            Self::Airplane => (&["Network & internet"], "Airplane mode"),
            Self::MobileData => (&["Network & internet", "SIMs"], "Mobile data"),
            Self::DarkTheme => (&["Display", "Dark theme"], "Use Dark theme"),
            Self::AutoRotate => (&["Display"], "Auto-rotate screen"),
            Self::DoNotDisturb => (&["Sound & vibration", "Do Not Disturb"], ""),
            Self::BatterySaver => (&["Battery", "Battery Saver"], "Use Battery Saver"),
            Self::Location => (&["Location"], "Use location"),
        }
    }
}

/// Hour and minute without leading zeros.
fn parts(time: &str) -> (u32, u32) {
    let (hour, minute) = time.split_once(':').unwrap_or((time, "0"));
    (hour.parse().unwrap_or_default(), minute.parse().unwrap_or_default())
}

fn start(component: &str) -> String {
    format!("am start -n '{component}'")
}

/// `wanted` itself, or any other of `all`.
fn other<T: Copy + PartialEq>(all: &[T], wanted: T, same: bool, rng: &mut impl Rng) -> T {
    let fitting: Vec<T> = all.iter().copied().filter(|item| same == (*item == wanted)).collect();
    fitting.choose(rng).copied().unwrap_or(wanted)
}

fn start_app(app: App) -> String {
    let (_, package, class) = app.on_pixel();
    start(&format!("{package}/{class}"))
}

fn start_page(page: Page) -> String {
    start(&format!("com.android.settings/.{}", page.activity()))
}

/// The question that tells whether a goal holds.
pub(super) fn check(goal: &Goal) -> Check {
    let in_front = |packages: [&str; 2]| {
        let [a, b] = packages.map(regex::escape);
        (FOCUS.to_owned(), format!(r"(?s).*[ ](?:{a}|{b})/.*"))
    };
    let (command, expect) = match goal {
        Goal::Toggle { toggle, on } => {
            let (command, expect) = toggle.question(*on);
            (command, expect.to_owned())
        }
        Goal::Brightness(level) => (
            "settings get system screen_brightness".to_owned(),
            level.pattern().to_owned(),
        ),
        Goal::Timeout(milliseconds) => (
            "settings get system screen_off_timeout".to_owned(),
            milliseconds.to_string(),
        ),
        Goal::App(app) => in_front([app.on_pixel().1, app.package()]),
        Goal::Home => in_front(["com.google.android.apps.nexuslauncher", "com.android.launcher3"]),
        Goal::Page(page) => {
            let title = page
                .on_pixel()
                .last()
                .copied()
                .unwrap_or_default()
                .replace('&', "&amp;");
            let bar = r#"resource-id="com\.android\.settings:id/collapsing_toolbar"[^>]*"#;
            let expect = format!(r#"(?s).*{bar} content-desc="{}".*"#, regex::escape(&title));
            (LAYOUT.to_owned(), expect)
        }
        Goal::Note(text) => {
            let row = format!(r"(?sm).*^Row: \d+ body={}$.*", regex::escape(text));
            (format!("content query --uri {NOTES} --projection body"), row)
        }
        Goal::Alarm { time, on } => {
            let ((hour, minute), enabled) = (parts(time), u8::from(*on));
            let row = format!(r"(?sm).*^Row: \d+ hour={hour}, minutes={minute}, enabled={enabled}$.*");
            let command = format!("content query --uri {ALARMS} --projection hour:minutes:enabled");
            (command, row)
        }
    };
    Check { command, expect }
}

/// Commands after which a goal does not hold, or holds; `None` where only the policy can bring it about.
pub(super) fn set(goal: &Goal, done: bool, rng: &mut impl Rng) -> Option<Vec<String>> {
    let home = || vec!["input keyevent KEYCODE_HOME".to_owned()];
    Some(match goal {
        Goal::Toggle { toggle, on } => toggle.commands(*on == done),
        Goal::Brightness(level) => {
            let level = other(&Level::ALL, *level, done, rng);
            vec![
                "settings put system screen_brightness_mode 0".to_owned(),
                format!("settings put system screen_brightness {}", level.middle()),
            ]
        }
        Goal::Timeout(milliseconds) => {
            let timeout = other(&Goal::TIMEOUTS, *milliseconds, done, rng);
            vec![format!("settings put system screen_off_timeout {timeout}")]
        }
        // Home is where most attempts start; sometimes another place of the same kind is open.
        Goal::App(app) if done || rng.random_bool(0.2) => vec![start_app(other(&App::ALL, *app, done, rng))],
        Goal::Page(page) if done || rng.random_bool(0.2) => {
            vec![start_page(other(&Page::ASKED, *page, done, rng))]
        }
        Goal::App(_) | Goal::Page(_) => home(),
        Goal::Home if done => home(),
        Goal::Home if rng.random_bool(0.5) => {
            vec![start_page(Page::ASKED[rng.random_range(0..Page::ASKED.len())])]
        }
        Goal::Home => vec![start_app(App::ALL[rng.random_range(0..App::ALL.len())])],
        Goal::Note(_) if done => return None,
        Goal::Note(_) => Vec::new(),
        Goal::Alarm { time, on } => {
            let ((hour, minute), enabled) = (parts(time), u8::from(*on == done));
            vec![
                // What the instruction says is then what the clock shows.
                "settings put system time_12_24 24".to_owned(),
                format!("content delete --uri {ALARMS} --where \"hour={hour} AND minutes={minute}\""),
                format!(
                    "content insert --uri {ALARMS} --bind hour:i:{hour} --bind minutes:i:{minute} --bind \
                     enabled:i:{enabled}"
                ),
            ]
        }
    })
}

/// Finds a row and taps it, one after another.
fn follow(steps: &mut Vec<Step>, rows: &[&str]) {
    for row in rows {
        steps.push(Step::Find((*row).to_owned()));
        steps.push(tap(row));
    }
}

fn tap(what: &str) -> Step {
    Step::Tap {
        what: what.to_owned(),
        if_shown: false,
    }
}

fn open(app: App) -> Step {
    Step::Open(app.on_pixel().0.to_owned())
}

/// How an expert brings a goal about, whatever stands before it.
pub(super) fn steps(goal: &Goal) -> Vec<Step> {
    let mut steps = Vec::new();
    match goal {
        Goal::Toggle { toggle, on } => {
            let (rows, label) = toggle.way();
            steps.push(open(App::Settings));
            follow(&mut steps, rows);
            let what = label.to_owned();
            match toggle {
                Toggle::DoNotDisturb => steps.push(Step::Tap {
                    what: if *on { "Turn on now" } else { "Turn off now" }.to_owned(),
                    if_shown: true,
                }),
                _ => {
                    steps.push(Step::Find(what.clone()));
                    steps.push(Step::Switch { what, on: *on });
                }
            }
        }
        Goal::Brightness(level) => {
            steps.push(open(App::Settings));
            follow(&mut steps, &["Display", "Brightness level"]);
            // The slider follows a curve: most of it is dark.
            let percent = match level {
                Level::Low => 40.0,
                Level::Medium => 87.0,
                Level::High => 97.0,
            };
            steps.push(Step::Slide {
                what: "Display brightness".to_owned(),
                percent,
            });
        }
        Goal::Timeout(_) => {
            steps.push(open(App::Settings));
            follow(&mut steps, &["Display", "Screen timeout", &goal.word()]);
        }
        Goal::App(app) => steps.push(open(*app)),
        Goal::Page(page) => {
            steps.push(open(App::Settings));
            follow(&mut steps, page.on_pixel());
        }
        Goal::Home => steps.push(Step::Button(crate::action::ButtonName::Home)),
        Goal::Note(text) => {
            steps.push(open(App::Notes));
            steps.push(tap("New text note"));
            steps.push(Step::Type {
                text: text.clone(),
                into: Some("Note".to_owned()),
            });
        }
        Goal::Alarm { time, on } => {
            steps.push(open(App::Clock));
            steps.push(tap("Alarm"));
            steps.push(Step::Find(time.clone()));
            steps.push(Step::Switch {
                what: format!("{time} alarm on or off"),
                on: *on,
            });
        }
    }
    steps
}
