//! What varies between phones of different seeds: orders, colours, words, and where the phone starts.

use crate::{
    phone::{Alarm, Screen, Startup},
    settings::{Settings, TIMEOUTS},
};
use cua_grpo_android::names::{App, Page, Toggle};
use cua_grpo_phone::state::Table;
use rand::{Rng, SeedableRng, seq::IndexedRandom, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

const ACCENTS: [[u8; 3]; 6] = [
    [26, 115, 232],
    [0, 137, 123],
    [142, 36, 170],
    [216, 67, 21],
    [57, 73, 171],
    [46, 125, 50],
];
const WALLPAPERS: [([u8; 3], [u8; 3]); 6] = [
    ([70, 110, 170], [170, 200, 225]),
    ([60, 120, 100], [190, 215, 170]),
    ([120, 80, 140], [230, 180, 190]),
    ([190, 120, 80], [245, 215, 170]),
    ([40, 52, 78], [110, 126, 160]),
    ([90, 140, 150], [225, 225, 205]),
];
const STARTUPS: [(&str, &str); 5] = [
    ("Battery low", "OK"),
    ("Update ready", "Later"),
    ("Rate this phone", "Not now"),
    ("Storage is full", "Dismiss"),
    ("New SIM card", "Got it"),
];
const NOTES: [&str; 5] = [
    "Rent is due",
    "Book dentist",
    "Red bike lock 7",
    "Ideas for May",
    "Fix the lamp",
];
const ALARMS: [&str; 8] = ["05:45", "06:10", "06:50", "07:15", "08:05", "09:20", "10:40", "21:35"];
/// Share of phones that greet with a dialog.
const STARTUP_SHARE: f64 = 0.25;
/// Share of phones on which an app is open at first.
const START_INSIDE_SHARE: f64 = 0.5;

/// The looks of one phone; they never change while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Appearance {
    /// Apps of each launcher page, in reading order.
    pub pages: Vec<Vec<App>>,
    /// Order of the rows of the settings root.
    pub root: Vec<Page>,
    /// Shuffles the rows of each sub page.
    pub order_seed: u64,
    pub accent: [u8; 3],
    /// Wallpaper: colour at the top and at the bottom.
    pub wallpaper: ([u8; 3], [u8; 3]),
    /// What the status bar's clock shows.
    pub clock: String,
}

/// Everything that a seed decides.
pub(crate) struct Birth {
    pub appearance: Appearance,
    pub settings: Settings,
    pub alarms: Vec<Alarm>,
    pub notes: Vec<String>,
    pub launcher_page: usize,
    pub start: Vec<Screen>,
    pub startup: Option<Startup>,
}

impl Appearance {
    /// The rows of a sub page, in the order of this phone.
    pub fn shuffled<T>(&self, page: Page, mut rows: Vec<T>) -> Vec<T> {
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(self.order_seed ^ (page as u64 + 1)));
        rows
    }
}

/// Draws everything that varies from one seed.
pub(crate) fn birth(seed: u64) -> Birth {
    let rng = &mut ChaCha8Rng::seed_from_u64(cua_grpo_core::derive_seed(&[seed, 0x9470]));
    let appearance = appearance(rng);
    let settings = settings(rng);
    let mut times: Vec<&str> = ALARMS.choose_multiple(rng, 3).copied().collect();
    times.sort_unstable();
    let alarms = times
        .into_iter()
        .map(|time| Alarm {
            time: time.to_owned(),
            enabled: rng.random_bool(0.5),
        })
        .collect();
    let count = rng.random_range(0..=2);
    let notes = NOTES.choose_multiple(rng, count).map(|&note| note.to_owned()).collect();
    let launcher_page = usize::from(rng.random_bool(0.35));
    let start = if rng.random_bool(START_INSIDE_SHARE) {
        start_inside(rng)
    } else {
        Vec::new()
    };
    let startup = rng.random_bool(STARTUP_SHARE).then(|| {
        let (title, button) = STARTUPS[rng.random_range(0..STARTUPS.len())];
        Startup {
            title: title.to_owned(),
            button: button.to_owned(),
        }
    });
    Birth {
        appearance,
        settings,
        alarms,
        notes,
        launcher_page,
        start,
        startup,
    }
}

fn appearance(rng: &mut ChaCha8Rng) -> Appearance {
    let mut apps = App::ALL.to_vec();
    apps.shuffle(rng);
    let second = apps.split_off(rng.random_range(4..=8));
    let mut root = Page::ALL.to_vec();
    root.shuffle(rng);
    Appearance {
        pages: vec![apps, second],
        root,
        order_seed: rng.random(),
        accent: ACCENTS[rng.random_range(0..ACCENTS.len())],
        wallpaper: WALLPAPERS[rng.random_range(0..WALLPAPERS.len())],
        clock: format!("{:02}:{:02}", rng.random_range(0..24), rng.random_range(0..60)),
    }
}

fn settings(rng: &mut ChaCha8Rng) -> Settings {
    let mut settings = Settings::default();
    for toggle in Toggle::ALL {
        settings.set(toggle, rng.random_bool(0.5));
    }
    settings.put(
        Table::System,
        "screen_brightness",
        rng.random_range(10..=245).to_string(),
    );
    settings.put(
        Table::System,
        "screen_off_timeout",
        TIMEOUTS[rng.random_range(0..TIMEOUTS.len())].0.to_string(),
    );
    settings
}

fn start_inside(rng: &mut ChaCha8Rng) -> Vec<Screen> {
    // The settings are where most tasks lead, so they are open on most of these phones.
    if rng.random_bool(0.6) {
        let page = Screen::SettingsPage(Page::ALL[rng.random_range(0..Page::ALL.len())]);
        return if rng.random_bool(0.4) {
            vec![Screen::Settings, page]
        } else {
            vec![Screen::Settings]
        };
    }
    vec![Screen::of(App::ALL[rng.random_range(0..App::ALL.len())])]
}
