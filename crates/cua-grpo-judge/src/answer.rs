//! What counts as a verdict: one JSON object with `success`, whatever stands around it.

use crate::error::JudgeError;
use serde::Deserialize;

/// Characters of an answer that an error shows.
const MOST_SHOWN: usize = 200;

#[derive(Deserialize)]
struct Reply {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

/// `success` twice is an error of serde, as is anything but true or false.
#[derive(Deserialize)]
struct Verdict {
    success: bool,
}

/// What the body of an answer says: whether the task is done.
pub(crate) fn verdict(body: &[u8]) -> Result<bool, JudgeError> {
    let other = |what: &str| JudgeError::Answer(what.to_owned());
    let reply: Reply = serde_json::from_slice(body).map_err(|error| {
        let start = shortened(&String::from_utf8_lossy(&body[..body.len().min(4 * MOST_SHOWN)]));
        JudgeError::Answer(format!("no chat completion ({error}): {start:?}"))
    })?;
    let [choice] = reply.choices.as_slice() else {
        return Err(JudgeError::Answer(format!("{} choices, not one", reply.choices.len())));
    };
    if choice.finish_reason.as_deref() == Some("length") {
        return Err(other("a text that was cut off (finish_reason length)"));
    }
    let text = match &choice.message.content {
        None => return Err(other("no text")),
        Some(Content::Text(text)) => text.clone(),
        Some(Content::Parts(parts)) => parts.iter().filter_map(|part| part.text.as_deref()).collect(),
    };
    // What it thought before it answered may quote the form.
    let said = text.rsplit("</think>").next().unwrap_or_default();
    let object = said.find('{').zip(said.rfind('}')).filter(|(from, to)| from < to);
    let parsed = object.and_then(|(from, to)| serde_json::from_str::<Verdict>(&said[from..=to]).ok());
    match parsed {
        Some(verdict) => Ok(verdict.success),
        None => Err(JudgeError::Answer(format!("{:?}", shortened(said)))),
    }
}

/// The beginning of a text as a terminal and a log may get it.
pub(crate) fn shortened(text: &str) -> String {
    let plain = |letter: char| if cua_grpo_core::obeyed(letter) { ' ' } else { letter };
    text.trim().chars().take(MOST_SHOWN).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(content: Value) -> Result<bool, JudgeError> {
        let body =
            json!({"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]});
        verdict(body.to_string().as_bytes())
    }

    #[test]
    fn one_object_with_success_is_a_verdict() {
        for (text, expected) in [
            (r#"{"success": true}"#, true),
            (r#"{"reason": "The alarm is {off}.", "success": false}"#, false),
            ("```json\n{\"reason\": \"it is on\", \"success\": true}\n```", true),
            (
                "<think>It would be {\"success\": true}, but</think> {\"success\": false}",
                false,
            ),
            ("Here it is: {\"success\": true} .", true),
        ] {
            assert_eq!(of(json!(text)), Ok(expected), "{text}");
        }
        assert_eq!(of(json!([{"type": "text", "text": "{\"success\": true}"}])), Ok(true));
    }

    #[test]
    fn all_else_is_none() {
        for text in [
            "",
            "yes",
            "The task was a success: true",
            r#"{"success": "true"}"#,
            r#"{"success": 1}"#,
            r#"{"success": null}"#,
            r#"{"reason": "done"}"#,
            r#"{"success": true, "success": false}"#,
            r#"{"success": true} {"success": false}"#,
            r#"{"success": true"#,
            "} {",
            r#"<think>{"success": true}</think>"#,
        ] {
            assert!(matches!(of(json!(text)), Err(JudgeError::Answer(_))), "{text}");
        }
        for body in [
            json!({}),
            json!({"choices": []}),
            json!({"choices": [{"message": {"content": null}}]}),
            json!({"choices": [{"message": {"content": "{\"success\": true}"}, "finish_reason": "length"}]}),
            json!({"choices": [{"message": {"content": "{\"success\": true}"}}, {"message": {"content": "x"}}]}),
            json!({"error": {"message": "no"}}),
        ] {
            assert!(verdict(body.to_string().as_bytes()).is_err(), "{body}");
        }
        let error = verdict("<html>\u{1b}[2J".as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains("no chat completion") && !error.contains('\u{1b}'),
            "{error}"
        );
    }
}
