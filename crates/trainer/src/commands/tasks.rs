//! `trainer tasks`: which templates there are, what an instance is, whether files are right, and a file to begin with.

use crate::cli::{TaskFiles, TasksCommand};
use crate::interrupt::{Interrupt, Notice};
use crate::world::{World, WorldConfig, catalogue};
use crate::{hint, output};
use cua_grpo_android::tasks::{AnyTemplate, Catalogue, describe, scaffold, table};
use cua_grpo_android::trial::{TrialConfig, try_all};
use cua_grpo_core::Task;
use cua_grpo_sim::{PhoneKind, PlayError, PlayServer, Proof};
use cua_grpo_train::TrainError;
use cua_grpo_train::config::TrainConfig;
use std::sync::Arc;

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
            let task = template.instance(*seed, phone.or(key).unwrap_or(template.own_phone()));
            output::line(describe(&task).map_err(anyhow::Error::from)?.trim_end())?;
        }
        TasksCommand::Check { device, phone, which } => {
            let (all, key) = of(which)?;
            let templates = if all.own().is_empty() {
                all.templates()
            } else {
                all.own()
            };
            match device {
                true => {
                    let mut config = which.config()?.config;
                    config.phone = phone.or(key).unwrap_or(PhoneKind::Pixel);
                    on_device(templates, &config).await?;
                }
                false => prove(templates, phone.or(key))?,
            }
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
            let phone = phone.or(key).unwrap_or(template.own_phone());
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

/// Tries templates on phones of the service, whose boxes end however it goes.
async fn on_device(templates: &[AnyTemplate], config: &TrainConfig) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen(Notice::EVALUATION);
    interrupt.hold();
    let world = interrupt
        .or(World::open(WorldConfig::of(config), None, &interrupt))
        .await??;
    let (source, mut told) = (Arc::new(world.phones.pool.clone()), Ok(()));
    let tries = TrialConfig::on(config.phone, world.phones.sim.is_some());
    let tried = try_all(templates, source, tries, config.concurrency, |trial| {
        told = std::mem::replace(&mut told, Ok(())).and_then(|()| output::line(&trial.to_string()));
    });
    let tally = interrupt.or(tried).await;
    world.close().await;
    let tally = tally??;
    told?;
    output::say(tally.to_string());
    match tally.held == tally.tried {
        true => Ok(()),
        false => Err(TrainError::Usage("not all templates hold on this phone".to_owned()).into()),
    }
}

fn prove(templates: &[AnyTemplate], phone: Option<PhoneKind>) -> Result<(), TrainError> {
    match Proof::of_all(templates, phone, |proof| output::line(&proof.to_string()))? {
        0 => Ok(()),
        wrong => Err(TrainError::Usage(format!(
            "{wrong} of {} templates are not right; mend their files",
            templates.len()
        ))),
    }
}
