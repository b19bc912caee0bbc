//! The exit code that an error means.

use crate::interrupt::INTERRUPTED;
use cua_grpo_report::ReportError;
use cua_grpo_train::TrainError;

/// 2 for what the user can mend, 130 for what was interrupted, 1 for what failed.
pub fn exit_code(error: &TrainError) -> u8 {
    let report = match error {
        TrainError::Failed(error) => error.downcast_ref(),
        _ => None,
    };
    if error.is_interruption() {
        INTERRUPTED
    } else if error.is_mendable() || report.is_some_and(ReportError::is_mendable) {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_train::config::ConfigError;
    use cua_grpo_train::files::{LockError, io};
    use cua_grpo_train::metrics::MetricsError;
    use std::io::Error;

    #[test]
    fn a_chain_of_causes_tells_each_once() {
        let why = || Error::other("the reason");
        let path = std::path::PathBuf::from("p");
        let errors: [anyhow::Error; 6] = [
            ConfigError::Read {
                path: path.clone(),
                reason: why(),
            }
            .into(),
            LockError::Io {
                path: path.clone(),
                reason: why(),
            }
            .into(),
            MetricsError::File(io("read", &path)(why())).into(),
            TrainError::from(MetricsError::File(io("read", &path)(why()))).into(),
            ReportError::Unwritable {
                path: path.clone(),
                reason: why(),
            }
            .into(),
            cua_grpo_model::ModelError::io("read", &path)(why()).into(),
        ];
        for error in errors {
            let text = TrainError::from(error.context("what was done")).to_string();
            assert_eq!(text.matches("the reason").count(), 1, "{text}");
        }
    }
}
