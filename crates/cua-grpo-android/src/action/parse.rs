//! Reads replies: Hermes tool calls, strictly; every error names what was wrong, for it goes back to the policy.

use super::error::GrammarError;
use super::fields::Fields;
use super::{Action, ButtonName, ClickOption, Description, Direction, SwipePath, Target, key_name};
use serde_json::Value;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";
const ACTION_TYPES: &str = "one of click, swipe, scroll, input, key_press, button_press";

/// What the policy said.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The text around the calls, trimmed: the policy's thoughts.
    pub thought: String,
    /// The calls in order, at least one.
    pub calls: Vec<Action>,
}

/// Reads the text of a reply.
///
/// # Errors
/// [`GrammarError`] for the first thing that is wrong.
pub fn parse_reply(text: &str) -> Result<Reply, GrammarError> {
    let mut thought = String::new();
    let mut calls = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        thought.push_str(before);
        let (inside, after) = after.split_once(CLOSE).ok_or(GrammarError::Unclosed)?;
        calls.push(parse_call(inside.trim())?);
        rest = after;
    }
    if calls.is_empty() {
        return Err(GrammarError::NoCall);
    }
    thought.push_str(rest);
    Ok(Reply {
        thought: thought.trim().to_owned(),
        calls,
    })
}

fn parse_call(text: &str) -> Result<Action, GrammarError> {
    let value: Value = serde_json::from_str(text).map_err(|error| GrammarError::Json(error.to_string()))?;
    let mut call = Fields::new("tool call", value)?;
    let name = call.string("name")?;
    let arguments = call.take("arguments").ok_or_else(|| call.missing("arguments"))?;
    call.finish()?;
    match name.as_str() {
        "perform_action" => perform_action(arguments),
        "sleep" => sleep(arguments),
        "report_task_complete" => report(arguments),
        _ => Err(GrammarError::Tool(name)),
    }
}

fn sleep(arguments: Value) -> Result<Action, GrammarError> {
    let mut fields = Fields::new("sleep", arguments)?;
    let duration = fields
        .optional_number("duration")?
        .ok_or_else(|| fields.missing("duration"))?;
    if !(0.1..=60.0).contains(&duration) {
        return Err(fields.value("duration", "seconds from 0.1 to 60".to_owned(), duration));
    }
    fields.finish()?;
    Ok(Action::Sleep { duration })
}

fn report(arguments: Value) -> Result<Action, GrammarError> {
    let mut fields = Fields::new("report_task_complete", arguments)?;
    let success = fields.bool("success")?;
    let message = fields.optional_string("result_message")?;
    fields.finish()?;
    Ok(Action::Report { success, message })
}

fn perform_action(arguments: Value) -> Result<Action, GrammarError> {
    let mut fields = Fields::new("perform_action", arguments)?;
    let action_type = fields.string("action_type")?;
    let action = match action_type.as_str() {
        "click" => {
            let options = [ClickOption::Left, ClickOption::Right, ClickOption::Double];
            let option = fields.optional_choice("option", &options, super::canonical::click_option)?;
            let target = place(&mut fields, "target", "coordinate")?.ok_or_else(|| fields.missing("target"))?;
            Action::Click {
                target,
                option: option.unwrap_or_default(),
            }
        }
        "swipe" => Action::Swipe {
            path: swipe_path(&mut fields)?,
        },
        "scroll" => {
            let direction = direction(&mut fields)?.ok_or_else(|| fields.missing("direction"))?;
            let target = place(&mut fields, "target", "coordinate")?;
            let distance = fields.optional_number("distance")?;
            if let Some(distance) = distance.filter(|distance| !(1.0..=10_000.0).contains(distance)) {
                return Err(fields.value("distance", "pixels from 1 to 10000".to_owned(), distance));
            }
            Action::Scroll {
                direction,
                target,
                distance,
            }
        }
        "input" => {
            let text = fields.string("text")?;
            Action::Input {
                text,
                target: place(&mut fields, "target", "coordinate")?,
            }
        }
        "key_press" => Action::KeyPress {
            keys: keys(&mut fields)?,
        },
        "button_press" => {
            let button = fields.optional_choice("button", &ButtonName::ALL, ButtonName::as_str)?;
            Action::ButtonPress {
                button: button.ok_or_else(|| fields.missing("button"))?,
            }
        }
        _ => return Err(fields.value("action_type", ACTION_TYPES.to_owned(), action_type)),
    };
    fields.finish()?;
    Ok(action)
}

fn direction(fields: &mut Fields) -> Result<Option<Direction>, GrammarError> {
    fields.optional_choice("direction", &Direction::ALL, Direction::as_str)
}

fn swipe_path(fields: &mut Fields) -> Result<SwipePath, GrammarError> {
    let towards = direction(fields)?;
    let start = place(fields, "start_target", "start_coordinate")?;
    let end = place(fields, "end_target", "end_coordinate")?;
    match (towards, start, end) {
        (Some(direction), None, None) => Ok(SwipePath::Towards(direction)),
        (None, Some(start), Some(end)) => Ok(SwipePath::Between { start, end }),
        (Some(_), _, _) => Err(GrammarError::Both {
            what: "perform_action swipe".to_owned(),
            first: "direction",
            second: "start and end",
        }),
        (None, None, None) => Err(fields.missing("direction")),
        (None, None, Some(_)) => Err(fields.missing("start_target")),
        (None, Some(_), None) => Err(fields.missing("end_target")),
    }
}

/// A place given as a description under `described` or as `[x, y]` under `pointed`.
fn place(fields: &mut Fields, described: &'static str, pointed: &'static str) -> Result<Option<Target>, GrammarError> {
    match (fields.take(described), fields.take(pointed)) {
        (None, None) => Ok(None),
        (Some(value), None) => description(described, value).map(Some),
        (None, Some(value)) => coordinate(fields, pointed, &value).map(Some),
        (Some(_), Some(_)) => Err(GrammarError::Both {
            what: "perform_action".to_owned(),
            first: described,
            second: pointed,
        }),
    }
}

fn description(name: &'static str, value: Value) -> Result<Target, GrammarError> {
    let mut fields = Fields::new(name, value)?;
    let description = Description {
        element: fields.string("element")?,
        label: fields.optional_string("label")?,
        color: fields.optional_string("color")?,
        size: fields.optional_string("size")?,
        location: fields.optional_string("location")?,
        shape: fields.optional_string("shape")?,
    };
    if description.element.trim().is_empty() {
        return Err(fields.value("element", "a description".to_owned(), "an empty text"));
    }
    fields.finish()?;
    Ok(Target::Described(Box::new(description)))
}

fn coordinate(fields: &Fields, name: &'static str, value: &Value) -> Result<Target, GrammarError> {
    let numbers: Option<Vec<f64>> = value
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    match (numbers.as_deref(), value.as_array().map(Vec::len)) {
        (Some(&[x, y]), Some(2)) => {
            if [x, y].iter().all(|number| (0.0..=1000.0).contains(number)) {
                return Ok(Target::Coordinate { x, y });
            }
            Err(fields.value(name, "[x, y] from 0 to 1000".to_owned(), value))
        }
        _ => Err(fields.value(name, "[x, y], two numbers from 0 to 1000".to_owned(), value)),
    }
}

fn keys(fields: &mut Fields) -> Result<Vec<String>, GrammarError> {
    let value = fields.take("keys").ok_or_else(|| fields.missing("keys"))?;
    let Some(list) = value.as_array().filter(|list| !list.is_empty()) else {
        return Err(fields.value("keys", "a list of at least one key".to_owned(), &value));
    };
    let name = |key: &Value| {
        let known = key.as_str().and_then(key_name).map(str::to_owned);
        known.ok_or_else(|| fields.value("keys", "keys such as enter, backspace, a, arrowUp".to_owned(), key))
    };
    list.iter().map(name).collect()
}
