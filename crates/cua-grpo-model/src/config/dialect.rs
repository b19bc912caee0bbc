//! What model families say differently in a `config.json`.

use super::keys::Key;
use super::model::{HybridConfig, ModelConfig, MoeConfig};
use serde_json::Value;

/// A model family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Qwen3-VL, dense or a mixture of experts.
    Qwen3Vl,
    /// Qwen3.5, dense or a mixture of experts.
    Qwen35,
}

/// How a family writes its `config.json`. A family is a file with one of these, and a line in `families.rs`.
pub(super) struct Dialect {
    /// Which one it is.
    pub family: Family,
    /// `model_type` of dense models and of mixtures of experts.
    pub model_types: [&'static str; 2],
    /// The same of `architectures`.
    pub architectures: [&'static str; 2],
    /// Keys of `text_config` that mean something of their own here.
    pub text: &'static [Key],
    /// Those of dense models alone.
    pub dense: &'static [Key],
    /// Those of mixtures of experts alone.
    pub sparse: &'static [Key],
    /// Keys of `vision_config`.
    pub vision: &'static [Key],
    /// The part of a head that is turned where the file does not say it; `None` where heads are turned as a whole.
    pub turned: Option<f64>,
    /// The tower hands features to the first decoder layers.
    pub deepstack: bool,
    /// Reads what [`HybridConfig`] has: of `text_config`, the number of layers, and the width that is turned.
    pub hybrid: fn(&Value, usize, usize) -> Result<Option<HybridConfig>, String>,
    /// Reads the mixture of experts of `text_config`.
    pub moe: fn(&Value) -> Result<MoeConfig, String>,
    /// Adds the family's keys to what all have.
    pub write: fn(&ModelConfig, &mut Value),
}

impl Family {
    /// The family whose `config.json` calls its `model_type` so, by the beginning that its kinds have in common.
    pub(crate) fn of(model_type: &str) -> Option<Self> {
        let kinds = [("qwen3_vl", Self::Qwen3Vl), ("qwen3_5", Self::Qwen35)];
        kinds
            .into_iter()
            .find_map(|(start, family)| model_type.starts_with(start).then_some(family))
    }
}

impl ModelConfig {
    /// The family that the sizes are of.
    pub fn family(&self) -> Family {
        match self.text.hybrid {
            None => Family::Qwen3Vl,
            Some(_) => Family::Qwen35,
        }
    }
}
