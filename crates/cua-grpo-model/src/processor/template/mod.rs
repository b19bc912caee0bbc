//! Chat templates: Jinja sources of a model folder, rendered as the Python libraries render them.

mod aggregates;
mod arithmetic;
mod blocks;
mod case;
mod clock;
mod compare;
mod dumps;
mod environment;
mod filters;
mod find;
mod formats;
mod grammar;
mod groups;
mod kinds;
mod lazy;
mod letters;
mod lexer;
mod limits;
mod messages;
mod methods;
mod numbers;
mod operators;
mod parser;
mod python;
mod rewrite;
mod spec;
mod special;
mod statements;
mod value;
mod values;

pub use dumps::python_json;

use super::ProcessorError;
use minijinja::{Environment, Error};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const NAME: &str = "chat";

/// Most characters of a template's error.
const MOST_MESSAGE: usize = 2000;

/// A compiled chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    source: String,
    /// Special tokens of the tokenizer, by their names.
    tokens: Map<String, Value>,
}

impl ChatTemplate {
    /// The format of the Qwen3-VL Instruct models, for models that are made here.
    pub const QWEN3_VL: &'static str = include_str!("../qwen3_vl.jinja");

    /// Compiles a template, without special tokens as variables.
    ///
    /// # Errors
    /// [`ProcessorError::Template`] when the source is not valid Jinja.
    pub fn new(source: &str) -> Result<Self, ProcessorError> {
        let owned = source.to_owned();
        // Errors hold values of the template, which may be nested deeply: they end on that thread too.
        let compiled = limits::bounded(move || {
            let text = rewrite::rewrite(&owned)?;
            let mut environment = environment::environment();
            let added = environment.add_template_owned(NAME, text);
            added.map(|()| environment).map_err(|error| told(&error))
        });
        let environment = within("compile", compiled)?;
        Ok(Self {
            environment: Arc::new(environment),
            source: source.to_owned(),
            tokens: Map::new(),
        })
    }

    /// Reads the template of a model folder that transformers' processor uses: `chat_template` of `processor_config.json`,
    /// else `chat_template.json`, `chat_template.jinja`, `additional_chat_templates/default.jinja`, else that of
    /// `tokenizer_config.json`. Another one that differs is warned about. Special tokens become variables.
    ///
    /// # Errors
    /// [`ProcessorError::Io`], [`ProcessorError::Format`] or [`ProcessorError::Key`] when there is none to choose, or
    /// [`ProcessorError::Template`].
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        let mut template = Self::new(&find::find(folder)?)?;
        template.tokens = special::special_tokens(folder)?;
        Ok(template)
    }

    /// The Jinja source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The texts of the variables that are special tokens.
    pub(super) fn token_texts(&self) -> impl Iterator<Item = &str> {
        self.tokens.values().filter_map(Value::as_str)
    }

    /// Renders `messages` (in the chat form of the Python libraries) with `tools`; `options` are further variables, such as
    /// `add_generation_prompt` and `add_vision_id`.
    ///
    /// As in transformers, keys of messages that are null count as absent, reasoning goes by the names that templates read,
    /// and `image_url` parts are image parts.
    ///
    /// # Errors
    /// [`ProcessorError::Template`] when the template fails or raises, or meets a limit: of instructions, of text, of depth,
    /// of time.
    pub fn render(
        &self,
        messages: &Value,
        tools: Option<&Value>,
        options: &Map<String, Value>,
    ) -> Result<String, ProcessorError> {
        let mut context: BTreeMap<String, minijinja::Value> = BTreeMap::new();
        for (name, token) in self.tokens.iter().chain(options) {
            context.insert(name.clone(), value::from_json(token));
        }
        let messages = messages::normalise(messages);
        context.insert("messages".to_owned(), value::from_json(&messages));
        context.insert("tools".to_owned(), value::from_json(tools.unwrap_or(&Value::Null)));
        context
            .entry("documents".to_owned())
            .or_insert(minijinja::Value::from(()));
        context
            .entry("add_generation_prompt".to_owned())
            .or_insert(minijinja::Value::from(false));
        let environment = Arc::clone(&self.environment);
        let rendered = limits::bounded(move || {
            let render = || {
                let rendered = environment.get_template(NAME)?.render(context)?;
                limits::length(rendered.len()).map(|()| rendered)
            };
            render().map_err(|error| told(&error))
        });
        within("render", rendered)
    }
}

/// What came of work within the limits.
fn within<T>(operation: &'static str, done: Result<Result<T, String>, limits::Stopped>) -> Result<T, ProcessorError> {
    let done = done.unwrap_or_else(|stopped| Err(stopped.to_string()));
    done.map_err(|message| ProcessorError::Template { operation, message })
}

/// What a template raises, without its line ends and other characters that a terminal obeys.
fn one_line(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for line in message
        .split(['\n', '\r'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if !out.is_empty() {
            out.push(' ');
        }
        for character in line.chars() {
            match character {
                '\t' => out.push(' '),
                _ if character.is_control() => out.extend(character.escape_default()),
                _ => out.push(character),
            }
        }
    }
    out
}

/// An error with the chain of its causes. What a template raises may be of any length.
fn told(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let mut message = one_line(&message);
    if let Some((end, _)) = message.char_indices().nth(MOST_MESSAGE) {
        message.truncate(end);
        message.push_str("...");
    }
    message
}
