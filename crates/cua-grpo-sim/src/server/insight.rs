//! What a model would read from the screen: elements of pages, and data by an instruction.

use super::{
    client::Caller,
    pictures::{Hand, failed},
    reply::{ApiError, read},
    state::Shared,
};
use crate::{ground, widget::UiNode};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cua_grpo_gbox::wire::OutputFormat;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Default, Deserialize)]
struct Detect {
    #[serde(default)]
    screenshot: Handing,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handing {
    output_format: Option<OutputFormat>,
    presigned_expires_in: Option<String>,
}

/// `elements/detect`: elements are those of pages in a browser, and here no page has any.
pub(super) async fn detect(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let Detect { screenshot } = read("detect", &body)?;
    let life = screenshot.presigned_expires_in.as_deref();
    let hand = Hand::new(&state, &caller, &id, screenshot.output_format, life)?;
    let picture = state.with_running(&id, |device, _| Ok(device.picture()))?;
    let (source, marked) = (hand.whole(&picture)?, hand.image(&picture.image(), picture.state)?);
    Ok(Json(
        json!({ "elements": [], "screenshot": { "marked": marked, "source": source } }),
    ))
}

#[derive(Debug, Deserialize)]
struct Extract {
    instruction: String,
    schema: Option<Value>,
}

/// `extract`: without a schema all that the screen says; with one, for each property what the screen has by its name.
pub(super) async fn extract(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let Extract { instruction, schema } = read("extract", &body)?;
    if instruction.trim().is_empty() {
        return Err(ApiError::bad("instruction: expected some words, got none"));
    }
    let properties = match &schema {
        None => None,
        Some(Value::Object(schema)) => Some(schema.get("properties").and_then(Value::as_object)),
        Some(_) => return Err(ApiError::bad("schema: expected a JSON schema, an object")),
    };
    let picture = state.with_running(&id, |device, _| Ok(device.picture()))?;
    let nodes = picture.nodes();
    let png = picture.png().map_err(failed)?;
    let data = match properties {
        None => json!({ "text": texts(&nodes) }),
        Some(properties) => {
            let properties = properties.into_iter().flatten();
            let read = properties.filter_map(|(name, schema)| Some((name.clone(), value(&nodes, name, schema)?)));
            Value::Object(read.collect::<Map<_, _>>())
        }
    };
    Ok(Json(json!({ "data": data, "screenshot": STANDARD.encode(png) })))
}

fn texts(nodes: &[UiNode]) -> Vec<&str> {
    nodes.iter().map(|node| node.label.as_str()).collect()
}

/// What the screen has for a property of a schema; `None` when it has nothing.
fn value(nodes: &[UiNode], name: &str, schema: &Value) -> Option<Value> {
    let described = schema.get("description").and_then(Value::as_str);
    let words = name
        .chars()
        .flat_map(|letter| letter.is_uppercase().then_some(' ').into_iter().chain([letter]));
    let words: String = words.map(|letter| if letter == '_' { ' ' } else { letter }).collect();
    let found = || ground::find(nodes, &words).or_else(|| ground::find(nodes, described?));
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => Some(json!(texts(nodes))),
        Some("boolean") => found()?.checked.map(Value::from),
        Some("number" | "integer") => {
            let digits: String = found()?.label.chars().filter(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok().map(Value::from)
        }
        _ => found().map(|node| node.label.clone().into()),
    }
}
