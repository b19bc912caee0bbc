//! `trainer boxes`: which boxes of a GBox service runs of this program hold, and their end.

use crate::cli::{BoxesArgs, BoxesCommand};
use crate::interrupt::{Interrupt, Notice};
use crate::output;
use anyhow::Result;
use cua_grpo_gbox::{ClientConfig, GboxClient, RUN_LABEL, boxes_of_run, boxes_of_runs, end_boxes};
use cua_grpo_sim::HERE;
use cua_grpo_train::TrainError;
use cua_grpo_train::config::OriginKind;
use cua_grpo_train::files::FolderLock;
use std::time::Duration;

/// Longest listing, and longest sweep.
const LIMIT: Duration = Duration::from_secs(60);
/// How long boxes whose end was acknowledged may still be listed.
const LOOK: Duration = Duration::from_secs(3);

/// Lists or ends boxes: one line a box on standard output.
///
/// # Errors
/// When the service cannot be asked, a run is still at work, or a box could not be ended.
pub async fn boxes(arguments: &BoxesArgs) -> Result<()> {
    let interrupt = Interrupt::listen(Notice::SERVING);
    let which = arguments.which();
    let (resolved, run) = which.load()?;
    let config = &resolved.config;
    let url = match (config.simulated(), resolved.origin("gbox_base_url").kind) {
        (false, _) => config.gbox_base_url.as_str(),
        (true, OriginKind::BuiltIn) if run.is_none() => ClientConfig::PRODUCTION,
        (true, _) => {
            let what =
                format!("gbox_base_url is `{HERE}`: the simulated phone ends with its process and leaves no boxes");
            return Err(TrainError::Usage(what).into());
        }
    };
    let Some(key) = config.gbox_api_key.as_ref() else {
        return Err(TrainError::Usage(format!("no key for {url}: set GBOX_API_KEY")).into());
    };
    // Nobody ends the boxes of a run that is at work.
    let sweeps = matches!(arguments.command, BoxesCommand::Sweep(_));
    let _lock = match &run {
        Some(run) if sweeps => Some(FolderLock::acquire(run).map_err(TrainError::from)?),
        _ => None,
    };
    let client = GboxClient::new(ClientConfig::new(key.reveal()).at(url))?.brief(LIMIT);
    let label = which.label(run.as_deref(), sweeps)?;
    let found = async {
        match label {
            Some(label) => boxes_of_run(&client, &label).await,
            None => boxes_of_runs(&client).await,
        }
    };
    let found = interrupt.or(found).await??;
    if !sweeps {
        for listed in &found {
            let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let label = listed.labels.get(RUN_LABEL).map_or("-", String::as_str);
            let times = format!("since {} until {}", word(&listed.created_at), word(&listed.expires_at));
            output::line(&format!(
                "{}  {}  {times}  {RUN_LABEL}={}",
                listed.id,
                listed.status,
                label.escape_debug()
            ))?;
        }
        output::say(format!("{} boxes at {url}", found.len()));
        return Ok(());
    }
    let swept = interrupt.or(end_boxes(&client, found, LOOK)).await?;
    for id in &swept.ended {
        output::line(id)?;
    }
    output::say(format!("{} boxes ended at {url}", swept.ended.len()));
    match &swept.left[..] {
        [] => Ok(()),
        left => {
            let left = left.iter().map(|(id, error)| format!("{id} ({error})"));
            let left: Vec<String> = left.collect();
            anyhow::bail!("{} boxes that could not be ended: {}", left.len(), left.join(", "))
        }
    }
}
