//! The canonical text of an action: what demonstrations say, and what the parser reads back to the same action.

use super::{Action, ClickOption, SwipePath, Target};
use serde_json::{Map, Value, json};

pub(super) fn click_option(option: ClickOption) -> &'static str {
    match option {
        ClickOption::Left => "left",
        ClickOption::Right => "right",
        ClickOption::Double => "double",
    }
}

/// The reply that makes one call: the JSON of [`to_call`] between `<tool_call>` and `</tool_call>`, a line each.
pub fn to_reply(action: &Action) -> String {
    format!("<tool_call>\n{}\n</tool_call>", python_json(&to_call(action)))
}

/// The call as `{"name": ..., "arguments": {...}}`; fields that have their default are left out.
pub fn to_call(action: &Action) -> Value {
    let mut arguments = Map::new();
    let mut put = |name: &str, value: Value| {
        arguments.insert(name.to_owned(), value);
    };
    let tool = match action {
        Action::Sleep { .. } => "sleep",
        Action::Report { .. } => "report_task_complete",
        _ => "perform_action",
    };
    match action {
        Action::Click { target, option } => {
            put("action_type", json!("click"));
            if *option != ClickOption::Left {
                put("option", json!(click_option(*option)));
            }
            put_place(&mut put, target, "target", "coordinate");
        }
        Action::Swipe { path } => {
            put("action_type", json!("swipe"));
            match path {
                SwipePath::Towards(direction) => put("direction", json!(direction.as_str())),
                SwipePath::Between { start, end } => {
                    put_place(&mut put, start, "start_target", "start_coordinate");
                    put_place(&mut put, end, "end_target", "end_coordinate");
                }
            }
        }
        Action::Scroll {
            direction,
            target,
            distance,
        } => {
            put("action_type", json!("scroll"));
            put("direction", json!(direction.as_str()));
            if let Some(distance) = distance {
                put("distance", number(*distance));
            }
            if let Some(target) = target {
                put_place(&mut put, target, "target", "coordinate");
            }
        }
        Action::Input { text, target } => {
            put("action_type", json!("input"));
            put("text", json!(text));
            if let Some(target) = target {
                put_place(&mut put, target, "target", "coordinate");
            }
        }
        Action::KeyPress { keys } => {
            put("action_type", json!("key_press"));
            put("keys", json!(keys));
        }
        Action::ButtonPress { button } => {
            put("action_type", json!("button_press"));
            put("button", json!(button.as_str()));
        }
        Action::Sleep { duration } => put("duration", number(*duration)),
        Action::Report { success, message } => {
            put("success", json!(success));
            if let Some(message) = message {
                put("result_message", json!(message));
            }
        }
    }
    json!({ "name": tool, "arguments": arguments })
}

fn put_place(put: &mut impl FnMut(&str, Value), target: &Target, described: &str, pointed: &str) {
    match target {
        Target::Coordinate { x, y } => put(pointed, json!([number(*x), number(*y)])),
        Target::Described(description) => {
            let mut fields = Map::new();
            fields.insert("element".to_owned(), json!(description.element));
            for (name, value) in description.optional() {
                if let Some(value) = value {
                    fields.insert(name.to_owned(), json!(value));
                }
            }
            put(described, Value::Object(fields));
        }
    }
}

/// A whole number without a fraction, as people write it.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// JSON with `", "` and `": "` between its parts, as Python's `json.dumps(value, ensure_ascii=False)` writes it.
pub fn python_json(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                write_value(text, item);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (i, (name, item)) in fields.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                text.push_str(&Value::String(name.clone()).to_string());
                text.push_str(": ");
                write_value(text, item);
            }
            text.push('}');
        }
        leaf => text.push_str(&leaf.to_string()),
    }
}
