//! The two phones that a box can have: one set of hands for both.

use crate::{
    act,
    act::UnknownTarget,
    phone::{HEIGHT, Key, Phone, WIDTH},
    pixel::Pixel,
    shell::{Commands, ShellOutput},
};
use cua_grpo_android::{
    PhoneKind,
    action::{Action, Target},
};
use cua_grpo_gbox::wire::Button;
use std::{
    fmt::Debug,
    ops::{Deref, DerefMut},
};

/// What can be done with a phone, in pixels of its own screen, and what it says of itself.
pub trait Hands: Debug {
    /// Pixels of the screen, across and down.
    fn size(&self) -> (u32, u32);

    /// Touches a point for a moment.
    fn tap(&mut self, x: f64, y: f64);

    /// Touches a point for a long time.
    fn long_press(&mut self, x: f64, y: f64);

    /// Drags a finger in so many ms.
    fn swipe(&mut self, from: (f64, f64), to: (f64, f64), ms: i64);

    /// Scrolls by pixels: positive `dy` shows what is below, positive `dx` what is to the right.
    fn scroll(&mut self, x: f64, y: f64, dx: f64, dy: f64);

    /// Types into the field in focus; `replace` deletes first what stands there.
    fn type_text(&mut self, text: &str, replace: bool);

    /// Presses a key by its name in the API, e.g. `enter` or `a`.
    fn press(&mut self, key: &str);

    /// Presses keys at once.
    fn shortcut(&mut self, keys: &[String]);

    /// Presses a button of the device.
    fn button(&mut self, button: Button);

    /// Lets time pass, in ms.
    fn wait(&mut self, ms: i64);

    /// Where something is that is described in words; `None` when it is not there, or cannot be told from others.
    fn find(&self, description: &str) -> Option<(f64, f64)>;

    /// Whether typed text would be received now.
    fn is_typing(&self) -> bool;

    /// The package of what is in front.
    fn front(&self) -> String;

    /// A number of everything that the phone is and knows.
    fn number(&self) -> u64;

    /// Runs one command of the shell.
    fn command(&mut self, name: &str, arguments: &[&str], input: &str) -> ShellOutput;
}

/// A phone of either kind. A clone is a snapshot; both go on alone.
#[derive(Debug, Clone)]
pub enum Handset {
    /// The small phone, which a tiny model can learn on.
    Small(Box<Phone>),
    /// The full phone.
    Pixel(Box<Pixel>),
}

impl Deref for Handset {
    type Target = dyn Hands;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Small(phone) => phone.as_ref(),
            Self::Pixel(phone) => phone.as_ref(),
        }
    }
}

impl DerefMut for Handset {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Small(phone) => phone.as_mut(),
            Self::Pixel(phone) => phone.as_mut(),
        }
    }
}

impl Handset {
    /// Which kind it is.
    pub fn kind(&self) -> PhoneKind {
        match self {
            Self::Small(_) => PhoneKind::Small,
            Self::Pixel(_) => PhoneKind::Pixel,
        }
    }

    /// The small phone, if it is one.
    pub fn small(&self) -> Option<&Phone> {
        match self {
            Self::Small(phone) => Some(phone),
            Self::Pixel(_) => None,
        }
    }

    /// The small phone to change it, if it is one.
    pub fn small_mut(&mut self) -> Option<&mut Phone> {
        match self {
            Self::Small(phone) => Some(phone),
            Self::Pixel(_) => None,
        }
    }

    /// The full phone, if it is one.
    pub fn pixel(&self) -> Option<&Pixel> {
        match self {
            Self::Small(_) => None,
            Self::Pixel(phone) => Some(phone),
        }
    }

    /// Does what an action says; a report changes nothing.
    ///
    /// # Errors
    /// [`UnknownTarget`]; then nothing was done.
    pub fn perform(&mut self, action: &Action) -> Result<(), UnknownTarget> {
        match self {
            Self::Small(phone) => phone.perform(action),
            Self::Pixel(phone) => act::perform(phone.as_mut(), action),
        }
    }

    /// Where a target is, in pixels of the screen.
    ///
    /// # Errors
    /// [`UnknownTarget`] when a description fits nothing on the screen, or several things equally well.
    pub fn locate(&self, target: &Target) -> Result<(f64, f64), UnknownTarget> {
        act::locate(&**self, target)
    }
}

/// Time stands still on the small phone, and a finger takes none.
impl Hands for Phone {
    fn size(&self) -> (u32, u32) {
        (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs())
    }

    fn tap(&mut self, x: f64, y: f64) {
        Phone::tap(self, x, y);
    }

    fn long_press(&mut self, x: f64, y: f64) {
        Phone::long_press(self, x, y);
    }

    fn swipe(&mut self, from: (f64, f64), to: (f64, f64), _ms: i64) {
        Phone::swipe(self, from, to);
    }

    fn scroll(&mut self, x: f64, y: f64, dx: f64, dy: f64) {
        Phone::scroll(self, x, y, dx, dy);
    }

    fn type_text(&mut self, text: &str, replace: bool) {
        Phone::type_text(self, text, replace);
    }

    fn press(&mut self, key: &str) {
        Phone::press(self, key);
    }

    /// Copying takes the whole note, as there is no selection here; other shortcuts do nothing.
    fn shortcut(&mut self, keys: &[String]) {
        let held = |names: &[&str]| keys.iter().any(|key| names.contains(&key.as_str()));
        if !held(&["control", "meta", "cmd"]) || keys.len() != 2 || !self.is_typing() {
            return;
        }
        let text = self.draft().to_owned();
        if held(&["c", "x"]) && !text.is_empty() {
            self.clipboard = text;
        }
        if held(&["x"]) {
            Phone::type_text(self, "", true);
        } else if held(&["v"]) {
            let text = self.clipboard.clone();
            Phone::type_text(self, &text, false);
        }
    }

    fn button(&mut self, button: Button) {
        self.key(match button {
            Button::Back => Key::Back,
            Button::Home => Key::Home,
            _ => Key::Other,
        });
    }

    fn wait(&mut self, _ms: i64) {}

    fn find(&self, description: &str) -> Option<(f64, f64)> {
        let (x, y) = self.resolve(description)?;
        Some((f64::from(x), f64::from(y)))
    }

    fn is_typing(&self) -> bool {
        Phone::is_typing(self)
    }

    fn front(&self) -> String {
        self.package().to_owned()
    }

    fn number(&self) -> u64 {
        self.state()
    }

    fn command(&mut self, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
        Commands::run(self, name, arguments, input)
    }
}
