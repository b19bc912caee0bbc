//! Going from place to place: apps, pages, home, back, recent apps.

use super::{LAUNCHER, Place, State, Task, Toggle, Window};

impl State {
    /// The package in front, behind shade and lock screen.
    pub fn front_package(&self) -> &str {
        match self.tasks.last() {
            Some(task) if self.in_app => &task.package,
            _ => LAUNCHER,
        }
    }

    /// The window that touches and keys go to first.
    pub fn front_window(&self) -> Window {
        if self.locked {
            Window::Lock
        } else if self.shade > 0 {
            Window::Shade
        } else if self.recents {
            Window::Recents
        } else if self.in_app && !self.tasks.is_empty() {
            Window::App
        } else {
            Window::Home
        }
    }

    /// The place of a window; the app's is the one in front.
    pub fn place(&self, window: Window) -> &Place {
        static NOWHERE: std::sync::LazyLock<Place> = std::sync::LazyLock::new(Place::default);
        match window {
            Window::App => self.tasks.last().and_then(|task| task.places.last()),
            other => self.places.get(&other),
        }
        .unwrap_or(&NOWHERE)
    }

    /// The place of a window, to change it.
    pub fn place_mut(&mut self, window: Window) -> &mut Place {
        if window == Window::App
            && let Some(task) = self.tasks.last()
            && !task.places.is_empty()
        {
            // Two steps, since the borrow of the first would last too long.
            let last = self.tasks.len() - 1;
            let places = &mut self.tasks[last].places;
            let end = places.len() - 1;
            return &mut places[end];
        }
        self.places.entry(window).or_default()
    }

    /// The place of the page in front.
    pub fn page(&self) -> &Place {
        self.place(Window::App)
    }

    /// The place of the page in front, to change it.
    pub fn page_mut(&mut self) -> &mut Place {
        self.place_mut(Window::App)
    }

    /// Brings an app to the front, as its icon does: where it was left.
    pub fn launch(&mut self, package: &str) {
        let Some(class) = self.packages.get(package).map(|package| package.activity.clone()) else {
            return;
        };
        if class.is_empty() {
            return;
        }
        if package == LAUNCHER {
            self.home();
            return;
        }
        self.leave_over();
        if let Some(known) = self.packages.get_mut(package) {
            known.stopped = false;
        }
        match self.tasks.iter().position(|task| task.package == package) {
            Some(index) => {
                let task = self.tasks.remove(index);
                self.tasks.push(task);
            }
            None => self.add_task(package, Place::new(&class, "")),
        }
        self.in_app = true;
    }

    fn add_task(&mut self, package: &str, place: Place) {
        const MOST_TASKS: usize = 24;
        let id = self.fresh_id();
        self.tasks.push(Task {
            id,
            package: package.to_owned(),
            places: vec![place],
        });
        if self.tasks.len() > MOST_TASKS {
            self.tasks.remove(0);
        }
    }

    /// Starts a page of an app in a fresh task, as an intent does.
    pub fn start(&mut self, package: &str, place: Place) {
        if !self.packages.contains_key(package) {
            return;
        }
        self.leave_over();
        if let Some(known) = self.packages.get_mut(package) {
            known.stopped = false;
        }
        self.tasks.retain(|task| task.package != package);
        self.add_task(package, place);
        self.in_app = true;
    }

    /// Opens a page above the one in front.
    pub fn push(&mut self, place: Place) {
        const MOST_PLACES: usize = 32;
        self.keyboard = super::Keyboard::default();
        self.fling = None;
        if let Some(task) = self.tasks.last_mut()
            && task.places.len() < MOST_PLACES
        {
            task.places.push(place);
        }
    }

    /// Opens a page of the same app, of the same class.
    pub fn open(&mut self, page: &str) {
        let class = self.page().class.clone();
        self.push(Place::new(&class, page));
    }

    /// Opens a page that is about something with a number.
    pub fn open_about(&mut self, page: &str, about: impl std::fmt::Display) {
        self.open(page);
        self.page_mut().set("id", about.to_string());
    }

    /// Closes the page in front; the last one of an app goes home.
    pub fn close_page(&mut self) {
        self.keyboard = super::Keyboard::default();
        self.fling = None;
        if let Some(task) = self.tasks.last_mut() {
            if task.places.len() > 1 {
                task.places.pop();
                return;
            }
            self.in_app = false;
            // What an intent opened is over; the first page stays, as the launcher left it.
            if task.places.first().is_some_and(|place| !place.page.is_empty()) {
                self.tasks.pop();
            }
        }
    }

    /// The back key or gesture.
    pub fn back(&mut self) {
        self.fling = None;
        if self.prompt.take().is_some() {
            return;
        }
        let window = self.front_window();
        if self.keyboard_shown() {
            self.keyboard.hidden = true;
            return;
        }
        match window {
            Window::Lock => {
                self.place_mut(Window::Lock).set("bouncer", "");
            }
            Window::Shade => self.shade = if self.shade == 2 { 1 } else { 0 },
            Window::Recents => self.recents = false,
            Window::Home => {
                if self.place_mut(Window::Home).close_over() {
                    self.place_mut(Window::Home).fields.clear();
                } else {
                    let place = self.place_mut(Window::Home);
                    place.set("drawer", "");
                    place.fields.clear();
                    place.focus = None;
                }
            }
            _ => {
                if !self.page_mut().close_over() {
                    self.close_page();
                }
            }
        }
    }

    /// The home key or gesture.
    pub fn home(&mut self) {
        if self.locked {
            return;
        }
        let was_home = self.front_window() == Window::Home;
        self.leave_over();
        self.in_app = false;
        let place = self.place_mut(Window::Home);
        let page = place.var("page").to_owned();
        *place = Place::default();
        if !was_home {
            place.set("page", page);
        }
    }

    /// The overview key: the recent apps, or back from there to the last one.
    pub fn overview(&mut self) {
        if self.locked {
            return;
        }
        let shown = self.recents;
        self.leave_over();
        self.recents = !shown;
        *self.place_mut(Window::Recents) = Place::default();
        if shown && !self.tasks.is_empty() {
            self.in_app = true;
        }
    }

    /// Closes what lies over apps: shade, recent apps, keyboard, panels.
    pub fn leave_over(&mut self) {
        self.shade = 0;
        self.recents = false;
        self.keyboard = super::Keyboard::default();
        self.fling = None;
        self.prompt = None;
        let home = self.place_mut(Window::Home);
        home.focus = None;
    }

    /// Ends an app: its task is gone.
    pub fn stop(&mut self, package: &str) {
        let front = self.in_app && self.tasks.last().is_some_and(|task| task.package == package);
        self.tasks.retain(|task| task.package != package);
        if let Some(known) = self.packages.get_mut(package) {
            known.stopped = true;
        }
        if front || self.tasks.is_empty() {
            self.in_app = false;
        }
    }

    /// Pulls the shade down so far.
    pub fn pull_shade(&mut self, level: u8) {
        self.keyboard.hidden = true;
        if level != self.shade {
            self.places.remove(&Window::Shade);
        }
        self.shade = level.min(2);
    }

    /// The power key.
    pub fn power(&mut self) {
        if self.awake { self.sleep() } else { self.wake() }
    }

    /// Turns the screen on.
    pub fn wake(&mut self) {
        self.awake = true;
        self.touched = self.now;
    }

    /// Turns the screen off and locks.
    pub fn sleep(&mut self) {
        self.awake = false;
        self.shade = 0;
        self.volume_panel = None;
        self.heads_up = None;
        self.locked = self.lock_enabled;
        self.places.remove(&Window::Lock);
    }

    /// Opens the lock screen, unless a code is asked for first.
    pub fn unlock(&mut self) {
        if self.pin.is_empty() {
            self.locked = false;
            self.places.remove(&Window::Lock);
        } else {
            self.place_mut(Window::Lock).set("bouncer", "1");
        }
    }

    /// Tries a code on the lock screen.
    pub fn try_pin(&mut self, code: &str) {
        let right = code == self.pin;
        let place = self.place_mut(Window::Lock);
        place.set("code", "");
        if right {
            self.locked = false;
            self.places.remove(&Window::Lock);
        } else {
            place.set("message", "Wrong PIN");
        }
    }

    /// Shows a short message.
    pub fn say(&mut self, text: impl Into<String>) {
        const TOAST: i64 = 2000;
        self.toast = Some((text.into(), self.now + TOAST));
    }

    /// Whether the phone turns by buttons below (three of them) instead of gestures.
    pub fn has_buttons(&self) -> bool {
        self.settings.get(super::Table::Secure, "navigation_mode") == Some("0")
    }

    /// Whether pages are dark.
    pub fn dark(&self) -> bool {
        self.on(Toggle::Dark)
    }
}
