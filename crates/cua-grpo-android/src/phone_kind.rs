//! The kinds of phones whose commands and names tasks speak.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which phone a task is for: its apps have other names, and its shell takes other commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhoneKind {
    /// The small simulated phone.
    #[default]
    Small,
    /// The full simulated phone, which has the apps and commands of a Pixel; also a real phone of that kind.
    Pixel,
}

impl PhoneKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Small, Self::Pixel];

    /// The word in keys and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Pixel => "pixel",
        }
    }
}

impl fmt::Display for PhoneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PhoneKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("expected small or pixel, got {text:?}"))
    }
}
