//! The rewards of a collection: each group is scored as a whole, as soon as its last attempt has ended.

use crate::EngineError;
use crate::caught::caught;
use crate::episode::Collector;
use cua_grpo_core::{Episode, Fault, FaultKind, Group, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Takes away what nobody will read of the episode in a slot, by the slot's number.
pub(crate) type ThinFn = Arc<dyn Fn(usize, &mut Episode) + Send + Sync>;

/// The attempts at one task that ended, by the index of their slot.
pub(crate) type Ended = BTreeMap<usize, Result<Episode, Fault>>;

/// The groups that are being scored.
pub(crate) struct Scoring {
    run: Arc<Collector>,
    thin: Option<ThinFn>,
    groups: JoinSet<Option<(u64, Group)>>,
}

impl Scoring {
    /// `thin` takes from an episode what nobody reads once it has its reward.
    pub(crate) fn new(run: Arc<Collector>, thin: Option<ThinFn>) -> Self {
        let groups = JoinSet::new();
        Self { run, thin, groups }
    }

    /// Nothing is being scored.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Begins to score the `number`-th group. A reward that fails is asked again up to `max_retries` times, then the
    /// group loses its episodes.
    pub(crate) fn begin(&mut self, number: u64, task: Task, ended: Ended) {
        let (run, thin) = (self.run.clone(), self.thin.clone());
        self.groups.spawn(async move {
            let mut group = Group::new(task);
            let mut slots = Vec::new();
            for (slot, outcome) in ended {
                match outcome {
                    Ok(episode) => {
                        slots.push(slot);
                        group.episodes.push(episode);
                    }
                    Err(fault) => group.faults.push(fault),
                }
            }
            tokio::select! {
                biased;
                () = run.stop.cancelled() => return None,
                () = score(&run, &mut group) => {}
            }
            if let Some(thin) = thin {
                for (slot, episode) in slots.into_iter().zip(&mut group.episodes) {
                    thin(slot, episode);
                }
            }
            Some((number, group))
        });
    }

    /// Waits for the next group that is scored, with its number; `None` when none is being scored, or when the collection
    /// is to end.
    ///
    /// # Errors
    /// [`EngineError::Panicked`] where the engine has a defect: a reward that panics is a fault.
    pub(crate) async fn next(&mut self) -> Option<Result<(u64, Group), EngineError>> {
        match self.groups.join_next().await? {
            Ok(group) => group.map(Ok),
            Err(error) => Some(Err(EngineError::Panicked {
                message: error.to_string(),
            })),
        }
    }
}

async fn score(run: &Collector, group: &mut Group) {
    if group.episodes.is_empty() {
        return;
    }
    for retry in 0..=run.config.max_retries {
        let fault = match ask(run, group).await {
            Ok(rewards) => {
                for (episode, reward) in group.episodes.iter_mut().zip(rewards) {
                    episode.reward = reward;
                }
                return;
            }
            Err(fault) => fault,
        };
        let retried = retry < run.config.max_retries;
        tracing::warn!(task = %group.task.id, %fault, retried, "a group could not be scored");
        if retried {
            run.board.reward_fault(&fault, &[]);
            let delay = run.config.retry_delay.saturating_mul(1 << retry.min(10));
            tokio::time::sleep(delay).await;
        } else {
            run.board.reward_fault(&fault, &group.episodes);
            let lost = group.episodes.drain(..).map(|_| fault.clone());
            group.faults.extend(lost);
            return;
        }
    }
}

/// The rewards, checked: one for each episode, all finite. What is measured before stays with the episodes.
async fn ask(run: &Collector, group: &mut Group) -> Result<Vec<f32>, Fault> {
    let measured = async { Ok::<_, Fault>(run.seams.reward.measure(&group.task, &group.episodes).await) };
    let measured = caught("measure group", measured).await?;
    for (episode, extra) in group.episodes.iter_mut().zip(measured.extra) {
        episode.facts.extra.extend(extra);
    }
    if let Some(fault) = measured.fault {
        return Err(fault);
    }
    let asked = run.seams.reward.score(&group.task, &group.episodes);
    let rewards = caught("score group", asked).await?;
    let wrong = |message: String| Fault::new(FaultKind::Reward, "score group", message);
    let (expected, got) = (group.episodes.len(), rewards.len());
    if got != expected {
        return Err(wrong(format!(
            "expected {expected} rewards, one for each episode, got {got}"
        )));
    }
    match rewards.iter().find(|reward| !reward.is_finite()) {
        Some(reward) => Err(wrong(format!("expected finite rewards, got {reward}"))),
        None => Ok(rewards),
    }
}
