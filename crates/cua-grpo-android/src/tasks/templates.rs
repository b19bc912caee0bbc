//! The templates: what is asked for, in several wordings, and what shall be true afterwards.

use super::Goal;
use crate::names::{App, Level, Page, Toggle};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// A family of tasks. Its instances differ in wording, arguments, initial state and the seed of the device.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    /// Unique name, e.g. `wifi`.
    pub id: &'static str,
    /// `network`, `display`, `sound`, `system`, `apps`, `input` or `compound`.
    pub category: &'static str,
    /// `easy`, `medium` or `hard`.
    pub difficulty: &'static str,
    /// Wordings; `{a}` and `{b}` stand for the words of the first and second goal (`on`, `1 minute`), `{name}` and
    /// `{name2}` for their names, `{time}` for that of an alarm. A third goal has no word in a wording.
    pub instructions: &'static [&'static str],
    /// Draws the goals of an instance.
    pub goals: fn(&mut ChaCha8Rng) -> Vec<Goal>,
    /// Upper bound of turns, about twice what an expert needs.
    pub max_turns: usize,
}

fn switch(toggle: Toggle, rng: &mut ChaCha8Rng) -> Vec<Goal> {
    vec![Goal::Toggle {
        toggle,
        on: rng.random_bool(0.5),
    }]
}

fn one<T: Copy>(all: &[T], rng: &mut ChaCha8Rng) -> T {
    all[rng.random_range(0..all.len())]
}

fn note(rng: &mut ChaCha8Rng) -> Vec<Goal> {
    let verbs = [
        "buy", "call", "find", "pack", "fix", "send", "read", "paint", "wash", "sell",
    ];
    let nouns = [
        "milk", "apples", "Anna", "books", "the car", "a gift", "tickets", "the bike", "lunch", "a lamp",
    ];
    vec![Goal::Note(format!("{} {}", one(&verbs, rng), one(&nouns, rng)))]
}

fn alarm(rng: &mut ChaCha8Rng) -> Vec<Goal> {
    let time = format!("{:02}:{:02}", rng.random_range(5..10), 15 * rng.random_range(0..4));
    vec![Goal::Alarm {
        time,
        on: rng.random_bool(0.5),
    }]
}

fn two_pages(rng: &mut ChaCha8Rng) -> Vec<Goal> {
    let pairs = [
        (Toggle::DoNotDisturb, Toggle::BatterySaver),
        (Toggle::BatterySaver, Toggle::DoNotDisturb),
        (Toggle::Location, Toggle::AutoRotate),
        (Toggle::AutoRotate, Toggle::Location),
    ];
    let (first, second) = pairs.choose(rng).copied().unwrap_or(pairs[0]);
    [first, second]
        .into_iter()
        .flat_map(|toggle| switch(toggle, rng))
        .collect()
}

/// What an instruction calls a switch.
pub(super) fn spoken(toggle: Toggle) -> &'static str {
    match toggle {
        Toggle::Wifi => "Wi-Fi",
        Toggle::Bluetooth => "Bluetooth",
        Toggle::Airplane => "airplane mode",
        Toggle::DoNotDisturb => "do not disturb",
        Toggle::DarkTheme => "dark theme",
        Toggle::Location => "location",
        Toggle::AutoRotate => "auto-rotate",
        Toggle::BatterySaver => "battery saver",
        Toggle::MobileData => "mobile data",
    }
}

const SWITCH: &[&str] = &[
    "Turn {a} {name}.",
    "Switch {name} {a}.",
    "Set {name} to {a}.",
    "Make sure that {name} is {a}.",
];

macro_rules! switch_template {
    ($id:literal, $category:literal, $toggle:ident) => {
        Template {
            id: $id,
            category: $category,
            difficulty: "easy",
            instructions: SWITCH,
            goals: |rng| switch(Toggle::$toggle, rng),
            max_turns: 12,
        }
    };
}

/// All templates, in the order of their numbers.
pub const TEMPLATES: &[Template] = &[
    switch_template!("wifi", "network", Wifi),
    switch_template!("bluetooth", "network", Bluetooth),
    switch_template!("airplane", "network", Airplane),
    switch_template!("mobile_data", "network", MobileData),
    switch_template!("dark_theme", "display", DarkTheme),
    switch_template!("auto_rotate", "display", AutoRotate),
    switch_template!("do_not_disturb", "sound", DoNotDisturb),
    switch_template!("battery_saver", "system", BatterySaver),
    switch_template!("location", "system", Location),
    Template {
        id: "brightness",
        category: "display",
        difficulty: "medium",
        instructions: &[
            "Set the brightness to {a}.",
            "Change the screen brightness to {a}.",
            "Make the brightness {a}.",
        ],
        goals: |rng| vec![Goal::Brightness(one(&Level::ALL, rng))],
        max_turns: 12,
    },
    Template {
        id: "screen_timeout",
        category: "display",
        difficulty: "medium",
        instructions: &["Set the screen timeout to {a}.", "Let the screen turn off after {a}."],
        goals: |rng| vec![Goal::Timeout(one(&Goal::TIMEOUTS, rng))],
        max_turns: 14,
    },
    Template {
        id: "open_app",
        category: "apps",
        difficulty: "easy",
        instructions: &["Open {a}.", "Open the {a} app.", "Start {a}."],
        goals: |rng| vec![Goal::App(one(&App::ALL, rng))],
        max_turns: 8,
    },
    Template {
        id: "open_page",
        category: "apps",
        difficulty: "easy",
        instructions: &["Open the {a} settings.", "Show the {a} page of the settings."],
        goals: |rng| vec![Goal::Page(one(&Page::ASKED, rng))],
        max_turns: 12,
    },
    Template {
        id: "go_home",
        category: "apps",
        difficulty: "easy",
        instructions: &["Go to the home screen.", "Return to the home screen."],
        goals: |_| vec![Goal::Home],
        max_turns: 6,
    },
    Template {
        id: "write_note",
        category: "input",
        difficulty: "hard",
        instructions: &["Write a note: {a}", "Add a note that says: {a}"],
        goals: note,
        max_turns: 16,
    },
    Template {
        id: "alarm",
        category: "apps",
        difficulty: "medium",
        instructions: &["Turn {a} the alarm at {time}.", "Switch the {time} alarm {a}."],
        goals: alarm,
        max_turns: 12,
    },
    Template {
        id: "wifi_and_bluetooth",
        category: "compound",
        difficulty: "medium",
        instructions: &[
            "Turn {a} Wi-Fi and turn {b} Bluetooth.",
            "Set Wi-Fi to {a} and Bluetooth to {b}.",
        ],
        goals: |rng| {
            [Toggle::Wifi, Toggle::Bluetooth]
                .into_iter()
                .flat_map(|toggle| switch(toggle, rng))
                .collect()
        },
        max_turns: 14,
    },
    Template {
        id: "airplane_off_wifi_on",
        category: "compound",
        difficulty: "medium",
        instructions: &[
            "Turn {a} airplane mode and turn {b} Wi-Fi.",
            "Make sure airplane mode is {a} and Wi-Fi is {b}.",
        ],
        goals: |_| {
            let goal = |toggle, on| Goal::Toggle { toggle, on };
            vec![goal(Toggle::Airplane, false), goal(Toggle::Wifi, true)]
        },
        max_turns: 14,
    },
    Template {
        id: "dark_and_dim",
        category: "compound",
        difficulty: "hard",
        instructions: &[
            "Turn {a} dark theme and set the brightness to {b}.",
            "Switch dark theme {a}, brightness {b}.",
        ],
        goals: |_| {
            vec![
                Goal::Toggle {
                    toggle: Toggle::DarkTheme,
                    on: true,
                },
                Goal::Brightness(Level::Low),
            ]
        },
        max_turns: 14,
    },
    Template {
        id: "two_pages",
        category: "compound",
        difficulty: "hard",
        instructions: &[
            "Turn {a} {name} and turn {b} {name2}.",
            "Set {name} to {a} and {name2} to {b}.",
        ],
        goals: two_pages,
        max_turns: 18,
    },
];
