//! The layout dump: what is on the screen as the XML of Android's `uiautomator`.

use crate::{
    phone::{HEIGHT, Phone, WIDTH},
    widget::{NodeKind, UiNode},
};
use std::fmt::Write as _;

impl Phone {
    /// The nodes of the screen as `uiautomator dump` prints them.
    pub fn screen_layout(&self) -> String {
        self.layout(&self.nodes(), (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs()))
    }

    /// The layout with the nodes of a screen of another size.
    pub(crate) fn layout(&self, nodes: &[UiNode], (width, height): (u32, u32)) -> String {
        let package = escape(self.package());
        let mut xml =
            String::from("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?><hierarchy rotation=\"0\">");
        let _ = write!(
            xml,
            "<node index=\"0\" text=\"\" resource-id=\"\" class=\"android.widget.FrameLayout\" package=\"{package}\" \
             content-desc=\"\" checkable=\"false\" checked=\"false\" clickable=\"false\" enabled=\"true\" \
             focusable=\"false\" focused=\"false\" scrollable=\"false\" long-clickable=\"false\" password=\"false\" \
             selected=\"false\" bounds=\"[0,0][{width},{height}]\">"
        );
        for (index, node) in nodes.iter().enumerate() {
            let UiNode {
                label,
                kind,
                bounds,
                checked,
            } = node;
            let (right, bottom) = (bounds.x + bounds.w, bounds.y + bounds.h);
            let label = escape(label);
            // Pictures have a description, everything else has text.
            let (text, description) = match kind {
                NodeKind::Navigation => ("", label.as_str()),
                _ => (label.as_str(), ""),
            };
            let (checkable, tapped) = (checked.is_some(), kind.is_interactive());
            let focused = *kind == NodeKind::TextField && self.is_typing();
            let _ = write!(
                xml,
                "<node index=\"{index}\" text=\"{text}\" resource-id=\"\" class=\"{}\" package=\"{package}\" \
                 content-desc=\"{description}\" checkable=\"{checkable}\" checked=\"{}\" clickable=\"{tapped}\" \
                 enabled=\"true\" focusable=\"{tapped}\" focused=\"{focused}\" scrollable=\"false\" \
                 long-clickable=\"false\" password=\"false\" selected=\"false\" \
                 bounds=\"[{},{}][{right},{bottom}]\" />",
                class(*kind),
                checked.unwrap_or(false),
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
