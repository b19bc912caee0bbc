//! What an error says of its causes.

use cua_grpo_report::ReportError;
use cua_grpo_train::TrainError;
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
