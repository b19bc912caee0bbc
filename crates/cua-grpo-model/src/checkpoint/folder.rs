//! The files of a model folder besides its weights: one list for whoever fetches, copies or compares them.

/// Files without which there is no model.
pub const REQUIRED_FILES: &[&str] = &["config.json", "tokenizer.json"];

/// Files that a folder may have. What of them says how a model is sampled by default decides nothing else.
pub const OPTIONAL_FILES: &[&str] = &[
    GENERATION,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/default.jinja",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
];

const GENERATION: &str = "generation_config.json";

/// The files that decide what a model computes and which tokens and pixels it sees: all but the weights and the settings of
/// generation.
pub fn deciding_files() -> impl Iterator<Item = &'static str> {
    let all = REQUIRED_FILES.iter().chain(OPTIONAL_FILES).copied();
    all.filter(|name| *name != GENERATION)
}
