//! The phone: its state, and how touches, text and keys change it. Nothing here reads a clock or does I/O.

use crate::{
    apps::{LAUNCHER_ACTIVITY, LAUNCHER_PACKAGE},
    guest::Guest,
    look::{self, Appearance},
    screens,
    settings::Settings,
    widget::{Effect, UiNode, Widget},
};
use cua_grpo_android::names::{App, Page};
use cua_grpo_phone::state::Table;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Width of the screen in pixels.
pub const WIDTH: i32 = 192;
/// Height of the screen in pixels.
pub const HEIGHT: i32 = 384;
/// Height of a row, of the status bar and of the navigation bar in pixels.
pub const ROW: i32 = 32;
/// Rows that fit between the two bars.
pub const VISIBLE_ROWS: usize = 10;
/// Characters that a note may have.
const MAX_NOTE: usize = 200;

/// What fills the space between the bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Screen {
    /// The pages of app icons.
    Launcher,
    /// The root list of the settings app.
    Settings,
    /// A sub page of the settings app.
    SettingsPage(Page),
    /// The list of alarms.
    Clock,
    /// The list of notes.
    Notes,
    /// A new note.
    NoteEditor,
    /// An app that only shows its name.
    Splash(App),
    /// An app that was installed, or the page of a browser: see [`Phone::guest`].
    Guest,
}

impl Screen {
    /// The first screen of an app.
    pub fn of(app: App) -> Self {
        match app {
            App::Settings => Screen::Settings,
            App::Clock => Screen::Clock,
            App::Notes => Screen::Notes,
            app => Screen::Splash(app),
        }
    }

    /// The app that a screen belongs to; `None` for the launcher.
    pub fn app(self) -> Option<App> {
        match self {
            Screen::Launcher | Screen::Guest => None,
            Screen::Settings | Screen::SettingsPage(_) => Some(App::Settings),
            Screen::Clock => Some(App::Clock),
            Screen::Notes | Screen::NoteEditor => Some(App::Notes),
            Screen::Splash(app) => Some(app),
        }
    }

    /// Package and fully qualified class, as `dumpsys` prints a component.
    pub fn component(self) -> String {
        let (package, class) = match (self, self.app()) {
            (Screen::SettingsPage(page), _) => (App::Settings.package(), page.activity()),
            (Screen::NoteEditor, _) => (App::Notes.package(), "NoteEditor"),
            (_, Some(app)) => (app.package(), app.activity()),
            (_, None) => (LAUNCHER_PACKAGE, LAUNCHER_ACTIVITY),
        };
        format!("{package}/{package}.{class}")
    }
}

/// A row of the clock app. The time is its key: there is at most one alarm a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// `HH:MM`.
    pub time: String,
    /// Whether it will ring.
    pub enabled: bool,
}

/// The dialog that some phones greet with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// What it says.
    pub title: String,
    /// The only button.
    pub button: String,
}

/// A key or button of the phone. Others (power, volume) exist on a device but change nothing that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The back button.
    Back,
    /// The home button.
    Home,
    /// Enter: ends typing.
    Enter,
    /// Deletes the last character.
    Backspace,
    /// Any other key: nothing happens.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub screen: Screen,
    /// Rows scrolled out at the top.
    pub scroll: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub text: String,
    pub focused: bool,
}

/// A simulated phone. Equal seeds and actions give equal pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    seed: u64,
    pub(crate) appearance: Appearance,
    /// The settings database.
    pub settings: Settings,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) notes: Vec<String>,
    pub(crate) launcher_page: usize,
    pub(crate) stack: Vec<Place>,
    pub(crate) startup: Option<Startup>,
    pub(crate) choosing_timeout: bool,
    pub(crate) draft: Draft,
    /// What [`Screen::Guest`] shows.
    pub(crate) guest: Option<Guest>,
    /// What was copied.
    pub(crate) clipboard: String,
}

impl Phone {
    /// A number of everything that the phone is and knows: equal phones have equal numbers, whatever they show.
    pub fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // All of the state is plain data, and its debug form shows all of it.
        format!("{self:?}").hash(&mut hasher);
        hasher.finish()
    }

    /// A phone whose looks, settings and starting point follow from `seed`.
    pub fn new(seed: u64) -> Self {
        let birth = look::birth(seed);
        Self {
            seed,
            appearance: birth.appearance,
            settings: birth.settings,
            alarms: birth.alarms,
            notes: birth.notes,
            launcher_page: birth.launcher_page,
            stack: birth
                .start
                .into_iter()
                .map(|screen| Place { screen, scroll: 0 })
                .collect(),
            startup: birth.startup,
            choosing_timeout: false,
            draft: Draft {
                text: String::new(),
                focused: true,
            },
            guest: None,
            clipboard: String::new(),
        }
    }

    /// The seed that the phone was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The screen in front, under any dialog.
    pub fn screen(&self) -> Screen {
        self.stack.last().map_or(Screen::Launcher, |place| place.screen)
    }

    /// The start-up dialog, while it is shown.
    pub fn startup(&self) -> Option<&Startup> {
        self.startup.as_ref()
    }

    /// Whether the choice of screen timeouts is open.
    pub fn is_choosing_timeout(&self) -> bool {
        self.choosing_timeout
    }

    /// Alarms, by time.
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// Notes, oldest first.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The text typed into the new note so far.
    pub fn draft(&self) -> &str {
        &self.draft.text
    }

    /// Which launcher page is in front, from 0.
    pub fn launcher_page(&self) -> usize {
        self.launcher_page
    }

    /// Whether the list in front can be scrolled to rows above and below, as its scroll bar shows.
    pub fn can_scroll(&self) -> (bool, bool) {
        let scroll = self.scroll_rows();
        (scroll > 0, scroll < screens::max_scroll(self))
    }

    /// What can be named on the screen now: only the dialog and the navigation bar while a dialog is open.
    pub fn nodes(&self) -> Vec<UiNode> {
        let widgets = screens::front(self);
        widgets
            .iter()
            .filter(|widget| !widget.label.is_empty())
            .map(Widget::node)
            .collect()
    }

    pub(crate) fn scroll_rows(&self) -> usize {
        self.stack
            .last()
            .map_or(0, |place| place.scroll.min(screens::max_scroll(self)))
    }

    /// Touches a point, in screenshot pixels. Outside the screen nothing happens.
    pub fn tap(&mut self, x: f64, y: f64) {
        let front = screens::front(self);
        let hit = front
            .iter()
            .rev()
            .find(|widget| widget.effect.is_some() && widget.bounds.contains(x, y));
        match hit.and_then(|widget| widget.effect.clone()) {
            Some(effect) => self.apply(effect, x),
            None if self.choosing_timeout && !screens::dialog_bounds(self).contains(x, y) => {
                self.choosing_timeout = false;
            }
            None => {}
        }
    }

    /// Touches a point for a long time: the same as a tap here, since no context menus are simulated.
    pub fn long_press(&mut self, x: f64, y: f64) {
        self.tap(x, y);
    }

    /// Drags a finger: content follows it, the launcher turns pages, and the brightness slider follows the end.
    pub fn swipe(&mut self, from: (f64, f64), to: (f64, f64)) {
        let slider =
            |widget: &Widget| widget.effect == Some(Effect::Brightness) && widget.bounds.contains(from.0, from.1);
        if screens::front(self).iter().any(slider) {
            self.apply(Effect::Brightness, to.0);
            return;
        }
        self.scroll(from.0, from.1, from.0 - to.0, from.1 - to.1);
    }

    /// Scrolls by pixels: positive `dy` reveals what is below, positive `dx` what is to the right. Lists snap to rows.
    pub fn scroll(&mut self, _x: f64, _y: f64, dx: f64, dy: f64) {
        const SMALLEST: f64 = ROW as f64 / 2.0;
        if self.startup.is_some() || self.choosing_timeout {
            return;
        }
        if self.screen() == Screen::Launcher {
            if dx.abs() >= SMALLEST && dx.abs() >= dy.abs() {
                let last = self.appearance.pages.len() - 1;
                self.launcher_page = if dx > 0.0 {
                    (self.launcher_page + 1).min(last)
                } else {
                    self.launcher_page.saturating_sub(1)
                };
            }
            return;
        }
        if dy.abs() < SMALLEST || dy.abs() < dx.abs() {
            return;
        }
        let rows = (dy.abs() / f64::from(ROW)).round().clamp(1.0, 1000.0) as usize;
        let (now, limit) = (self.scroll_rows(), screens::max_scroll(self));
        if let Some(place) = self.stack.last_mut() {
            place.scroll = if dy > 0.0 {
                (now + rows).min(limit)
            } else {
                now.saturating_sub(rows)
            };
        }
    }

    /// Types text into the focused field; without one nothing happens. Line breaks become spaces.
    pub fn type_text(&mut self, text: &str, replace: bool) {
        if !self.is_typing() {
            return;
        }
        if replace {
            self.draft.text.clear();
        }
        let room = MAX_NOTE.saturating_sub(self.draft.text.chars().count());
        let clean = text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter });
        self.draft.text.extend(clean.take(room));
    }

    /// Whether typed text would be received now.
    pub fn is_typing(&self) -> bool {
        self.screen() == Screen::NoteEditor && self.draft.focused && self.startup.is_none()
    }

    /// Presses a key.
    pub fn key(&mut self, key: Key) {
        match key {
            Key::Back => self.back(),
            Key::Home => self.home(),
            Key::Enter if self.is_typing() => self.draft.focused = false,
            Key::Backspace if self.is_typing() => drop(self.draft.text.pop()),
            Key::Enter | Key::Backspace | Key::Other => {}
        }
    }

    /// Brings a screen to the front in a fresh task, as the launcher and `am start` do.
    pub(crate) fn start(&mut self, screen: Screen) {
        self.choosing_timeout = false;
        self.stack.clear();
        self.guest = None;
        match screen {
            Screen::Launcher => {}
            Screen::SettingsPage(_) => {
                self.push(Screen::Settings);
                self.push(screen);
            }
            Screen::NoteEditor => {
                self.push(Screen::Notes);
                self.push(screen);
            }
            screen => self.push(screen),
        }
    }

    pub(crate) fn push(&mut self, screen: Screen) {
        if screen == Screen::NoteEditor {
            self.draft = Draft {
                text: String::new(),
                focused: true,
            };
        }
        self.stack.push(Place { screen, scroll: 0 });
    }

    fn back(&mut self) {
        if self.startup.take().is_some() || std::mem::take(&mut self.choosing_timeout) {
            return;
        }
        if self.stack.pop().is_some_and(|place| place.screen == Screen::Guest) {
            self.guest = None;
        }
    }

    fn home(&mut self) {
        if self.screen() == Screen::Launcher {
            self.launcher_page = 0;
        }
        self.start(Screen::Launcher);
    }

    fn apply(&mut self, effect: Effect, x: f64) {
        match effect {
            Effect::Open(screen) => self.push(screen),
            Effect::Flip(toggle) => self.settings.set(toggle, !self.settings.is_on(toggle)),
            Effect::Brightness => {
                let level = screens::brightness_at(x);
                self.settings.put(Table::System, "screen_brightness", level.to_string());
            }
            Effect::ChooseTimeout => self.choosing_timeout = true,
            Effect::SetTimeout(ms) => {
                self.settings.put(Table::System, "screen_off_timeout", ms.to_string());
                self.choosing_timeout = false;
            }
            Effect::FlipAlarm(index) => {
                if let Some(alarm) = self.alarms.get_mut(index) {
                    alarm.enabled = !alarm.enabled;
                }
            }
            Effect::NewNote => self.push(Screen::NoteEditor),
            Effect::FocusField => self.draft.focused = true,
            Effect::SaveNote => {
                let text = std::mem::take(&mut self.draft.text);
                if !text.trim().is_empty() {
                    self.notes.push(text.trim().to_owned());
                }
                self.stack.pop();
            }
            Effect::TypeKey(letter) => self.type_text(&letter.to_string(), false),
            Effect::Dismiss => {
                self.startup = None;
                self.choosing_timeout = false;
            }
            Effect::Back => self.back(),
            Effect::Home => self.home(),
        }
    }
}
