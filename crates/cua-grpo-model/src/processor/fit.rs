//! That a processor cuts pictures into the patches that the model beside it takes.

use super::sections::{Section, object, whole};
use super::{ImageProcessorConfig, ProcessorError};
use serde_json::Value;
use std::path::Path;

/// Holds the sizes of patches against `vision_config` of the folder's `config.json`. A folder without one has no model.
///
/// # Errors
/// [`ProcessorError::Misfit`], which names both keys, values and files.
pub(super) fn check(folder: &Path, section: &Section, read: &ImageProcessorConfig) -> Result<(), ProcessorError> {
    let path = folder.join("config.json");
    if !path.exists() {
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
