//! Asks the device whether a task is done. A question that cannot be asked is an error, never "no".

use crate::device::{Device, DeviceError, ShellOutput};
use crate::tasks::Check;
use cua_grpo_core::CheckOutcome;
use regex::Regex;
use std::time::Duration;

/// Why a check has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValidateError {
    /// The expectation of a check is no regular expression.
    #[error("check {command:?}: expected a regular expression, got {pattern:?} ({message}); correct the task")]
    Pattern {
        /// The command of the check.
        command: String,
        /// Its expectation.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A command failed on the device.
    #[error(
        "command {command:?}: expected exit code 0, got {exit_code} ({complaint}); does the device know the command?"
    )]
    Shell {
        /// The command.
        command: String,
        /// 124 means that it ran out of time.
        exit_code: i64,
        /// What it complained about.
        complaint: String,
    },
    /// The command could not be run at all.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// The answers to the checks of a task, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What was asked, expected and found, one a check.
    pub outcomes: Vec<CheckOutcome>,
}

impl Verdict {
    /// True when there are checks and all hold: a task without checks can never be done.
    pub fn all(&self) -> bool {
        !self.outcomes.is_empty() && self.outcomes.iter().all(|outcome| outcome.held)
    }

    /// How many hold.
    pub fn passed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.held).count()
    }
}

/// Does `output`, trimmed, match `pattern` as a whole?
///
/// # Errors
/// When `pattern` is no regular expression.
pub fn matches(pattern: &str, output: &str) -> Result<bool, regex::Error> {
    Ok(Regex::new(&format!(r"\A(?:{pattern})\z"))?.is_match(output.trim()))
}

/// Asks the phone every check.
///
/// # Errors
/// [`ValidateError`] for the first check that has no answer.
pub async fn validate(device: &mut dyn Device, checks: &[Check], limit: Duration) -> Result<Verdict, ValidateError> {
    let mut outcomes = Vec::with_capacity(checks.len());
    for check in checks {
        let output = succeeded(&check.command, device.query(&check.command, limit).await?)?;
        let held = matches(&check.expect, &output).map_err(|error| ValidateError::Pattern {
            command: check.command.clone(),
            pattern: check.expect.clone(),
            message: error.to_string(),
        })?;
        let found = shortened(output.trim());
        outcomes.push(CheckOutcome::new(&check.command, &check.expect, found).with_held(held));
    }
    Ok(Verdict { outcomes })
}

/// Runs commands that bring the device into a state, in order.
///
/// # Errors
/// [`ValidateError`] for the first command that fails.
pub async fn run_all(device: &mut dyn Device, commands: &[String], limit: Duration) -> Result<(), ValidateError> {
    for command in commands {
        succeeded(command, device.shell(command, limit).await?)?;
    }
    Ok(())
}

/// The first characters of an output: a fact for a report, which needs no whole dump.
fn shortened(output: &str) -> String {
    const LIMIT: usize = 400;
    match output.char_indices().nth(LIMIT) {
        None => output.to_owned(),
        Some((end, _)) => format!("{}…", &output[..end]),
    }
}

/// The output of a command that succeeded.
fn succeeded(command: &str, result: ShellOutput) -> Result<String, ValidateError> {
    if result.exit_code == 0 {
        return Ok(result.stdout);
    }
    let complaint = if result.timed_out {
        "timed out".to_owned()
    } else if result.stderr.trim().is_empty() {
        "no complaint".to_owned()
    } else {
        result.stderr.trim().chars().take(200).collect()
    };
    Err(ValidateError::Shell {
        command: command.to_owned(),
        exit_code: result.exit_code,
        complaint,
    })
}
