//! The configuration of the model that a name says, without a network.

use crate::model_folder::ModelFolder;
use cua_grpo_model::{ModelConfig, PRESETS};
use cua_grpo_train::TrainError;
use cua_grpo_train::config::STARTER;
use std::path::Path;

/// Whether [`find_config`] knows the model without a network.
pub fn is_known(name: &str) -> bool {
    name == STARTER || Path::new(name).is_dir() || ModelConfig::released(name).is_some()
}

/// The configuration of the model `name`, and where it is from: the starter, a folder, or else the released sizes when
/// the name is that of a released model.
///
/// # Errors
/// [`TrainError::Usage`] when the name is none of these.
pub fn find_config(name: &str) -> Result<(ModelConfig, String), TrainError> {
    let usage = |error: &dyn std::fmt::Display| TrainError::Usage(format!("model_name `{name}`: {error}"));
    if name == STARTER || Path::new(name).is_dir() {
        let folder = ModelFolder::open(name)?;
        let config = ModelConfig::load(folder.path()).map_err(|error| usage(&error))?;
        return Ok((config, "its config.json".into()));
    }
    match ModelConfig::released(name) {
        Some((config, size)) => Ok((config, format!("the released sizes of {size}"))),
        None => Err(usage(&format!(
            "expected `{STARTER}`, a folder with config.json, or the name of a released size ({})",
            PRESETS.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_the_released_sizes() {
        for (name, size) in [
            ("Qwen/Qwen3-VL-8B-Instruct", "8b"),
            ("Qwen/Qwen3-VL-32B-Instruct", "32b"),
            ("Qwen/Qwen3-VL-2B-Thinking", "2b"),
            ("Qwen/Qwen3-VL-30B-A3B-Instruct", "30b-a3b"),
            ("4b", "4b"),
            ("Qwen/Qwen3.5-4B", "qwen35-4b"),
            ("Qwen/Qwen3.5-0.8B-Base", "qwen35-0.8b"),
        ] {
            let (config, source) = find_config(name).unwrap();
            assert_eq!(Some(config), ModelConfig::preset(size), "{name}");
            assert!(source.ends_with(size));
        }
        assert_eq!(find_config(STARTER).unwrap().1, "its config.json");
        for other in ["mine/model", "meta-llama/Llama-3-8B", "Qwen/Qwen2.5-VL-32B-Instruct"] {
            let error = find_config(other).unwrap_err();
            assert!(
                error.to_string().contains("2b, 4b") && crate::error::exit_code(&error) == 2,
                "{other}"
            );
        }
    }
}
