//! A conversation in a JSON file, in the chat form of the Python libraries, with its pictures and clips read.

use crate::error::CliError;
use cua_grpo_core::Image;
use cua_grpo_model::batch::RowInput;
use cua_grpo_model::plain_text;
use cua_grpo_model::processor::{
    ChatRenderer, ConversationOptions, Grid, Literals, Pixels, VideoProcessorConfig, VideoSpan, decode_rgb,
    frame_timestamps, parse_json,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// [`CliError::Usage`] that names the place in the file and what to write there.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let wrong = |message: String| CliError::Usage(format!("--messages {}: {message}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
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
    fn check_roles(&self, renderer: &ChatRenderer) -> Result<(), CliError> {
        for (number, message) in self.messages.iter().enumerate() {
            let role = message["role"].as_str().unwrap_or_default();
            let late_system = role == "system" && number > 0;
            if (ROLES.contains(&role) && !late_system) || renderer.writes(&self.messages, number) {
                continue;
            }
            if !late_system {
                return Err(CliError::Usage(format!(
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
    /// [`CliError::Usage`] when a picture is missing or broken, or the template does not take the conversation.
    pub fn encode(
        &self,
        model: &Path,
        renderer: &ChatRenderer,
        literals: Literals,
        add_generation_prompt: bool,
    ) -> Result<Encoded, CliError> {
        self.check_roles(renderer)?;
        let mut media = Media::new(model, renderer, &self.folder);
        for (number, message) in self.messages.iter().enumerate() {
            for (index, part) in message["content"].as_array().into_iter().flatten().enumerate() {
                let read = media.read(part);
                read.map_err(|text| CliError::Usage(format!("messages[{number}].content[{index}]: {text}")))?;
            }
        }
        let options = ConversationOptions {
            literals,
            add_generation_prompt,
            tools: Some(self.tools.clone()),
            videos: media.spans,
            variables: Map::new(),
        };
        let tokens = renderer.encode_conversation(&self.messages, &media.images, &options);
        let tokens = tokens.map_err(|error| {
            let text = Value::from(self.messages.clone()).to_string();
            let literal = ["<|image_pad|>", "<|video_pad|>"]
                .into_iter()
                .find(|pad| text.contains(pad));
            let hint = literal.filter(|_| literals == Literals::Tokens).map(|pad| {
                format!(
                    "; a literal {pad} in the messages counts as a placeholder, --special-tokens escape makes it text"
                )
            });
            CliError::Usage(format!("the conversation: {error}{}", hint.unwrap_or_default()))
        })?;
        if tokens.is_empty() {
            return Err(CliError::Usage(
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

/// The pictures and clips of a conversation, in order.
struct Media<'a> {
    model: &'a Path,
    renderer: &'a ChatRenderer,
    folder: &'a Path,
    clips: Option<VideoProcessorConfig>,
    pixels: Vec<Arc<Pixels>>,
    pictures: Vec<Image>,
    images: Vec<Grid>,
    videos: Vec<Grid>,
    spans: Vec<VideoSpan>,
}

impl<'a> Media<'a> {
    fn new(model: &'a Path, renderer: &'a ChatRenderer, folder: &'a Path) -> Self {
        Self {
            model,
            renderer,
            folder,
            clips: None,
            pixels: Vec::new(),
            pictures: Vec::new(),
            images: Vec::new(),
            videos: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Reads what a part of a message shows, by the rules of the template: a picture where the type or a key says so,
    /// else a clip.
    fn read(&mut self, part: &Value) -> Result<(), String> {
        let has = |key: &str| part.get(key).is_some();
        if part["type"] == "image" || part["type"] == "image_url" || has("image") || has("image_url") {
            let named = |key: &str| match &part[key] {
                Value::String(source) => Some(source.as_str()),
                Value::Object(url) => url.get("url").and_then(Value::as_str),
                _ => None,
            };
            let source = ["image", "image_url", "url", "path", "base64"]
                .into_iter()
                .find_map(named);
            let source = source
                .ok_or("a picture without a file; write {\"type\": \"image\", \"image\": \"path\"}".to_owned())?;
            let bytes = self.bytes(source)?;
            let pixels = self.renderer.images().process(&bytes);
            let pixels = pixels.map_err(|error| format!("picture `{}`: {error}", shown(source)))?;
            self.pictures.push(Image::new(bytes));
            self.images.push(pixels.grid);
            self.pixels.push(Arc::new(pixels));
        } else if part["type"] == "video" || has("video") {
            self.clip(part)?;
        }
        Ok(())
    }

    /// Reads a clip given as a list of sampled frames with their rate.
    fn clip(&mut self, part: &Value) -> Result<(), String> {
        let form = "{\"type\": \"video\", \"video\": [\"frame0.png\", ...], \"fps\": 2.0}, with \"frames_indices\": [...] where not every frame of the clip was taken";
        let frames = part["video"].as_array().filter(|frames| !frames.is_empty());
        let frames = frames.ok_or_else(|| format!("a clip is given as its sampled frames: {form}"))?;
        let fps = part["fps"].as_f64().filter(|&fps| fps > 0.0);
        let fps = fps.ok_or_else(|| format!("a clip needs its frames per second: {form}"))?;
        let indices: Vec<usize> = match &part["frames_indices"] {
            Value::Null => (0..frames.len()).collect(),
            given => serde_json::from_value(given.clone())
                .map_err(|_| format!("frames_indices: expected whole numbers, found {given}"))?,
        };
        if indices.len() != frames.len() {
            return Err(format!(
                "frames_indices: expected one for each of {} frames, found {}",
                frames.len(),
                indices.len()
            ));
        }
        let mut pictures = Vec::with_capacity(frames.len());
        for frame in frames {
            let source = frame
                .as_str()
                .ok_or_else(|| format!("frame {frame}: expected a path; {form}"))?;
            let bytes = self.bytes(source)?;
            pictures.push(decode_rgb(&bytes).map_err(|error| format!("frame `{}`: {error}", shown(source)))?);
        }
        if self.clips.is_none() {
            let config = VideoProcessorConfig::load(self.model);
            self.clips = Some(config.map_err(|error| format!("this model takes no clips: {error}"))?);
        }
        let Some(config) = &self.clips else { return Ok(()) };
        let pixels = config.process(&pictures).map_err(|error| error.to_string())?;
        let grid = pixels.grid;
        self.spans.push(VideoSpan {
            timestamps: frame_timestamps(&indices, fps, config.frame.temporal_patch_size),
            tokens: Grid { t: 1, ..grid }.tokens(config.frame.merge_size),
        });
        self.videos.push(grid);
        self.pixels.push(Arc::new(pixels));
        Ok(())
    }

    /// The encoded picture that `source` names.
    fn bytes(&self, source: &str) -> Result<Vec<u8>, String> {
        crate::picture_source::read(source, self.folder).map_err(|error| format!("`{}`: {error}", shown(source)))
    }
}

/// The start of an address, which may hold a whole picture.
fn shown(source: &str) -> String {
    let start: String = source.chars().take(80).collect();
    if start.len() < source.len() {
        start + "..."
    } else {
        start
    }
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
