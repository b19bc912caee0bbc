//! Which modules a quantisation leaves alone, by the rules of transformers' `llm_int8_skip_modules`.

use crate::ModelError;
use regex::Regex;

/// A list of modules to leave alone.
pub(super) struct Skip {
    entries: Vec<(String, Regex)>,
}

impl Skip {
    /// # Errors
    /// When an entry is no regular expression.
    pub(super) fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, ModelError> {
        let compile = |entry: &str| {
            Regex::new(&format!(r"\A(?:{entry})\z"))
                .map(|regex| (entry.to_owned(), regex))
                .map_err(|error| {
                    ModelError::Config(format!(
                        "llm_int8_skip_modules: expected module names or regular expressions, got {entry:?}: {error}"
                    ))
                })
        };
        Ok(Self {
            entries: entries.into_iter().map(compile).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the module `path` is left alone: an entry matches it, or one of the modules that it is inside of, as a
    /// regular expression (transformers 5); or it ends in the entry (5); or the entry stands inside it as a run of
    /// whole parts that is not the end (4.57).
    pub(super) fn covers(&self, path: &str) -> bool {
        let dots = path.match_indices('.').map(|(at, _)| at);
        // Up to a dot, with it, and as a whole: where a match may end.
        let mut ends: Vec<usize> = dots.flat_map(|at| [at, at + 1]).collect();
        ends.push(path.len());
        self.entries.iter().any(|(entry, regex)| {
            path.ends_with(entry.as_str())
                || format!(".{path}").contains(&format!(".{entry}."))
                || ends.iter().any(|&end| regex.is_match(&path[..end]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cover_what_they_cover_in_transformers() {
        // (entry, path, covered), by `should_convert_module` of 5.23 and the substring rule of 4.57.
        for (entry, path, covered) in [
            ("layer.1", "layer.1.attn", true),
            ("layer.1", "layer.11.attn", false),
            ("layer.", "layer.11.attn", true),
            ("layer.*", "layer.11.attn", true),
            ("mlp.gate", "model.mlp.gate_proj", false),
            (".*mlp.gate", "model.mlp.gate_proj", false),
            ("fc1", "model.visual.merger.linear_fc1", true),
            ("visual", "model.visual.blocks.0.attn.qkv", true),
            ("visua", "model.visual.blocks.0.attn.qkv", false),
            ("blocks.[01]", "model.visual.blocks.0.attn.qkv", false),
            (r"model\.visual\.blocks\.[01]", "model.visual.blocks.0.attn.qkv", true),
            (r"model\.visual\.blocks\.[01]", "model.visual.blocks.10.attn.qkv", false),
            ("a|model.visual", "model.visual.merger.linear_fc1", true),
        ] {
            assert_eq!(Skip::new([entry]).unwrap().covers(path), covered, "{entry} on {path}");
        }
        assert!(!Skip::new([]).unwrap().covers("model.visual.merger.linear_fc1"));
    }

    #[test]
    fn a_broken_expression_is_named() {
        let error = Skip::new(["visual", "(a"]).err().unwrap().to_string();
        assert!(error.contains("\"(a\""), "{error}");
    }
}
