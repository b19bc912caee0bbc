//! Which of a folder's templates counts: that of transformers' processor, with a word where others differ.

use crate::plain_text::{self, is_there};
use crate::processor::ProcessorError;
use crate::processor::copy::{TEMPLATES as NAMED, templates};
use crate::processor::sections::object;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A template and where it stands.
struct Found {
    place: String,
    source: String,
}

/// The source of the template of a model folder.
///
/// In order: `chat_template` of `processor_config.json`, `chat_template.json`, `chat_template.jinja`,
/// `additional_chat_templates/default.jinja` (transformers' processor), then `chat_template` of `tokenizer_config.json`
/// (its tokenizer). Of several named templates in one file the one called `default` counts.
pub(super) fn find(folder: &Path) -> Result<String, ProcessorError> {
    let named = templates(&folder.join(NAMED))?;
    let mut found = Vec::new();
    for name in ["processor_config.json", "chat_template.json"] {
        found.extend(in_json(folder, name)?);
    }
    let legacy = folder.join("chat_template.json");
    if legacy.exists() && !named.is_empty() {
        return Err(ProcessorError::Format {
            path: legacy,
            expected: format!("no templates in {NAMED} beside it, which transformers refuses"),
            got: format!(
                "{}; save the one in this file as chat_template.jinja and remove it",
                names(&named)
            ),
        });
    }
    found.extend(in_file(folder, "chat_template.jinja")?);
    found.extend(in_file(folder, &format!("{NAMED}/default.jinja"))?);
    if found.is_empty() && !named.is_empty() {
        return Err(ProcessorError::Format {
            path: folder.join(NAMED),
            expected: "a template called default.jinja, or chat_template.jinja beside the folder".to_owned(),
            got: format!("{}; copy the one to use to chat_template.jinja", names(&named)),
        });
    }
    // Where a template is found, the tokenizer's are only compared with it.
    match in_json(folder, "tokenizer_config.json") {
        Err(error) if found.is_empty() => return Err(error),
        tokenizer => found.extend(tokenizer.ok().flatten()),
    }
    let mut found = found.into_iter();
    let first = found.next().ok_or_else(|| ProcessorError::Format {
        path: folder.to_owned(),
        expected: "chat_template.jinja, or a chat_template in chat_template.json or tokenizer_config.json".to_owned(),
        got: "none of them; copy the released model's".to_owned(),
    })?;
    for other in found.filter(|other| plain(&other.source) != plain(&first.source)) {
        tracing::warn!(
            "{}: two different chat templates: {} is used, as transformers' processor does, not {}; remove the one that is stale",
            folder.display(),
            first.place,
            other.place
        );
    }
    if first.source.starts_with('\u{FEFF}') {
        tracing::warn!(
            "{}: {} starts with a byte order mark, which becomes part of every prompt, as in transformers; remove it",
            folder.display(),
            first.place
        );
    }
    Ok(first.source)
}

/// The source without what makes no difference: kinds of line ends, and the last one.
fn plain(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    source.strip_suffix('\n').map_or(source.clone(), str::to_owned)
}

fn names(templates: &[PathBuf]) -> String {
    let names: Vec<_> = templates
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy())
        .collect();
    names.join(", ")
}

fn in_file(folder: &Path, name: &str) -> Result<Option<Found>, ProcessorError> {
    let path = folder.join(name);
    if !is_there(&path) {
        return Ok(None);
    }
    // A byte order mark is part of a template for transformers, so the text is read with it.
    let read = plain_text::bytes(&path, plain_text::MOST_TEXT).and_then(|bytes| {
        String::from_utf8(bytes)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error()))
    });
    let source = read.map_err(|reason| ProcessorError::Io {
        operation: "read",
        path,
        reason,
    })?;
    Ok(Some(source).filter(|source| !source.is_empty()).map(|source| Found {
        place: name.to_owned(),
        source,
    }))
}

fn in_json(folder: &Path, name: &str) -> Result<Option<Found>, ProcessorError> {
    let path = folder.join(name);
    if !is_there(&path) {
        return Ok(None);
    }
    let fields = object(&path)?;
    let source = match fields.get("chat_template") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(source)) => Some(source.as_str()),
        Some(Value::Object(named)) => named.get("default").and_then(Value::as_str),
        Some(Value::Array(named)) => {
            let default = named.iter().find(|entry| entry["name"] == "default");
            default.and_then(|entry| entry["template"].as_str())
        }
        Some(_) => None,
    };
    match source {
        Some("") => Ok(None),
        Some(source) => Ok(Some(Found {
            place: format!("chat_template of {name}")
                .replace("chat_template of chat_template.json", "chat_template.json"),
            source: source.to_owned(),
        })),
        None => Err(ProcessorError::Key {
            path,
            key: "chat_template".to_owned(),
            expected: "a template, or named ones of which one is called default".to_owned(),
            got: fields["chat_template"].to_string().chars().take(80).collect(),
        }),
    }
}
