//! A conversation in a JSON file, in the chat form of the Python libraries, with its pictures and clips read.

mod media;
mod picture;

use super::{ChatRenderer, ConversationOptions, Grid, Literals, parse_json};
use crate::batch::RowInput;
use crate::plain_text;
use cua_grpo_core::{Image, TokenId};
use media::Media;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Why a conversation cannot be read or encoded; the messages name the place and what to write there.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// The file cannot be read, or is no conversation.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
    },
    /// A picture is missing or broken, or the template does not take the conversation.
    #[error("{0}")]
    Content(String),
    /// Pictures and placeholders disagree, and a literal placeholder in the text may be why: with
    /// [`Literals::Guarded`] it would be text.
    #[error("{message}; a literal {pad} in the messages counts as a placeholder")]
    Placeholder {
        /// What does not fit.
        message: String,
        /// The placeholder that stands in the text.
        pad: &'static str,
    },
}

/// Most bytes of a conversation's file, pictures in base64 included.
const MOST_BYTES: u64 = 128 << 20;

/// Keys of the file that mean something.
const KEYS: [&str; 2] = ["messages", "tools"];

/// Roles that the template writes.
const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];

/// What was said, and with which tools.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Messages in the chat form.
    pub messages: Vec<Value>,
    /// Tools in JSON-schema form.
    pub tools: Vec<Value>,
    /// Where the paths of pictures start.
    folder: PathBuf,
    /// What was passed over.
    warnings: Vec<String>,
}

/// A conversation as the model reads it.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Tokens and pixels.
    pub row: RowInput,
    /// The encoded pictures, in order.
    pub pictures: Vec<Image>,
    /// Grids of the pictures, in order.
    pub images: Vec<Grid>,
    /// Grids of the clips, in order.
    pub videos: Vec<Grid>,
}

impl Conversation {
    /// Reads `{"messages": [...], "tools": [...]}`; paths of pictures are relative to the file's folder.
    ///
    /// # Errors
    /// [`ConversationError::File`].
    pub fn read(path: &Path) -> Result<Self, ConversationError> {
        let wrong = |message: String| ConversationError::File {
            path: path.to_owned(),
            message,
        };
        let bytes = plain_text::bytes(path, MOST_BYTES).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let text = plain_text::decode(&bytes).map_err(&wrong)?;
        let value = parse_json(&text).map_err(|error| wrong(format!("is not JSON: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(value, folder).map_err(wrong)
    }

    /// One user message: the pictures, then the text.
    pub fn of_prompt(text: &str, images: &[PathBuf]) -> Self {
        let images = images
            .iter()
            .map(|path| json!({"type": "image", "image": path.to_string_lossy()}));
        let content: Value = images.chain([json!({"type": "text", "text": text})]).collect();
        Self {
            messages: vec![json!({"role": "user", "content": content})],
            tools: Vec::new(),
            folder: PathBuf::new(),
            warnings: Vec::new(),
        }
    }

    fn parse(value: Value, folder: PathBuf) -> Result<Self, String> {
        let Value::Object(mut fields) = value else {
            return Err(format!(
                "expected an object {{\"messages\": [...], \"tools\": [...]}}, found {}",
                kind(&value)
            ));
        };
        let messages = match fields.remove("messages") {
            Some(Value::Array(messages)) if !messages.is_empty() => messages,
            Some(Value::Array(_)) => return Err("`messages` is empty; give at least one message".into()),
            Some(other) => {
                return Err(format!(
                    "`messages`: expected a list of messages, found {}",
                    kind(&other)
                ));
            }
            None => return Err("`messages` is missing; expected {\"messages\": [...], \"tools\": [...]}".into()),
        };
        let tools = match fields.remove("tools") {
            Some(Value::Array(tools)) => tools,
            None | Some(Value::Null) => Vec::new(),
            Some(other) => {
                return Err(format!(
                    "`tools`: expected a list of JSON schemas, found {}",
                    kind(&other)
                ));
            }
        };
        let warnings: Vec<String> = fields
            .keys()
            .map(|key| format!("key `{key}` is passed over; known are {}", KEYS.join(" and ")))
            .collect();
        for (number, message) in messages.iter().enumerate() {
            check_message(message).map_err(|text| format!("messages[{number}]{text}"))?;
        }
        if let Some(number) = tools.iter().position(|tool| !tool.is_object()) {
            return Err(format!(
                "tools[{number}]: expected an object, found {}",
                kind(&tools[number])
            ));
        }
        Ok(Self {
            messages,
            tools,
            folder,
            warnings,
        })
    }

    /// That the template writes every message: roles that it does not know vanish from its text in silence.
    fn check_roles(&self, renderer: &ChatRenderer) -> Result<(), ConversationError> {
        for (number, message) in self.messages.iter().enumerate() {
            let role = message["role"].as_str().unwrap_or_default();
            let late_system = role == "system" && number > 0;
            if (ROLES.contains(&role) && !late_system) || renderer.writes(&self.messages, number) {
                continue;
            }
            if !late_system {
                return Err(ConversationError::Content(format!(
                    "messages[{number}].role: the chat template of this model writes nothing for the role `{role}`; expected one of {}",
                    ROLES.join(", ")
                )));
            }
            tracing::warn!(
                "messages[{number}]: the chat template of this model writes a system message only at the start; this one is not part of the prompt"
            );
        }
        Ok(())
    }

    /// What was passed over when the file was read, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Encodes the conversation for the model of the folder `model`, whose renderer is `renderer`.
    ///
    /// # Errors
    /// [`ConversationError`] when a picture is missing or broken, or the template does not take the conversation.
    pub fn encode(
        &self,
        model: &Path,
        renderer: &ChatRenderer,
        literals: Literals,
        add_generation_prompt: bool,
    ) -> Result<Encoded, ConversationError> {
        self.check_roles(renderer)?;
        let mut media = Media::new(model, renderer, &self.folder);
        for (number, message) in self.messages.iter().enumerate() {
            for (index, part) in message["content"].as_array().into_iter().flatten().enumerate() {
                let read = media.read(part);
                read.map_err(|text| {
                    ConversationError::Content(format!("messages[{number}].content[{index}]: {text}"))
                })?;
            }
        }
        let options = ConversationOptions {
            literals,
            add_generation_prompt,
            tools: Some(self.tools.clone()),
            videos: std::mem::take(&mut media.spans),
            variables: Map::new(),
        };
        let tokens = renderer.encode_conversation(&self.messages, &media.images, &options);
        let misplaced = |message: String| {
            let text = Value::from(self.messages.clone()).to_string();
            let literal = ["<|image_pad|>", "<|video_pad|>"]
                .into_iter()
                .find(|pad| text.contains(pad));
            let message = format!("the conversation: {message}");
            match literal.filter(|_| literals == Literals::Tokens) {
                Some(pad) => ConversationError::Placeholder { message, pad },
                None => ConversationError::Content(message),
            }
        };
        let tokens = tokens.map_err(|error| misplaced(error.to_string()))?;
        check_pads(&tokens, renderer, &media).map_err(misplaced)?;
        if tokens.is_empty() {
            return Err(ConversationError::Content(
                "the conversation: the chat template writes nothing for it; give a user message".into(),
            ));
        }
        Ok(Encoded {
            row: RowInput::given(tokens, media.pixels),
            pictures: media.pictures,
            images: media.images,
            videos: media.videos,
        })
    }
}

/// That each placeholder in `tokens` stands for a merged patch of a picture or clip.
fn check_pads(tokens: &[TokenId], renderer: &ChatRenderer, media: &Media<'_>) -> Result<(), String> {
    let special = renderer.tokenizer().special();
    let merge = renderer.images().merge_size;
    for (what, pad, grids) in [
        ("pictures", special.image_pad, &media.images),
        ("clips", special.video_pad, &media.videos),
    ] {
        let wanted: usize = grids.iter().map(|grid| grid.tokens(merge)).sum();
        let found = tokens.iter().filter(|&&token| token == pad).count();
        if found != wanted {
            return Err(format!(
                "place {what} in the prompt: expected {wanted} placeholder tokens for {} {what}, got {found}",
                grids.len()
            ));
        }
    }
    Ok(())
}

/// Checks what the template would misread in silence; what it writes otherwise is its own affair.
fn check_message(message: &Value) -> Result<(), String> {
    if !message.is_object() {
        return Err(format!(
            ": expected an object with role and content, found {}",
            kind(message)
        ));
    }
    if !message["role"].is_string() {
        return Err(format!(
            ".role: expected one of {}, found {}",
            ROLES.join(", "),
            kind(&message["role"])
        ));
    }
    match &message["content"] {
        Value::String(_) | Value::Null => {}
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                let text = &part["text"];
                if !part.is_object() || !(text.is_null() || text.is_string()) {
                    let found = if part.is_object() { kind(text) } else { kind(part) };
                    return Err(format!(
                        ".content[{index}]: expected {{\"type\": \"text\", \"text\": \"...\"}} or {{\"type\": \"image\", \"image\": \"path\"}}, found {found}"
                    ));
                }
            }
        }
        other => {
            return Err(format!(
                ".content: expected a text or a list of parts, found {}",
                kind(other)
            ));
        }
    }
    let calls = match &message["tool_calls"] {
        Value::Null => return Ok(()),
        Value::Array(calls) => calls,
        other => return Err(format!(".tool_calls: expected a list, found {}", kind(other))),
    };
    for (index, call) in calls.iter().enumerate() {
        let function = if call["function"].is_object() {
            &call["function"]
        } else {
            call
        };
        if !function["name"].is_string() {
            return Err(format!(
                ".tool_calls[{index}]: expected {{\"function\": {{\"name\": \"...\", \"arguments\": {{...}}}}}}, found no name"
            ));
        }
    }
    Ok(())
}

/// The kind of a JSON value, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
