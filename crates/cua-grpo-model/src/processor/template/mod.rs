//! Chat templates: Jinja sources of a model folder, rendered as the Python libraries render them.

mod case;
mod clock;
mod dumps;
mod environment;
mod find;
mod messages;
mod methods;
mod operands;
mod python;
mod rewrite;
mod special;
mod value;

pub use dumps::python_json;

use super::ProcessorError;
use minijinja::{Environment, Error};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;

const NAME: &str = "chat";

/// A compiled chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
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
        let mut environment = environment::environment();
        environment
            .add_template_owned(NAME, rewrite::rewrite(source))
            .map_err(|error| template_error("compile", &error))?;
        Ok(Self {
            environment,
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
    /// [`ProcessorError::Template`] when the template fails or raises.
    pub fn render(
        &self,
        messages: &Value,
        tools: Option<&Value>,
        options: &Map<String, Value>,
    ) -> Result<String, ProcessorError> {
        let mut context: BTreeMap<&str, minijinja::Value> = BTreeMap::new();
        for (name, token) in self.tokens.iter().chain(options) {
            context.insert(name, value::from_json(token));
        }
        let messages = messages::normalise(messages);
        context.insert("messages", value::from_json(&messages));
        context.insert("tools", value::from_json(tools.unwrap_or(&Value::Null)));
        context.entry("documents").or_insert(minijinja::Value::from(()));
        context
            .entry("add_generation_prompt")
            .or_insert(minijinja::Value::from(false));
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| template_error("load", &error))?;
        // The engine panics on a few slices with a negative step; a template must not end the process.
        let rendered = std::panic::catch_unwind(AssertUnwindSafe(|| template.render(&context)));
        match rendered {
            Ok(rendered) => rendered.map_err(|error| template_error("render", &error)),
            Err(_) => Err(ProcessorError::Template {
                operation: "render",
                message: "the template engine does not survive one of its expressions; is there a slice with a negative step?"
                    .to_owned(),
            }),
        }
    }
}

fn template_error(operation: &'static str, error: &Error) -> ProcessorError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    ProcessorError::Template { operation, message }
}
