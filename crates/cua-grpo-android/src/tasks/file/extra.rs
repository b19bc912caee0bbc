//! Keys beside the core of a template: what must be reported, what may change, which apps it uses.

use super::fields::{Fields, list, name, text};
use super::parameter::Parameter;
use super::pattern::Pattern;
use super::template::ReportPattern;
use super::yaml::{Node, Place, Value, Wrong};

const MOST_APPS: usize = 64;

/// An app that is kept from training, and where the file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldOut {
    pub app: String,
    pub at: Place,
}

/// `held_out_apps: [music, maps]`.
pub(super) fn held_out_apps(node: &Node) -> Result<Vec<HeldOut>, Wrong> {
    let items = list(node, "`held_out_apps`", 1, MOST_APPS)?.iter();
    let held = |item: &Node| {
        Ok(HeldOut {
            app: name(item, "an app")?.to_owned(),
            at: item.at,
        })
    };
    items.map(held).collect()
}

/// `apps: [clock, notes]`.
pub(super) fn apps(node: &Node) -> Result<Vec<String>, Wrong> {
    let items = list(node, "`apps`", 0, MOST_APPS)?.iter();
    items.map(|item| Ok(name(item, "an app")?.to_owned())).collect()
}

/// `may_change: ["setting system volume_"]`.
pub(super) fn may_change(node: &Node) -> Result<Vec<String>, Wrong> {
    let items = list(node, "`may_change`", 1, MOST_APPS)?.iter();
    items
        .map(|item| Ok(text(item, "what may change")?.to_owned()))
        .collect()
}

/// `report: required`, `report: {equals: "{answer}"}` or `report: {expect: "[0-9]+ calls?"}`.
pub(super) fn report(node: &Node, parameters: &[Parameter]) -> Result<ReportPattern, Wrong> {
    let wanted = "`report`: expected `required`, `{equals: TEXT}` or `{expect: REGULAR EXPRESSION}`";
    if let Value::Text(word) = &node.value {
        return match word.as_str() {
            "required" => Ok(ReportPattern::Required),
            _ => Err(Wrong::new(node.at, wanted)),
        };
    }
    let fields = Fields::of(node, "`report`", &["equals", "expect"])?;
    let pattern = |node: &Node| Pattern::new(text(node, "`report`")?, node.at, parameters);
    match (fields.get("equals"), fields.get("expect")) {
        (Some(node), None) => pattern(node).map(ReportPattern::Equals),
        (None, Some(node)) => pattern(node).map(ReportPattern::Expect),
        _ => Err(Wrong::new(node.at, wanted)),
    }
}
