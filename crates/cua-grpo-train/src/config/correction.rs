//! The keys of the sampler's correction, which are two words in one: `token_truncate` says what one weight is for and
//! what happens outside of its bounds, `sequence_mean_k3` says what is left out together and what is compared.

use super::Setting;
use super::choices::written;
use cua_grpo_algo::{CorrectionAction, CorrectionLevel, RejectionLevel, RejectionMetric};
use serde::{Deserialize, Serialize};
use serde_yaml_ng::Value;

/// What one importance weight is for, and what happens to it outside of its bounds; written as in `token_truncate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorrectionMode {
    /// What one weight is for.
    pub level: CorrectionLevel,
    /// What happens to it outside of its bounds.
    pub action: CorrectionAction,
}

impl CorrectionMode {
    fn all() -> impl Iterator<Item = Self> {
        let levels = CorrectionLevel::ALL.into_iter();
        levels.flat_map(|level| CorrectionAction::ALL.map(|action| Self { level, action }))
    }
}

/// What is left out together where sampler and trainer disagree, and what is compared; written as in `sequence_max_k3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RejectionMode {
    /// What is left out together.
    pub level: RejectionLevel,
    /// What is compared with the bounds.
    pub metric: RejectionMetric,
}

impl RejectionMode {
    fn all() -> impl Iterator<Item = Self> {
        let levels = RejectionLevel::ALL.into_iter();
        levels.flat_map(|level| RejectionMetric::ALL.map(|metric| Self { level, metric }))
    }
}

impl std::fmt::Display for CorrectionMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", written(self.level), written(self.action))
    }
}

impl std::fmt::Display for RejectionMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", written(self.level), written(self.metric))
    }
}

/// Makes a pair of choices a setting, by the names that it is shown with.
macro_rules! pair {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let found = Self::all().find(|mode| mode.to_string() == text);
                found.ok_or_else(|| format!("`{text}`: expected {}", Self::expected()))
            }
        }

        impl From<$name> for String {
            fn from(mode: $name) -> Self {
                mode.to_string()
            }
        }

        impl Setting for $name {
            fn expected() -> String {
                let names: Vec<String> = Self::all().map(|mode| mode.to_string()).collect();
                format!("one of {}", names.join(", "))
            }

            fn from_text(text: &str) -> Option<Value> {
                let text = Value::String(text.to_lowercase());
                Self::accepts(&text).then_some(text)
            }
        }
    )*};
}

pair!(CorrectionMode, RejectionMode);
