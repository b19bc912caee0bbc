//! Models by name: folders, or the Hugging Face Hub with a bar for each large file.

use anyhow::Result;
use cua_grpo_model::hub::{Hub, HubError, Transfer, is_hub_name, shown};
use cua_grpo_train::TrainError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;

/// The folder of the model `name` of `hub`, as [`Hub::fetch`]; shows a bar for each file on a terminal.
///
/// # Errors
/// As [`Hub::fetch`]: [`TrainError::Usage`] where the user can mend it.
pub fn fetch(hub: &Hub, name: &str) -> Result<PathBuf> {
    hub.fetch_watched(name, &|| Box::new(Bar(None)))
        .map_err(|error| match error {
            HubError::Refused(message) => TrainError::Usage(message).into(),
            HubError::Failed(_) => error.into(),
        })
}

/// The folder of the model `name`: a local folder of that name, or what the Hub has under it (`org/name`).
///
/// # Errors
/// When there is no such folder and the name is none of the Hub; and as [`fetch`].
pub fn resolve(name: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    if is_hub_name(name) {
        return fetch(&Hub::from_env(), name);
    }
    Err(TrainError::Usage(format!(
        "expected `{}`, the name of a model on the Hugging Face Hub (org/name), or a folder with \
         config.json and model.safetensors; found no folder `{}`",
        cua_grpo_train::config::STARTER,
        shown(name)
    ))
    .into())
}

/// A bar for one file: small files have none.
struct Bar(Option<ProgressBar>);

impl Transfer for Bar {
    fn start(&mut self, file: &str, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(0);
        } else if bytes > 1 << 20 {
            let fancy = std::io::stderr().is_terminal();
            let target = if fancy {
                ProgressDrawTarget::stderr()
            } else {
                crate::output::say(format!("fetching {file} ({} MB)", bytes / 1_000_000));
                ProgressDrawTarget::hidden()
            };
            let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(file.to_owned());
            let template = "{msg} {bar:24.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            self.0 = Some(bar);
        }
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
