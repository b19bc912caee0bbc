//! The model families that are read.

use super::dialect::{Dialect, Family};
use super::qwen3_5::QWEN3_5;
use super::qwen3_vl::QWEN3_VL;

/// One line for each family.
const FAMILIES: [&Dialect; 2] = [
    &QWEN3_VL, //
    &QWEN3_5,
];

/// The family whose `model_type` is `kind`, and whether that is a mixture of experts.
///
/// # Errors
/// Names those that are read.
pub(super) fn named(kind: &str) -> Result<(&'static Dialect, bool), String> {
    let found = FAMILIES.iter().find_map(|dialect| {
        let place = dialect.model_types.iter().position(|known| *known == kind)?;
        Some((*dialect, place == 1))
    });
    found.ok_or_else(|| {
        let known: Vec<String> = FAMILIES
            .iter()
            .flat_map(|dialect| dialect.model_types)
            .map(|known| format!("\"{known}\""))
            .collect();
        let (others, last) = known.split_at(known.len() - 1);
        let (others, last) = (others.join(", "), last.concat());
        format!("model_type: expected {others} or {last}, found \"{kind}\"")
    })
}

/// How `family` writes its `config.json`.
pub(super) fn dialect(family: Family) -> &'static Dialect {
    let found = FAMILIES.iter().find(|dialect| dialect.family == family);
    found.copied().unwrap_or(FAMILIES[0])
}
