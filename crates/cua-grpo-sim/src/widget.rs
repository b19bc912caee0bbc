//! Widgets: one list of what is on the screen serves drawing, touching, naming and the layout dump alike.

use crate::phone::Screen;
use cua_grpo_android::names::{App, Toggle};

/// A rectangle in screenshot pixels; the right and bottom edges are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub w: i32,
    /// Height.
    pub h: i32,
}

impl Rect {
    /// A rectangle from its left top corner and size.
    pub const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    /// The pixel in the middle.
    pub fn centre(&self) -> (i32, i32) {
        (self.x + self.w / 2, self.y + self.h / 2)
    }

    /// Whether a point lies inside.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        let inside = |value: f64, start: i32, size: i32| value >= f64::from(start) && value < f64::from(start + size);
        inside(x, self.x, self.w) && inside(y, self.y, self.h)
    }
}

/// What sort of thing a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// The title of the page.
    Title,
    /// An app on the launcher.
    Icon,
    /// A row that opens something.
    Row,
    /// A row with a switch.
    Switch,
    /// A choice of a list of which one is chosen.
    Radio,
    /// A third of a slider.
    Slider,
    /// A button.
    Button,
    /// A field for text.
    TextField,
    /// Text that does nothing.
    Text,
    /// Back or home at the bottom.
    Navigation,
    /// A key of the on-screen keyboard.
    Key,
}

impl NodeKind {
    /// Whether touching the node does something.
    pub fn is_interactive(self) -> bool {
        !matches!(self, NodeKind::Title | NodeKind::Text)
    }
}

/// One thing on the screen, with the name that a description is matched against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UiNode {
    /// The name, e.g. `Wi-Fi`.
    pub label: String,
    /// What it is.
    pub kind: NodeKind,
    /// Where it is, in screenshot pixels.
    pub bounds: Rect,
    /// The state of a switch or choice.
    pub checked: Option<bool>,
}

/// What touching a widget does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Open(Screen),
    Flip(Toggle),
    Brightness,
    ChooseTimeout,
    SetTimeout(u32),
    FlipAlarm(usize),
    NewNote,
    FocusField,
    SaveNote,
    TypeKey(char),
    Dismiss,
    Back,
    Home,
}

/// A small picture in a coloured disc or square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Glyph {
    App(App),
    Waves,
    Rune,
    Plane,
    Bars,
    Sun,
    Moon,
    Clock,
    Rotate,
    Speaker,
    Minus,
    Battery,
    Leaf,
    Pin,
    Info,
    Drive,
    Lock,
    Eye,
    Person,
    Grid,
    Figure,
    Letter,
    Plus,
    Page,
    Bell,
}

/// What stands at the right end of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trailing {
    Nothing,
    Chevron,
    Switch(bool),
    Radio(bool),
    Value(String),
}

/// How a widget is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    Hidden,
    Title,
    AppIcon(App),
    Row {
        icon: Option<(Glyph, [u8; 3])>,
        trailing: Trailing,
    },
    Track(u8),
    Button,
    FlatButton,
    Field {
        text: String,
        focused: bool,
    },
    Key,
    Panel,
    Splash(App),
    Dots {
        page: usize,
        pages: usize,
    },
    Scrollbar {
        offset: usize,
        visible: usize,
        total: usize,
    },
    Plain,
    NavBack,
    NavHome,
}

/// One thing on the screen: where, what, how drawn, what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Widget {
    pub label: String,
    pub kind: NodeKind,
    pub bounds: Rect,
    pub look: Look,
    pub effect: Option<Effect>,
    pub checked: Option<bool>,
}

impl Widget {
    pub fn new(label: impl Into<String>, kind: NodeKind, bounds: Rect, look: Look) -> Self {
        Self {
            label: label.into(),
            kind,
            bounds,
            look,
            effect: None,
            checked: None,
        }
    }

    pub fn on_tap(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }

    pub fn checked(mut self, on: bool) -> Self {
        self.checked = Some(on);
        self
    }

    pub fn node(&self) -> UiNode {
        UiNode {
            label: self.label.clone(),
            kind: self.kind,
            bounds: self.bounds,
            checked: self.checked,
        }
    }
}
