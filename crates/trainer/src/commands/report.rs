//! `trainer report`: the report of a run folder, made again.

use crate::cli::ReportArgs;
use crate::{hint, output};
use cua_grpo_report::{ReportError, write_report};
use cua_grpo_train::TrainError;
use cua_grpo_train::adapter::{other_configuration, run_of};
use cua_grpo_train::layout::REPORT;
use cua_grpo_train::run_dir::check_output;

/// Writes the report and says where it is.
///
/// # Errors
/// When there is nothing to report, or it cannot be written.
pub fn report(arguments: &ReportArgs) -> Result<(), TrainError> {
    let run = run_of(&arguments.run).unwrap_or_else(|| arguments.run.clone());
    if let Some(output) = &arguments.output {
        check_output(output, "--output")?;
    }
    let path = write_report(&run, arguments.output.as_deref()).map_err(|error| match error {
        ReportError::Unwritable { .. } => {
            let again = hint::command(&["report", &hint::path(&run), "--output", REPORT]);
            TrainError::Usage(format!("{error}: {again}"))
        }
        error => TrainError::Failed(error.into()),
    })?;
    for line in other_configuration(&run) {
        output::warn(line);
    }
    output::say(format!("report: {}", path.display()));
    Ok(())
}
