//! That a processor cuts pictures into the patches that the model beside it takes, and that its tokens have places there.

use super::sections::{Section, object, whole};
use super::{ImageProcessorConfig, ProcessorError, Tokenizer};
use crate::plain_text::is_there;
use serde_json::Value;
use std::path::Path;

/// Holds the sizes of patches against `vision_config` of the folder's `config.json`. A folder without one has no model.
///
/// # Errors
/// [`ProcessorError::Misfit`], which names both keys, values and files.
pub(super) fn check(folder: &Path, section: &Section, read: &ImageProcessorConfig) -> Result<(), ProcessorError> {
    let path = folder.join("config.json");
    if !is_there(&path) {
        return Ok(());
    }
    // What is wrong with the file itself is told by the reader of models.
    let Ok(config) = object(&path) else { return Ok(()) };
    let vision = config.get("vision_config").unwrap_or(&Value::Null);
    for (key, ours, theirs) in [
        ("patch_size", read.patch_size, "patch_size"),
        ("temporal_patch_size", read.temporal_patch_size, "temporal_patch_size"),
        ("merge_size", read.merge_size, "spatial_merge_size"),
    ] {
        // A side may be written once for each direction.
        let side = &vision[theirs];
        let side = side.as_array().and_then(|sides| sides.first()).unwrap_or(side);
        if let Some(wanted) = whole(side).filter(|&wanted| wanted != ours) {
            return Err(ProcessorError::Misfit {
                path: section.path().to_owned(),
                key,
                value: ours,
                model: path,
                model_key: format!("vision_config.{theirs}"),
                model_value: wanted,
            });
        }
    }
    Ok(())
}

/// Holds the ids of a tokenizer against `config.json` of its folder: there is a row of the embedding for each, and the
/// placeholders are those of the model. A folder without that file has no model.
///
/// # Errors
/// [`ProcessorError::Keys`], which names both.
pub(super) fn check_ids(folder: &Path, tokenizer: &Tokenizer) -> Result<(), ProcessorError> {
    let path = folder.join("config.json");
    if !is_there(&path) {
        return Ok(());
    }
    let Ok(config) = object(&path) else { return Ok(()) };
    let wrong = |message: String| ProcessorError::Keys {
        path: path.clone(),
        message: format!("{message}; take config.json and tokenizer.json from one model"),
    };
    let text = config.get("text_config").unwrap_or(&Value::Null);
    let ids = tokenizer.vocab_size();
    if let Some(rows) = whole(&text["vocab_size"]).filter(|rows| *rows < ids) {
        return Err(wrong(format!(
            "text_config.vocab_size: expected at least {ids}, for the ids of tokenizer.json, found {rows}"
        )));
    }
    let special = tokenizer.special();
    for (key, id) in [
        ("image_token_id", special.image_pad),
        ("video_token_id", special.video_pad),
        ("vision_start_token_id", special.vision_start),
        ("vision_end_token_id", special.vision_end),
    ] {
        let found = config.get(key).and_then(Value::as_u64);
        if let Some(found) = found.filter(|found| *found != u64::from(id)) {
            return Err(wrong(format!(
                "{key}: expected {id}, as in tokenizer.json, found {found}"
            )));
        }
    }
    Ok(())
}
