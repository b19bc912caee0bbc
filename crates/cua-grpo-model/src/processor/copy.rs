//! The files of a processor, from one model folder to another.

use super::sections::object;
use super::{ImageProcessorConfig, PixelLimits, ProcessorError};
use crate::checkpoint::deciding_files;
use crate::plain_text;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Files from which other tools make the tokenizer, beside those that are read here.
const PARTS: [&str; 2] = ["vocab.json", "merges.txt"];

/// The folder of further templates, in which `default.jinja` may stand.
pub(super) const TEMPLATES: &str = "additional_chat_templates";

/// Copies tokenizer, templates and processors of the model in `from` to the folder `to`, which is made where it is
/// missing. Files are read and written, so that a read-only source makes no read-only file.
///
/// # Errors
/// [`ProcessorError::Io`] with the file that could not be read or written.
pub fn copy_processor(from: &Path, to: &Path) -> Result<(), ProcessorError> {
    make(to)?;
    // The model itself has a configuration of its own, and templates in a folder are copied below.
    let files = deciding_files().filter(|name| *name != "config.json" && !name.contains('/'));
    for name in files.chain(PARTS).filter(|name| from.join(name).is_file()) {
        copy(&from.join(name), &to.join(name))?;
    }
    let (source, target) = (from.join(TEMPLATES), to.join(TEMPLATES));
    let templates = templates(&source)?;
    if !templates.is_empty() {
        make(&target)?;
    }
    for path in templates {
        if let Some(name) = path.file_name() {
            copy(&path, &target.join(name))?;
        }
    }
    Ok(())
}

/// Writes `limits` into the image processor of the model folder `folder`, so that everyone who reads it obeys them.
///
/// # Errors
/// Those of [`ImageProcessorConfig::load`] and [`ImageProcessorConfig::within`]; [`ProcessorError::Io`].
pub fn set_pixels(folder: &Path, limits: PixelLimits) -> Result<(), ProcessorError> {
    let size = ImageProcessorConfig::load(folder)?.within(limits)?.size;
    if limits.is_own() {
        return Ok(());
    }
    let nested = folder.join("processor_config.json");
    let inside = nested.is_file() && object(&nested)?.get("image_processor").is_some_and(Value::is_object);
    let files = [(nested, inside), (folder.join("preprocessor_config.json"), true)];
    for (path, _) in files.into_iter().filter(|(path, written)| *written && path.is_file()) {
        let mut fields = object(&path)?;
        let section = match fields.get_mut("image_processor") {
            Some(Value::Object(section)) => section,
            _ => &mut fields,
        };
        for name in ["min_pixels", "max_pixels"] {
            section.remove(name);
        }
        section.insert(
            "size".to_owned(),
            json!({"longest_edge": size.longest_edge, "shortest_edge": size.shortest_edge}),
        );
        ProcessorError::write(&path, &format!("{:#}\n", Value::Object(fields)))?;
    }
    Ok(())
}

/// The templates in a folder of named ones, by name; none where there is no such folder.
pub(super) fn templates(folder: &Path) -> Result<Vec<PathBuf>, ProcessorError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error("list", folder))? {
        let path = entry.map_err(error("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "jinja") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn make(folder: &Path) -> Result<(), ProcessorError> {
    std::fs::create_dir_all(folder).map_err(error("create folder", folder))
}

fn copy(from: &Path, to: &Path) -> Result<(), ProcessorError> {
    let bytes = plain_text::bytes(from, plain_text::MOST_TEXT).map_err(error("read", from))?;
    std::fs::write(to, bytes).map_err(error("write", to))
}

fn error(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ProcessorError {
    let path = path.to_owned();
    move |reason| ProcessorError::Io {
        operation,
        path,
        reason,
    }
}
