//! Messages as transformers' processor hands them to a template.

use serde_json::{Value, json};

/// Names under which a message's reasoning comes; the first that is there counts.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// The messages without the keys that are null, with reasoning under the names that templates read, and with OpenAI's
/// `image_url` parts as image parts.
pub(super) fn normalise(messages: &Value) -> Value {
    let Some(messages) = messages.as_array() else {
        return messages.clone();
    };
    messages.iter().map(message).collect()
}

fn message(message: &Value) -> Value {
    let Some(fields) = message.as_object() else {
        return message.clone();
    };
    let kept = fields.iter().filter(|(_, value)| !value.is_null());
    let mut fields: serde_json::Map<_, _> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    if let Some(parts) = fields.get_mut("content").and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(|part| {
            if part["type"] == "image_url" && !part["image_url"].is_null() {
                let url = match &part["image_url"] {
                    Value::Object(url) => url.get("url").cloned().unwrap_or_else(|| "".into()),
                    url => url.clone(),
                };
                *part = json!({"type": "image", "url": url});
            }
        });
    }
    if let Some(reasoning) = REASONING.iter().find_map(|name| fields.get(*name)).cloned() {
        let mut all = serde_json::Map::new();
        all.insert("thinking".to_owned(), reasoning.clone());
        all.extend(fields);
        all.insert("reasoning_content".to_owned(), reasoning);
        fields = all;
    }
    Value::Object(fields)
}
