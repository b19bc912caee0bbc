//! What stands on a screen: one list of nodes for drawing, touch and `uiautomator`.

use crate::{
    draw::geom::Rect,
    state::{State, Window},
};
use std::sync::Arc;

/// What a touch does.
pub type Act = Arc<dyn Fn(&mut State) + Send + Sync>;
/// What a finger on a slider does; the place is 0 at the left and 1 at the right.
pub type Slide = Arc<dyn Fn(&mut State, f32) + Send + Sync>;
/// What a swipe does.
pub type SwipeAct = Arc<dyn Fn(&mut State, Way) + Send + Sync>;

/// Where a finger goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Up.
    Up,
    /// Down.
    Down,
    /// To the left.
    Left,
    /// To the right.
    Right,
}

/// What can be scrolled up and down.
#[derive(Debug, Clone)]
pub struct Scroll {
    /// Its name in the place.
    pub key: &'static str,
    /// The place that keeps the offset.
    pub window: Window,
    /// The largest offset in dp.
    pub max: f32,
    /// The offset that is shown, in dp.
    pub offset: f32,
}

/// A text field.
#[derive(Clone)]
pub struct FieldNode {
    /// Its name in the place.
    pub key: String,
    /// The place that keeps the text.
    pub window: Window,
    /// Whether Enter begins a line.
    pub multiline: bool,
    /// What Enter does otherwise.
    pub submit: Option<Act>,
}

/// Something on the screen.
#[derive(Clone, Default)]
pub struct Node {
    /// The node that it stands in.
    pub parent: Option<usize>,
    /// The window that it belongs to.
    pub window: Window,
    /// The package that shows it.
    pub package: Arc<str>,
    /// Its class, e.g. `android.widget.TextView`.
    pub class: &'static str,
    /// Its resource id, e.g. `android:id/title`.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its content description.
    pub desc: String,
    /// Its box in pixels, without what is scrolled away.
    pub rect: Rect,
    /// Whether it can be on or off.
    pub checkable: bool,
    /// Whether it is on.
    pub checked: bool,
    /// Whether it takes no touches.
    pub disabled: bool,
    /// Whether it is the chosen one among several.
    pub selected: bool,
    /// Whether keys go to it.
    pub focused: bool,
    /// Whether its text is secret.
    pub password: bool,
    /// What a tap does.
    pub tap: Option<Act>,
    /// What a long press does.
    pub long: Option<Act>,
    /// What a finger that moves along it does.
    pub slide: Option<Slide>,
    /// What a swipe does.
    pub swipe: Option<SwipeAct>,
    /// What can be scrolled in it.
    pub scroll: Option<Scroll>,
    /// The text field that it is.
    pub field: Option<FieldNode>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {:?} {:?} {} {:?}",
            self.class, self.text, self.desc, self.id, self.rect
        )
    }
}

impl Node {
    /// Whether a tap does something.
    pub fn clickable(&self) -> bool {
        !self.disabled && (self.tap.is_some() || self.field.is_some())
    }

    /// Its class.
    pub fn class(&mut self, class: &'static str) -> &mut Self {
        self.class = class;
        self
    }

    /// Its resource id: `android:id/x` as it is, any other word with its package before it.
    pub fn id(&mut self, id: &str) -> &mut Self {
        self.id = if id.contains(':') {
            id.to_owned()
        } else {
            format!("{}:id/{id}", self.package)
        };
        self
    }

    /// Its text.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.text = text.into();
        self
    }

    /// Its content description.
    pub fn desc(&mut self, desc: impl Into<String>) -> &mut Self {
        self.desc = desc.into();
        self
    }

    /// Makes it something that is on or off.
    pub fn check(&mut self, on: bool) -> &mut Self {
        self.checkable = true;
        self.checked = on;
        self
    }

    /// Says whether it is the chosen one.
    pub fn select(&mut self, selected: bool) -> &mut Self {
        self.selected = selected;
        self
    }

    /// Says whether touches do nothing.
    pub fn disable(&mut self, disabled: bool) -> &mut Self {
        self.disabled = disabled;
        self
    }

    /// What a tap does.
    pub fn tap(&mut self, act: impl Fn(&mut State) + Send + Sync + 'static) -> &mut Self {
        self.tap = Some(Arc::new(act));
        self
    }

    /// What a long press does.
    pub fn long(&mut self, act: impl Fn(&mut State) + Send + Sync + 'static) -> &mut Self {
        self.long = Some(Arc::new(act));
        self
    }

    /// What a swipe does.
    pub fn swipe(&mut self, act: impl Fn(&mut State, Way) + Send + Sync + 'static) -> &mut Self {
        self.swipe = Some(Arc::new(act));
        self
    }

    /// What a finger on it does, wherever it is.
    pub fn slide(&mut self, act: impl Fn(&mut State, f32) + Send + Sync + 'static) -> &mut Self {
        self.slide = Some(Arc::new(act));
        self
    }
}
