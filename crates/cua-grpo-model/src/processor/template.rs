//! Chat templates: Jinja sources of a model folder, rendered as the Python libraries render them.

use super::{ProcessorError, python_json};
use minijinja::value::{Kwargs, Value as JinjaValue};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::Value;
use std::path::Path;

const NAME: &str = "chat";

/// A compiled chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
}

impl ChatTemplate {
    /// The format of the Qwen3-VL Instruct models, for models that are made here.
    pub const QWEN3_VL: &'static str = include_str!("qwen3_vl.jinja");

    /// Compiles a template.
    ///
    /// # Errors
    /// [`ProcessorError::Template`] when the source is not valid Jinja.
    pub fn new(source: &str) -> Result<Self, ProcessorError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        let owned = source.to_owned();
        environment
            .add_template_owned(NAME, owned)
            .map_err(|error| template_error("compile", &error))?;
        Ok(Self {
            environment,
            source: source.to_owned(),
        })
    }

    /// Reads the template of a model folder: `chat_template.jinja`, else `chat_template.json`, else the field `chat_template` of
    /// `tokenizer_config.json` (of several named templates the one called `default`).
    ///
    /// # Errors
    /// [`ProcessorError::Io`], [`ProcessorError::Format`] when there is none, or [`ProcessorError::Template`].
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        let path = folder.join("chat_template.jinja");
        if path.exists() {
            return Self::new(&ProcessorError::read(&path)?);
        }
        for name in ["chat_template.json", "tokenizer_config.json"] {
            let path = folder.join(name);
            if !path.exists() {
                continue;
            }
            let json: Value = serde_json::from_str(&ProcessorError::read(&path)?)
                .map_err(|error| ProcessorError::json(&path, "a JSON object", &error))?;
            let named = json["chat_template"].as_array().into_iter().flatten();
            let default = named
                .filter(|entry| entry["name"] == "default")
                .find_map(|entry| entry["template"].as_str());
            if let Some(source) = json["chat_template"].as_str().or(default) {
                return Self::new(source);
            }
        }
        Err(ProcessorError::Format {
            path: folder.to_owned(),
            expected: "chat_template.jinja, or a chat_template in chat_template.json or tokenizer_config.json"
                .to_owned(),
            got: "none of them".to_owned(),
        })
    }

    /// The Jinja source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders `messages` (in the chat form of the Python libraries) with `tools`; `options` are further variables, such as
    /// `add_generation_prompt` and `add_vision_id`.
    ///
    /// # Errors
    /// [`ProcessorError::Template`] when the template fails or raises.
    pub fn render(
        &self,
        messages: &Value,
        tools: Option<&Value>,
        options: &serde_json::Map<String, Value>,
    ) -> Result<String, ProcessorError> {
        let mut context = options.clone();
        context.insert("messages".to_owned(), messages.clone());
        context.insert("tools".to_owned(), tools.cloned().unwrap_or(Value::Null));
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| template_error("load", &error))?;
        template
            .render(&context)
            .map_err(|error| template_error("render", &error))
    }
}

/// The filter `tojson` with Python's separators. Options (indent, sort_keys) are refused rather than ignored.
fn to_json(value: &JinjaValue, options: Kwargs) -> Result<String, Error> {
    options.assert_all_used()?;
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, "tojson: expected plain data").with_source(error))?;
    Ok(python_json(&json))
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
