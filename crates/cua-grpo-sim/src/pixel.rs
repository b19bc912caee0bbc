//! The full phone as a box has it: in pixels of its screen, with a clock that actions move on, and with pictures that are
//! drawn and encoded once.

use crate::{
    handset::Hands,
    render,
    shell::{Commands, ShellOutput},
    widget::{NodeKind, Rect, UiNode},
};
use axum::body::Bytes;
use cua_grpo_gbox::wire::Button;
use cua_grpo_phone::{
    Frame, Key, Phone,
    state::{Display, Table, Toggle},
    ui::Node,
};
use image::{ImageError, RgbImage};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How long after an action the next one comes, in ms: a policy thinks meanwhile.
const PAUSE: i64 = 1000;

/// How a full phone is made. The same looks and seed give the same phone.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelLooks {
    /// Pixels of the screen, across and down, and dots per inch.
    pub display: Display,
    /// Whether its pages are dark; without it the seed says.
    pub dark: Option<bool>,
    /// The language that it says it has, e.g. `fr-FR`. Its texts are English.
    pub locale: Option<String>,
}

impl Default for PixelLooks {
    /// Half of a Pixel: 540x1200 at 210 dpi, with the layout of 1080x2400 at 420 dpi.
    fn default() -> Self {
        Self {
            display: Display::HALF,
            dark: None,
            locale: None,
        }
    }
}

/// The picture that was encoded last, and what it was made of.
type Encoded = Arc<Mutex<Option<(Arc<Vec<u8>>, Bytes)>>>;

/// A full phone.
#[derive(Debug, Clone)]
pub struct Pixel {
    phone: Phone,
    /// The number of its state, where it is known.
    number: OnceLock<u64>,
    encoded: Encoded,
}

impl Pixel {
    /// A phone that follows from its looks and a seed.
    pub fn new(seed: u64, looks: &PixelLooks) -> Self {
        let mut phone = Phone::new(seed, looks.display);
        let state = phone.state_mut();
        let born = state.booted;
        state.files.add_system(born);
        if let Some(dark) = looks.dark {
            state.turn(Toggle::Dark, dark);
        }
        if let Some(locale) = &looks.locale {
            state.props.insert("persist.sys.locale".to_owned(), locale.clone());
            state.settings.put(Table::System, "system_locales", locale.clone());
        }
        Self {
            phone,
            number: OnceLock::new(),
            encoded: Encoded::default(),
        }
    }

    /// The phone.
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// The phone, to change it.
    pub fn phone_mut(&mut self) -> &mut Phone {
        self.number.take();
        &mut self.phone
    }

    /// What it shows. Nothing is drawn where nothing has changed.
    pub(crate) fn frame(&mut self) -> Frame {
        self.phone.frame()
    }

    /// A frame as a PNG file; one that was encoded last is not encoded again.
    ///
    /// # Errors
    /// Whatever the encoder reports.
    pub(crate) fn png(&self, frame: &Frame) -> Result<Bytes, ImageError> {
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, png)) = encoded.as_ref()
            && Arc::ptr_eq(known, &frame.rgba)
        {
            return Ok(png.clone());
        }
        let png = Bytes::from(render::encode(&picture(frame))?);
        *encoded = Some((frame.rgba.clone(), png.clone()));
        Ok(png)
    }

    /// What can be named on the screen.
    pub(crate) fn nodes(&self) -> Vec<UiNode> {
        let scene = self.phone.scene();
        let front = scene.nodes.get(scene.modal..).unwrap_or_default();
        front.iter().filter_map(node).collect()
    }

    /// The whole list in front from where it stands down to its end, at most `most` pixels high, and the phone scrolled as
    /// far as that.
    pub(crate) fn scrolled(mut self, most: u32) -> (RgbImage, Self) {
        let scene = self.phone.scene();
        let lists = scene.nodes.iter().skip(scene.modal);
        let lists = lists.filter_map(|node| Some((node.rect, node.scroll.clone()?)));
        let largest = lists
            .filter(|(_, scroll)| scroll.max > scroll.offset)
            .max_by(|(a, _), (b, _)| (a.w * a.h).total_cmp(&(b.w * b.h)));
        let first = picture(&self.frame());
        let Some((rect, scroll)) = largest else {
            return (first, self);
        };
        let k = self.phone.state().display.scale();
        let (width, height) = first.dimensions();
        let (top, bottom) = (
            (rect.y.round().max(0.0) as u32).min(height),
            (rect.bottom().round().max(0.0) as u32).min(height),
        );
        let room = ((scroll.max - scroll.offset) * k).floor() as u32;
        let more = room.min(most.saturating_sub(height));
        let mut whole = RgbImage::new(width, height + more);
        image::imageops::replace(&mut whole, &first, 0, 0);
        let (mut shown, step) = (0, bottom.saturating_sub(top).max(1));
        while shown < more {
            let by = step.min(more - shown);
            shown += by;
            let place = self.phone_mut().state_mut().place_mut(scroll.window);
            place.scroll.insert(scroll.key, scroll.offset + shown as f32 / k);
            let next = picture(&self.frame());
            let rows = image::imageops::crop_imm(&next, 0, bottom - by, width, by).to_image();
            image::imageops::replace(&mut whole, &rows, 0, i64::from(bottom + shown - by));
        }
        let last = picture(&self.frame());
        let bar = image::imageops::crop_imm(&last, 0, bottom, width, height - bottom).to_image();
        image::imageops::replace(&mut whole, &bar, 0, i64::from(bottom + more));
        (whole, self)
    }

    fn key(&mut self, key: Key) {
        self.phone_mut().key(key);
    }

    /// What comes after a touch: lists come to rest, and time goes on.
    fn after(&mut self) {
        let phone = self.phone_mut();
        phone.settle();
        phone.advance(PAUSE);
    }
}

/// A frame without its opacity.
pub(crate) fn picture(frame: &Frame) -> RgbImage {
    let pixels = frame.rgba.chunks_exact(4);
    let bytes: Vec<u8> = pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    RgbImage::from_raw(frame.width, frame.height, bytes).unwrap_or_else(|| RgbImage::new(1, 1))
}

/// A node that has a name.
fn node(node: &Node) -> Option<UiNode> {
    let label = if node.text.is_empty() { &node.desc } else { &node.text };
    let [left, top, right, bottom] = node.rect.pixels();
    let is = |end: &str| node.class.ends_with(end);
    let kind = match node.class {
        _ if is("Switch") || is("CheckBox") || is("CompoundButton") => NodeKind::Switch,
        _ if is("RadioButton") || is("CheckedTextView") => NodeKind::Radio,
        _ if is("SeekBar") => NodeKind::Slider,
        _ if is("EditText") => NodeKind::TextField,
        _ if is("Key") => NodeKind::Key,
        _ if is("Button") => NodeKind::Button,
        _ if is("ImageView") => NodeKind::Icon,
        _ if node.clickable() => NodeKind::Row,
        _ => NodeKind::Text,
    };
    (!label.is_empty()).then(|| UiNode {
        label: label.clone(),
        kind,
        bounds: Rect::new(left, top, right - left, bottom - top),
        checked: node.checkable.then_some(node.checked),
    })
}

/// The key behind a name of the API. Keys that a phone has no use for are `Other`.
fn key(name: &str) -> Key {
    match name {
        "enter" | "numpadEnter" => Key::Enter,
        "backspace" => Key::Backspace,
        "delete" => Key::Delete,
        "escape" => Key::Back,
        "tab" => Key::Tab,
        "space" => Key::Char(' '),
        "home" => Key::Start,
        "end" => Key::End,
        "arrowLeft" => Key::Left,
        "arrowRight" => Key::Right,
        "volumeUp" => Key::VolumeUp,
        "volumeDown" => Key::VolumeDown,
        "volumeMute" => Key::Mute,
        "numpadAdd" => Key::Char('+'),
        "numpadSubtract" => Key::Char('-'),
        "numpadMultiply" => Key::Char('*'),
        "numpadDivide" => Key::Char('/'),
        "numpadDecimal" => Key::Char('.'),
        "numpadEqual" => Key::Char('='),
        other => {
            let plain = other.strip_prefix("numpad").unwrap_or(other);
            let mut letters = plain.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => Key::Char(letter),
                _ => Key::Other,
            }
        }
    }
}

impl Hands for Pixel {
    fn size(&self) -> (u32, u32) {
        let Display { width, height, .. } = self.phone.state().display;
        (width, height)
    }

    fn tap(&mut self, x: f64, y: f64) {
        self.phone_mut().tap(x as f32, y as f32);
        self.after();
    }

    fn long_press(&mut self, x: f64, y: f64) {
        self.phone_mut().long_press(x as f32, y as f32);
        self.after();
    }

    fn swipe(&mut self, from: (f64, f64), to: (f64, f64), ms: i64) {
        let point = |(x, y): (f64, f64)| (x as f32, y as f32);
        self.phone_mut().swipe(point(from), point(to), ms);
        self.after();
    }

    fn scroll(&mut self, x: f64, y: f64, dx: f64, dy: f64) {
        self.phone_mut().scroll(x as f32, y as f32, dx as f32, dy as f32);
        self.after();
    }

    fn type_text(&mut self, text: &str, replace: bool) {
        self.phone_mut().type_text(text, replace);
        self.after();
    }

    fn press(&mut self, name: &str) {
        self.key(key(name));
        self.after();
    }

    fn shortcut(&mut self, keys: &[String]) {
        let held = |names: &[&str]| keys.iter().any(|key| names.contains(&key.as_str()));
        let Some(last) = keys.last() else {
            return;
        };
        if held(&["control", "meta", "cmd"]) {
            match last.as_str() {
                "a" => self.phone_mut().state_mut().select_all(),
                "c" => self.key(Key::Copy),
                "x" => self.key(Key::Cut),
                "v" => self.key(Key::Paste),
                _ => {}
            }
        } else if held(&["shift"]) {
            match key(last) {
                Key::Char(letter) => letter.to_uppercase().for_each(|letter| self.key(Key::Char(letter))),
                other => self.key(other),
            }
        }
        self.after();
    }

    fn button(&mut self, button: Button) {
        self.key(match button {
            Button::Back => Key::Back,
            Button::Home => Key::Home,
            Button::AppSwitch => Key::Overview,
            Button::Power => Key::Power,
            Button::VolumeUp => Key::VolumeUp,
            Button::VolumeDown => Key::VolumeDown,
            Button::VolumeMute => Key::Mute,
            Button::Menu => Key::Other,
        });
        self.after();
    }

    fn wait(&mut self, ms: i64) {
        self.phone_mut().advance(ms);
    }

    fn find(&self, description: &str) -> Option<(f64, f64)> {
        let (x, y) = self.phone.find(description)?;
        Some((f64::from(x), f64::from(y)))
    }

    fn is_typing(&self) -> bool {
        self.phone.state().focused().is_some()
    }

    fn front(&self) -> String {
        self.phone.state().front_package().to_owned()
    }

    fn number(&self) -> u64 {
        *self.number.get_or_init(|| self.phone.state().hash())
    }

    fn command(&mut self, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
        Commands::run(self.phone_mut(), name, arguments, input)
    }
}
