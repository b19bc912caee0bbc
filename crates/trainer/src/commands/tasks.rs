//! `trainer tasks`: which templates there are, what an instance is, whether files are right, and a file to begin with.

use crate::cli::{TaskFiles, TasksCommand};
use crate::interrupt::{Interrupt, Notice};
use crate::world::catalogue;
use crate::{hint, output};
use cua_grpo_android::tasks::{AnyTemplate, Catalogue, describe, scaffold, table};
use cua_grpo_core::Task;
use cua_grpo_sim::{PROOF_SEEDS, PhoneKind, PlayError, PlayServer, Proof};
use cua_grpo_train::TrainError;

/// Shows, proves, plays or begins templates, on standard output.
///
/// # Errors
/// [`TrainError::Usage`] for files that are wrong, templates that are unknown or not proved, and a file that is there.
pub async fn tasks(command: &TasksCommand) -> Result<(), TrainError> {
    let usage = TrainError::Usage;
    match command {
        TasksCommand::List(which) => output::line(table(of(which)?.0.templates()).trim_end())?,
        TasksCommand::Show { id, seed, phone, which } => {
            let (all, key) = of(which)?;
            let template = all.find(id).map_err(|error| usage(error.to_string()))?;
            let task = template.instance(*seed, phone.or(key).unwrap_or(fitting(template)));
            output::line(describe(&task).map_err(anyhow::Error::from)?.trim_end())?;
        }
        TasksCommand::Check { phone, which } => {
            let (all, key) = of(which)?;
            let templates = if all.own().is_empty() {
                all.templates()
            } else {
                all.own()
            };
            prove(templates, phone.or(key))?;
        }
        TasksCommand::Play {
            id,
            seed,
            phone,
            port,
            which,
        } => {
            let (all, key) = of(which)?;
            let template = all.find(id).map_err(|error| usage(error.to_string()))?;
            let phone = phone.or(key).unwrap_or(fitting(template));
            play(&template.instance(*seed, phone), phone, *port).await?;
        }
        TasksCommand::New { file, phone } => {
            scaffold(file, *phone).map_err(|error| usage(error.to_string()))?;
            let path = hint::path(file);
            output::say(format!(
                "wrote {path}; next: {}",
                hint::command(&["tasks", "check", &path])
            ));
        }
    }
    Ok(())
}

/// The templates, and the phone where a key names it.
fn of(which: &TaskFiles) -> Result<(Catalogue, Option<PhoneKind>), TrainError> {
    let (files, phone) = which.load()?;
    Ok((catalogue(&files)?, phone))
}

/// The phone that a template is for: the small one where it can be.
fn fitting(template: &AnyTemplate) -> PhoneKind {
    match template.is_for(PhoneKind::Small) {
        true => PhoneKind::Small,
        false => PhoneKind::Pixel,
    }
}

/// Serves a task until a signal asks for the end.
async fn play(task: &Task, phone: PhoneKind, port: u16) -> Result<(), TrainError> {
    let interrupt = Interrupt::listen(Notice::SERVING);
    interrupt.hold();
    let served = PlayServer::start(task, phone, port).await;
    let server = served.map_err(|error: PlayError| TrainError::Usage(error.to_string()))?;
    output::say(format!("task     {}: {}", task.id, task.instruction));
    output::say(format!("play it in a browser of this machine: {}", server.url()));
    interrupt.wait().await;
    server.shutdown().await;
    Ok(())
}

fn prove(templates: &[AnyTemplate], phone: Option<PhoneKind>) -> Result<(), TrainError> {
    let mut wrong = 0;
    for template in templates {
        let proof = Proof::of(template, PROOF_SEEDS, phone.unwrap_or(fitting(template)));
        wrong += usize::from(!proof.holds());
        output::line(&proof.to_string())?;
    }
    match wrong {
        0 => Ok(()),
        _ => Err(TrainError::Usage(format!(
            "{wrong} of {} templates are not right; mend their files",
            templates.len()
        ))),
    }
}
