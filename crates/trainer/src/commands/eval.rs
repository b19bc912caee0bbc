//! `trainer eval`: measures a policy on task instances that training never sees.

use crate::assemble::{self, Loaded};
use crate::interrupt::{Interrupt, Notice};
use crate::output;
use crate::progress::Progress;
use crate::world::{World, WorldConfig, tasks};
use anyhow::Result;
use cua_grpo_android::tasks::Split;
use cua_grpo_train::TrainError;
use cua_grpo_train::eval::{Candidate, Evaluation, evaluate, interrupted};
use cua_grpo_train::measured::Measured;

/// Episodes on unseen task instances, greedy or several attempts at each; a line a template on standard error, the figures as JSON on standard
/// output. Its `step` is that of the adapter, null where none is known.
pub async fn eval(measured: &Measured) -> Result<()> {
    let interrupt = Interrupt::listen(Notice::EVALUATION);
    let config = &measured.resolved.config;
    for note in &measured.notes {
        output::say(note);
    }
    let folder = assemble::open(config)?;
    if let Some(adapter) = &measured.adapter
        && let Some(note) = adapter.check_folder(&config.model_name, folder.path(), &measured.base_by)?
    {
        output::say(format!("note: {note}"));
    }
    let Loaded { mut policy, renderer } = assemble::load(config, &folder, |turns| {
        if turns.too_few() {
            output::warn(format!("episodes end before max_turns: {}", turns.advice()));
        }
        Ok(())
    })?;
    if let Some(adapter) = &measured.adapter {
        adapter.load_onto(policy.model_mut())?;
    }
    interrupt.hold();
    let world = interrupt
        .or(World::open(WorldConfig::of(config), None, &interrupt))
        .await??;
    let unseen = tasks(config.eval_seed, Split::Eval, config)?;
    let evaluation = Evaluation::of(config, &*unseen);
    let venue = world.unseen(unseen);
    let provenance = measured
        .adapter
        .as_ref()
        .and_then(|adapter| adapter.provenance.as_ref());
    let step = provenance.map(|provenance| provenance.step);
    let progress = Progress::new(0, 0).verbose(config.verbose);
    let progress = progress.watching(world.phones.pool.client().clone());
    let shown = progress.clone();
    let candidate = Candidate {
        policy: &policy,
        renderer,
        reward: crate::pay::pay(config)?,
    };
    let result = evaluate(&evaluation, &venue, candidate, step, interrupt.token(), move |now| {
        shown.episodes("evaluation", "", now);
    })
    .await;
    progress.finish();
    world.close().await;
    let result = match result {
        Err(error) if interrupted(&error) => return Err(TrainError::Interrupted.into()),
        result => result?,
    };
    output::say(result.by_template().trim_end());
    output::say(format!(
        "{:.1} % of {} episodes on unseen instances solved, {:.1} % claimed, {:.1} turns an episode{}",
        100.0 * result.event.success_rate,
        result.event.episodes,
        100.0 * result.event.claimed_success_rate,
        result.event.turns_mean,
        cua_grpo_report::incomplete(&result.event)
    ));
    let (near, beside) = (
        cua_grpo_report::by_distance(&result.event),
        cua_grpo_report::conduct(&result.event),
    );
    near.lines().chain(beside.lines()).for_each(output::say);
    let mut line = serde_json::to_value(cua_grpo_train::metrics::Line::Eval(result.event))?;
    line["step"] = step.into();
    output::line(&line.to_string())
}
