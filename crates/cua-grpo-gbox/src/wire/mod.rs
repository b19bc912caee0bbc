//! The JSON of the GBox HTTP API, one struct a body: camelCase names, and an absent field is omitted, never null.
//!
//! The client sends these types and the simulator receives them. Durations travel as text (`500ms`, `30s`, `5m`,
//! `1h`; see [`duration_text`] and [`parse_duration`]), coordinates as pixels of the screenshot.

mod action;
mod boxes;
mod command;
mod gesture;
mod model;
mod text;

pub use action::{
    ActionOptions, ActionResult, ActionScreenshots, Clip, DetectedElement, OutputFormat, Phase, Point, ScreenLayout,
    Screenshot, ScreenshotOption, ScreenshotOptions, ScreenshotRequest, ScrollCapture,
};
pub use boxes::{
    BoxConfig, BoxList, BoxObject, BoxOs, BoxPage, BoxStatus, CreateBox, CreateBoxConfig, Display, ErrorBody,
    ErrorMessage, ListedBox, Resolution, Terminate, is_box_id,
};
pub use command::{Command, CommandResult};
pub use gesture::{
    Button, Click, Direction, Distance, Drag, DragPath, DragPoints, LongPress, MouseButton, Place, PlaceRef,
    PressButton, PressKey, Scroll, ScrollBy, ScrollDirection, Swipe, SwipeDirection, SwipePoints, Tap, TargetRef,
    TypeMode, TypeText,
};
pub use model::{ModelAction, ModelRequest, ModelResponse, ModelResult, ScrollPoint};
pub(crate) use text::in_words;
pub use text::{WireTextError, data_uri, decode_data_uri, duration_text, parse_duration};
