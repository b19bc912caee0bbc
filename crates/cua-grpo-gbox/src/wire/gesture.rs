//! Bodies of the actions, `POST /boxes/{id}/actions/<name>`.

use super::{ActionOptions, DetectedElement, Point};
use serde::{Deserialize, Serialize};

/// Where a click, tap or long press goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// A point in pixels: fields `x` and `y`.
    Point(Point),
    /// A thing to be found: field `target`.
    Target {
        /// What to look for.
        target: TargetRef,
    },
}

/// A thing on the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetRef {
    /// In words.
    Description(String),
    /// As `elements/detect` answered it.
    Element(Box<DetectedElement>),
}

/// A point in pixels or a description of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PlaceRef {
    /// In pixels.
    Point(Point),
    /// In words.
    Description(String),
}

/// A button of a mouse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MouseButton {
    /// The main one.
    #[default]
    Left,
    /// The one for context menus.
    Right,
    /// The wheel.
    Middle,
}

/// Body of `click`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Click {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which button (left when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub button: Option<MouseButton>,
    /// Twice (false when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub double: Option<bool>,
    /// Keys held meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modifier_keys: Vec<String>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// Body of `tap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tap {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// Body of `long-press`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LongPress {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// How long (duration text, server default 1s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// A direction on the screen; the diagonal ones are for swipes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// To the upper edge.
    Up,
    /// To the lower edge.
    Down,
    /// To the left edge.
    Left,
    /// To the right edge.
    Right,
    /// To the upper left corner.
    UpLeft,
    /// To the upper right corner.
    UpRight,
    /// To the lower left corner.
    DownLeft,
    /// To the lower right corner.
    DownRight,
}

/// How far a simple swipe or scroll goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Distance {
    /// In pixels.
    Pixels(f64),
    /// `tiny`, `short`, `medium` or `long`.
    Named(String),
}

/// Body of `swipe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Swipe {
    /// From here to there.
    Points(SwipePoints),
    /// Towards an edge; the finger moves in this direction.
    Direction(SwipeDirection),
}

/// The advanced form of [`Swipe`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwipePoints {
    /// Where the finger goes down.
    pub start: PlaceRef,
    /// Where it goes up.
    pub end: PlaceRef,
    /// How long it takes (duration text, server default 500ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// The simple form of [`Swipe`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwipeDirection {
    /// Where the finger moves to.
    pub direction: Direction,
    /// How far; to the edge when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// How long it takes (duration text, server default 500ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Where it starts, in words; the centre when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// Body of `scroll`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scroll {
    /// By pixels at a point.
    By(ScrollBy),
    /// Gesture-wise: `up` moves the content up and reveals what is below.
    Direction(ScrollDirection),
}

/// The advanced form of [`Scroll`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrollBy {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
    /// Pixels to scroll; positive reveals what is to the right.
    pub scroll_x: f64,
    /// Pixels to scroll; positive reveals what is below.
    pub scroll_y: f64,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// The simple form of [`Scroll`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScrollDirection {
    /// Where the content moves to: up, down, left or right.
    pub direction: Direction,
    /// How far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// How long it takes (duration text, server default 500ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Where, in words; the centre when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// Body of `drag`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Drag {
    /// From here to there.
    Points(DragPoints),
    /// Along a path.
    Path(DragPath),
}

/// The simple form of [`Drag`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DragPoints {
    /// Where the finger goes down.
    pub start: PlaceRef,
    /// Where it goes up.
    pub end: PlaceRef,
    /// How long it takes (duration text, server default 500ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// The advanced form of [`Drag`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DragPath {
    /// The points to pass.
    pub path: Vec<Point>,
    /// Time between two points (duration text, server default 50ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// What `type` does with text that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TypeMode {
    /// Keep it.
    #[default]
    Append,
    /// Remove it first.
    Replace,
}

/// Body of `type`: text for the focused field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeText {
    /// What to type.
    pub text: String,
    /// What to do with text that is there (append when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TypeMode>,
    /// Press enter afterwards (false when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub press_enter: Option<bool>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// Body of `press-key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PressKey {
    /// Names such as `enter`, `a`, `arrowUp`.
    pub keys: Vec<String>,
    /// Together (true) or one after another (false, also when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combination: Option<bool>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}

/// A button of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Button {
    /// Sleep and wake.
    Power,
    /// Louder.
    VolumeUp,
    /// Quieter.
    VolumeDown,
    /// Silent.
    VolumeMute,
    /// To the launcher.
    Home,
    /// One screen back.
    Back,
    /// The menu of the app.
    Menu,
    /// The list of running apps.
    AppSwitch,
}

/// Body of `press-button`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PressButton {
    /// Buttons, pressed one after another.
    pub buttons: Vec<Button>,
    /// Model and screenshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ActionOptions>,
}
