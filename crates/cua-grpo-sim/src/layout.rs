//! The layout dump: what is on the screen as the XML of Android's `uiautomator`.

use crate::{
    phone::{HEIGHT, Phone, WIDTH},
    widget::{NodeKind, UiNode},
};
use std::fmt::Write as _;

impl Phone {
    /// The nodes of the screen as `uiautomator dump` prints them.
    pub fn screen_layout(&self) -> String {
        let package = escape(self.package());
        let mut xml =
            String::from("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?><hierarchy rotation=\"0\">");
        let _ = write!(
            xml,
            "<node index=\"0\" text=\"\" class=\"android.widget.FrameLayout\" package=\"{package}\" \
             bounds=\"[0,0][{WIDTH},{HEIGHT}]\">"
        );
        for (index, node) in self.nodes().iter().enumerate() {
            let UiNode {
                label,
                kind,
                bounds,
                checked,
            } = node;
            let (right, bottom) = (bounds.x + bounds.w, bounds.y + bounds.h);
            let _ = write!(
                xml,
                "<node index=\"{index}\" text=\"{}\" class=\"{}\" package=\"{package}\" checkable=\"{}\" \
                 checked=\"{}\" clickable=\"{}\" bounds=\"[{},{}][{right},{bottom}]\" />",
                escape(label),
                class(*kind),
                checked.is_some(),
                checked.unwrap_or(false),
                kind.is_interactive(),
                bounds.x,
                bounds.y,
            );
        }
        xml.push_str("</node></hierarchy>");
        xml
    }
}

fn class(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Title | NodeKind::Text | NodeKind::Icon => "android.widget.TextView",
        NodeKind::Row => "android.widget.LinearLayout",
        NodeKind::Switch => "android.widget.Switch",
        NodeKind::Radio => "android.widget.RadioButton",
        NodeKind::Slider => "android.widget.SeekBar",
        NodeKind::Button | NodeKind::Key => "android.widget.Button",
        NodeKind::TextField => "android.widget.EditText",
        NodeKind::Navigation => "android.widget.ImageView",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
