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
