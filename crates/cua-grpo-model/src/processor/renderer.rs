//! The rendering seam: conversations grow by extension, so that tokens which were sampled are never made again.

use super::{
    ChatTemplate, Grid, Guard, ImageProcessorConfig, PixelLimits, ProcessorError, Tokenizer, Trust, VideoSpan,
    expand_pads, expand_videos, fit,
};
use cua_grpo_core::{Chunk, Fault, FaultKind, Message, Prompt, Renderer, Role, TokenId};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

const IM_END: &str = "<|im_end|>";
const REPLY: &str = "<|im_start|>assistant\n";

/// Renders chat messages with a template and encodes them; implements [`Renderer`].
#[derive(Debug, Clone)]
pub struct ChatRenderer {
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    images: ImageProcessorConfig,
    tools: Vec<Value>,
}

/// What literals of added tokens inside the messages mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Literals {
    /// What [`Trust`] allows: data cannot forge control tokens. Episodes are always read so.
    #[default]
    Guarded,
    /// The tokens, wherever they stand: how transformers reads a conversation.
    Tokens,
}

/// How a whole conversation is rendered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConversationOptions {
    /// How literals of added tokens in the messages are read.
    pub literals: Literals,
    /// End with the header of the next assistant message.
    pub add_generation_prompt: bool,
    /// Tools in JSON-schema form instead of the renderer's own.
    pub tools: Option<Vec<Value>>,
    /// Clips, in order.
    pub videos: Vec<VideoSpan>,
    /// Further variables of the template, e.g. `add_vision_id`.
    pub variables: Map<String, Value>,
}

impl ChatRenderer {
    /// A renderer of given parts.
    pub fn new(tokenizer: Arc<Tokenizer>, template: ChatTemplate, images: ImageProcessorConfig) -> Self {
        Self {
            tokenizer,
            template,
            images,
            tools: Vec::new(),
        }
    }

    /// Reads tokenizer, template and image sizes of a model folder.
    ///
    /// # Errors
    /// Those of [`Tokenizer::load`], [`ChatTemplate::load`] and [`ImageProcessorConfig::load`]; [`ProcessorError::Keys`] when the
    /// `config.json` of the folder is of a model with other ids.
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        let tokenizer = Arc::new(Tokenizer::load(folder)?);
        fit::check_ids(folder, &tokenizer)?;
        Ok(Self::new(
            tokenizer,
            ChatTemplate::load(folder)?,
            ImageProcessorConfig::load(folder)?,
        ))
    }

    /// The same renderer offering `tools` (JSON schemas) in the system block.
    #[must_use]
    pub fn with_tools(mut self, tools: Vec<Value>) -> Self {
        self.tools = tools;
        self
    }

    /// The same renderer with pictures within `limits`. Whoever turns pictures into patches takes its [`Self::images`], so
    /// that tokens and patches agree.
    ///
    /// # Errors
    /// Those of [`ImageProcessorConfig::within`].
    pub fn within(mut self, limits: PixelLimits) -> Result<Self, ProcessorError> {
        self.images = self.images.within(limits)?;
        Ok(self)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The numbers of the image preprocessing.
    pub fn images(&self) -> &ImageProcessorConfig {
        &self.images
    }

    /// Ids of a whole conversation in the chat form of the Python libraries; `grids` are those of its pictures, in order.
    ///
    /// Literals of control tokens in the messages are plain text, see [`Trust`], unless the options say otherwise.
    ///
    /// # Errors
    /// [`ProcessorError::Template`], [`ProcessorError::Tokenizer`], or [`ProcessorError::Mismatch`] when the placeholders that
    /// the template wrote do not match `grids` and the clips.
    pub fn encode_conversation(
        &self,
        messages: &[Value],
        grids: &[Grid],
        options: &ConversationOptions,
    ) -> Result<Vec<TokenId>, ProcessorError> {
        let tools = options.tools.as_ref().unwrap_or(&self.tools);
        let guard = match options.literals {
            Literals::Guarded => self.guard(messages, tools)?,
            Literals::Tokens => self.tokenizer.open_guard(&self.sources(messages, tools))?,
        };
        let text = self.render_text(
            messages,
            tools,
            &guard,
            options.add_generation_prompt,
            options.variables.clone(),
        )?;
        self.encode_text(&expand_videos(&text, &options.videos)?, grids, &guard)
    }

    /// Whether the template writes anything for one of the messages: whether the text changes when that one is left out.
    pub fn writes(&self, messages: &[Value], number: usize) -> bool {
        let text = |messages: &[Value]| {
            let messages = Value::from(messages.to_vec());
            self.template.render(&messages, None, &Map::new()).ok()
        };
        let mut without = messages.to_vec();
        without.remove(number);
        let whole = text(messages);
        whole.is_none() || whole != text(&without)
    }

    /// Ids that `new` adds after `history`; see [`Renderer::render`].
    ///
    /// # Errors
    /// Those of [`Self::encode_conversation`], and [`ProcessorError::Template`] when the template rewrites earlier turns,
    /// when `history` does not end with a reply, or when `new` has a system message that the template would drop.
    pub fn extend(&self, history: &[Message], new: &[Message], closed: bool) -> Result<Prompt, ProcessorError> {
        check_order(history, new)?;
        let images: Vec<_> = new.iter().flat_map(Message::images).cloned().collect();
        let grids: Result<Vec<_>, _> = images
            .iter()
            .map(|image| self.images.encoded_grid(&image.bytes))
            .collect();
        let all: Vec<Value> = history.iter().chain(new).map(message_json).collect();
        let guard = self.guard(&all, &self.tools)?;
        let render = |messages: &[Value], header| self.render_text(messages, &self.tools, &guard, header, Map::new());
        let full = render(&all, true)?;
        let mut tokens = Vec::new();
        let text = if history.is_empty() {
            full
        } else {
            let before = render(&all[..history.len()], false)?;
            let end = added_from(&before, &full).ok_or_else(not_by_extension)?;
            if !closed {
                tokens.push(self.tokenizer.special().im_end);
            }
            full[end..].to_owned()
        };
        tokens.extend(self.encode_text(&text, &grids?, &guard)?);
        Ok(Prompt::new(tokens).with_images(images))
    }

    /// A guard whose marker occurs in nothing that is rendered.
    fn guard(&self, messages: &[Value], tools: &[Value]) -> Result<Guard, ProcessorError> {
        self.tokenizer.guard(&self.sources(messages, tools))
    }

    /// Every text that a rendering may contain.
    fn sources<'a>(&'a self, messages: &'a [Value], tools: &'a [Value]) -> Vec<&'a str> {
        let mut sources = vec![self.template.source()];
        sources.extend(self.template.token_texts());
        messages
            .iter()
            .chain(tools)
            .for_each(|value| collect_strings(value, &mut sources));
        sources
    }

    /// The rendered text with markers in it.
    fn render_text(
        &self,
        messages: &[Value],
        tools: &[Value],
        guard: &Guard,
        header: bool,
        mut variables: Map<String, Value>,
    ) -> Result<String, ProcessorError> {
        let protect = |message: &Value| guard.protect_json(message, trust_of(&message["role"]));
        let messages: Value = messages.iter().map(protect).collect();
        let tools: Value = tools
            .iter()
            .map(|tool| guard.protect_json(tool, Trust::Markup))
            .collect();
        let tools = Some(&tools).filter(|tools| tools.as_array().is_some_and(|tools| !tools.is_empty()));
        variables.insert("add_generation_prompt".to_owned(), header.into());
        self.template.render(&messages, tools, &variables)
    }

    fn encode_text(&self, text: &str, grids: &[Grid], guard: &Guard) -> Result<Vec<TokenId>, ProcessorError> {
        let ids = self.tokenizer.encode_guarded(text, guard)?;
        let counts: Vec<usize> = grids.iter().map(|grid| grid.tokens(self.images.merge_size)).collect();
        expand_pads(&ids, self.tokenizer.special().image_pad, &counts)
    }

    fn reply(&self, reply: &str) -> Result<Vec<TokenId>, ProcessorError> {
        let guard = self.tokenizer.guard(&[reply])?;
        let mut tokens = self
            .tokenizer
            .encode_guarded(&guard.protect(reply, Trust::Markup), &guard)?;
        tokens.push(self.tokenizer.special().im_end);
        Ok(tokens)
    }
}

impl Renderer for ChatRenderer {
    fn render(&self, history: &[Message], new: &[Message], closed: bool) -> Result<Prompt, Fault> {
        self.extend(history, new, closed)
            .map_err(|error| Fault::from_error(FaultKind::Renderer, "render messages", error))
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        let special = self.tokenizer.special();
        let said = match tokens.split_last() {
            Some((&last, before)) if special.is_stop(last) => before,
            _ => tokens,
        };
        self.tokenizer.decode(said)
    }

    /// # Panics
    /// Never in practice: a byte-level tokenizer whose vocabulary has all bytes (checked on load) encodes any text, and the
    /// guard fails only for a reply of more than 65 534 distinct private-use characters.
    fn encode_reply(&self, reply: &str) -> Vec<TokenId> {
        match self.reply(reply) {
            Ok(tokens) => tokens,
            Err(error) => panic!("encode a reply: {error}"),
        }
    }
}

fn trust_of(role: &Value) -> Trust {
    if role == "system" || role == "assistant" {
        Trust::Markup
    } else {
        Trust::Data
    }
}

fn collect_strings<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_strings(item, out)),
        Value::Object(fields) => fields.iter().for_each(|(key, item)| {
            out.push(key);
            collect_strings(item, out);
        }),
        _ => {}
    }
}

fn message_json(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    if message.images().next().is_none() {
        return json!({"role": role, "content": message.joined_text()});
    }
    let part = |chunk: &Chunk| match chunk {
        Chunk::Text(text) => json!({"type": "text", "text": text}),
        Chunk::Image(_) => json!({"type": "image"}),
    };
    let parts: Vec<Value> = message.content.iter().map(part).collect();
    json!({"role": role, "content": parts})
}

fn check_order(history: &[Message], new: &[Message]) -> Result<(), ProcessorError> {
    let error = |message: &str| {
        Err(ProcessorError::Template {
            operation: "extend a conversation",
            message: message.to_owned(),
        })
    };
    if history.last().is_some_and(|last| last.role != Role::Assistant) {
        return error(
            "expected a history that ends with the policy's reply; render all messages before it in one call",
        );
    }
    if history
        .iter()
        .chain(new)
        .skip(1)
        .any(|message| message.role == Role::System)
    {
        return error("expected a system message only at the start; a later one would be dropped, send it as a user");
    }
    Ok(())
}

/// Where in `full`, a conversation with new messages, those begin: behind the reply that ends `before`, the same conversation
/// without them. `None` where the template writes earlier messages in another way then.
///
/// What was sampled stands as it was sampled, so it does not matter that a template drops the thoughts of earlier replies once
/// a new question follows. Everything else must be the same.
fn added_from(before: &str, full: &str) -> Option<usize> {
    let end = before.rfind(IM_END)? + IM_END.len();
    if full.starts_with(before) {
        return Some(end);
    }
    let mut at = 0;
    for message in before[..end].split_inclusive(IM_END) {
        let same = full[at..]
            .find(IM_END)
            .map(|index| &full[at..at + index + IM_END.len()])?;
        if without_thoughts(message) != without_thoughts(same) {
            return None;
        }
        at += same.len();
    }
    Some(at)
}

/// A message of the policy without its block of thoughts; another message as it is.
fn without_thoughts(message: &str) -> Cow<'_, str> {
    let Some(rest) = message.trim_start().strip_prefix(REPLY) else {
        return message.into();
    };
    let said = match rest
        .strip_prefix("<think>")
        .and_then(|thoughts| thoughts.split_once("</think>"))
    {
        Some((_, said)) => said.trim_start_matches('\n'),
        None => rest,
    };
    format!("{REPLY}{said}").into()
}

fn not_by_extension() -> ProcessorError {
    ProcessorError::Template {
        operation: "extend a conversation",
        message:
            "expected earlier turns to be rendered unchanged and to end in <|im_end|>, but this template rewrites \
                  them; use one that renders by extension"
                .to_owned(),
    }
}
