//! What all actions share: points, screenshots, options and the result.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point in screenshot pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `x` and `y`")]
pub struct Point {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
}

/// How a picture is handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputFormat {
    /// Inside the answer, as a data URI.
    #[default]
    Base64,
    /// As a key of the object store, with a presigned URL.
    StorageKey,
}

/// When a picture is taken around an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before the action.
    Before,
    /// After the action and the delay.
    After,
    /// With the action drawn in.
    Trace,
}

/// `options` of every action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionOptions {
    /// Model that resolves targets given in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Which pictures the answer is to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<ScreenshotOption>,
}

impl ActionOptions {
    /// Asks for one inline picture, taken `delay` after the action: action and next observation in one round trip.
    pub fn after(delay: Duration) -> Self {
        let options = ScreenshotOptions {
            phases: Some(vec![Phase::After]),
            output_format: Some(OutputFormat::Base64),
            delay: Some(super::duration_text(delay)),
            presigned_expires_in: None,
        };
        Self {
            model: None,
            screenshot: Some(ScreenshotOption::Detailed(options)),
        }
    }
}

/// `options.screenshot`: all pictures, none, or a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScreenshotOption {
    /// All phases, or none.
    Enabled(bool),
    /// The given choice.
    Detailed(ScreenshotOptions),
}

/// The detailed form of [`ScreenshotOption`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScreenshotOptions {
    /// Phases to picture; all three when absent, none when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<Vec<Phase>>,
    /// How the pictures are handed over (base64 when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<OutputFormat>,
    /// Wait between the action and the picture after it (duration text, server default 500ms, at most 30s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// Life of presigned URLs (duration text, server default 30m).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presigned_expires_in: Option<String>,
}

/// Answer of every action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `message`")]
#[serde(rename_all = "camelCase")]
pub struct ActionResult {
    /// UUID of the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<String>,
    /// What happened, in words.
    pub message: String,
    /// The parameters really used, e.g. the resolved point of a click.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<serde_json::Value>,
    /// The pictures asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<ActionScreenshots>,
}

/// `screenshot` of [`ActionResult`]. A picture that was not asked for is absent or has an empty URI.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `before`, `after` and `trace`")]
pub struct ActionScreenshots {
    /// Before the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Screenshot>,
    /// After the action and the delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Screenshot>,
    /// With the action drawn in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Screenshot>,
}

/// A picture: answer of `POST /boxes/{id}/actions/screenshot` and part of [`ActionScreenshots`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with `uri`")]
#[serde(rename_all = "camelCase")]
pub struct Screenshot {
    /// `data:image/png;base64,...` or `storage://...`.
    pub uri: String,
    /// Where a stored picture can be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presigned_url: Option<String>,
    /// A number of the state of the whole phone: equal states have equal numbers. GBox does not send it, the simulated
    /// phone does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<u64>,
}

/// Body of `POST /boxes/{id}/actions/screenshot`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScreenshotRequest {
    /// How the picture is handed over (base64 when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<OutputFormat>,
    /// The part of the screen to picture; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// Life of a presigned URL (duration text, server default 30m).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presigned_expires_in: Option<String>,
    /// Keep the picture in the device's album too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_to_album: Option<bool>,
    /// Picture the whole scrollable content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scroll_capture: Option<ScrollCapture>,
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Clip {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// `scrollCapture` of [`ScreenshotRequest`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrollCapture {
    /// Highest picture in pixels (server default 4000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_height: Option<f64>,
    /// Scroll back afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scroll_back: Option<bool>,
}

/// Answer of `GET /boxes/{id}/actions/screen-layout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object with `content`")]
pub struct ScreenLayout {
    /// The UI hierarchy as uiautomator XML.
    pub content: String,
}

/// An element of the screen that the service found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectedElement {
    /// Number of the element.
    pub id: String,
    /// Its text.
    pub label: String,
    /// Where it stands in the hierarchy.
    pub path: String,
    /// What found it.
    pub source: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Left edge in pixels.
    pub x: f64,
    /// Top edge in pixels.
    pub y: f64,
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// Centre, pixels from the left.
    pub center_x: f64,
    /// Centre, pixels from the top.
    pub center_y: f64,
}
