//! Which weights of a folder are read, and what is said about the others.

use super::header::read_index;
use crate::ModelError;
use std::collections::BTreeSet;
use std::path::Path;

/// Name of the list of shards.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// Name of an unsharded checkpoint.
pub const SINGLE_FILE: &str = "model.safetensors";

/// Warns of an index beside the single file: it is not followed, as in transformers.
pub(super) fn warn_of_index(dir: &Path, index: &Path) {
    let shards: BTreeSet<String> = match read_index(index) {
        Ok(map) => map.into_values().collect(),
        Err(_) => BTreeSet::new(),
    };
    // An index that names the one file says the same.
    if shards.len() == 1 && shards.contains(SINGLE_FILE) {
        return;
    }
    let missing = shards.iter().filter(|shard| !dir.join(shard).exists()).count();
    let (count, path) = (shards.len(), dir.display());
    match missing {
        0 if count > 0 => tracing::warn!(
            "{path} holds two sets of weights: {SINGLE_FILE}, which is read, and the {count} files of {INDEX_FILE}, which are \
             not; delete those that are old"
        ),
        _ => tracing::warn!(
            "{path}: {SINGLE_FILE} is read; {INDEX_FILE} beside it names {count} files, of which {missing} are gone: delete it"
        ),
    }
}

/// Warns of other files with weights than those that are read, and of an adapter.
pub(super) fn warn_of_others(dir: &Path, read: &[&str]) {
    let named = named_by_index(dir);
    let others: Vec<String> = weights(dir)
        .into_iter()
        .filter(|name| !read.contains(&name.as_str()) && !named.contains(name))
        .collect();
    if !others.is_empty() {
        tracing::warn!(
            "{}: {} {} read; other weights beside {} are not: {}",
            dir.display(),
            list(read.iter().map(|name| (*name).to_owned())),
            if read.len() == 1 { "is" } else { "are" },
            if read.len() == 1 { "it" } else { "them" },
            list(others.into_iter())
        );
    }
    if dir.join("adapter_config.json").exists() {
        tracing::warn!(
            "{}: the adapter beside the weights (adapter_config.json) is not applied; name the folder as the adapter too to \
             apply it",
            dir.display()
        );
    }
}

/// The error of a folder in which no weights can be read.
pub(super) fn no_weights(dir: &Path) -> ModelError {
    let found = weights(dir);
    let shards = found
        .iter()
        .filter(|name| name.starts_with("model-") && name.ends_with(".safetensors"));
    let found = match shards.count() {
        0 => "found neither (pickled weights, *.bin, are not read: save them again with safetensors)".to_owned(),
        count => format!("found {count} shards without {INDEX_FILE}: fetch it too"),
    };
    ModelError::format(
        dir,
        format!("expected weights in {SINGLE_FILE}, or in shards with {INDEX_FILE}; {found}"),
    )
}

/// Shards of an index beside the single file, of which [`warn_of_index`] has spoken.
fn named_by_index(dir: &Path) -> BTreeSet<String> {
    match read_index(&dir.join(INDEX_FILE)) {
        Ok(map) => map.into_values().collect(),
        Err(_) => BTreeSet::new(),
    }
}

/// Names of the files of the folder that hold weights of a model, in order.
fn weights(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| {
            let safetensors = name.ends_with(".safetensors") && !name.starts_with("adapter");
            safetensors || name.starts_with("pytorch_model") && name.ends_with(".bin")
        })
        .collect();
    names.sort();
    names
}

/// The first names, and how many more there are.
pub(super) fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 6;
    let count = names.len();
    let mut text = names.take(MOST).collect::<Vec<_>>().join(", ");
    if count > MOST {
        text.push_str(&format!(" and {} more", count - MOST));
    }
    text
}
