//! Bodies of `POST /boxes/{id}/commands`.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A shell command for the box.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// What to run, e.g. `settings get global wifi_on`; old clients call the field `commands`.
    #[serde(alias = "commands")]
    pub command: String,
    /// Further environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub envs: BTreeMap<String, String>,
    /// How long it may run (duration text, server default 30s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Where it runs; the box's own folder when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
}

/// What a shell command left, also a failed one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object with `stdout`, `stderr` and `exitCode`")]
#[serde(rename_all = "camelCase")]
pub struct CommandResult {
    /// Its output.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
    /// 0 when it succeeded, 124 when it ran out of time.
    #[serde(deserialize_with = "whole_number")]
    pub exit_code: i64,
}

impl CommandResult {
    /// The exit code of a command that ran out of time.
    pub const TIMED_OUT: i64 = 124;
}

/// Takes `0` and `0.0`: the service may answer either.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.fract() != 0.0 || value.abs() > 1e15 {
        return Err(serde::de::Error::custom(format!(
            "expected a whole exit code, got {value}"
        )));
    }
    Ok(value as i64)
}
