//! The action grammar: from the text of a reply to typed actions, and back to the canonical text.

mod canonical;
mod error;
mod fields;
mod keys;
mod parse;
mod types;

pub use canonical::{python_json, to_call, to_reply};
pub use error::GrammarError;
pub use keys::{KEYS, key_name};
pub use parse::{Reply, parse_reply};
pub use types::{Action, ButtonName, ClickOption, Description, Direction, SwipePath, Target};
