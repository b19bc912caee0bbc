//! All configurations of the program's commands.

use super::{Configuration, SftConfig, TrainConfig};

/// Whether `name` is a key of any command, so that its variable is no mistake where another command runs.
pub(super) fn is_key(name: &str) -> bool {
    let keys = TrainConfig::keys().iter().chain(SftConfig::keys());
    keys.into_iter().any(|key| key.name == name)
}
