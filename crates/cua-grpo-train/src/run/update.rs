//! The updates of a step, on the learner's thread.

use crate::config::TrainConfig;
use crate::learner::Learner;
use crate::metrics::UpdateFigures;
use crate::publish::{Publish, Snapshot};
use crate::step::{Update, Updates, select};
use crate::successes::joined;
use anyhow::Result;
use cua_grpo_core::{Episode, Group, Row, Task};
use std::borrow::Cow;
use std::sync::Arc;

/// What the updates of a step are made from.
pub(super) struct Work {
    pub config: TrainConfig,
    pub groups: Arc<Vec<Group>>,
    pub publisher: Arc<dyn Publish>,
    pub step: usize,
    pub learning_rate: f64,
    /// Version of the policy before.
    pub version: u64,
    /// What each group is lent of earlier successes; empty where none are kept.
    pub lent: Vec<Option<Arc<Episode>>>,
}

/// What became of them.
pub(super) struct Made {
    /// The updates that were made.
    pub figures: Vec<UpdateFigures>,
    /// Updates left out because their gradient was not finite.
    pub skipped: usize,
    /// How many were tried in vain after the last that was made.
    pub skipped_last: usize,
    /// Rows left out because their gradient was not finite.
    pub rows_skipped: usize,
    /// Version of the policy after.
    pub version: u64,
    /// Tokens that entered the loss of each.
    pub tokens: usize,
    pub kept: usize,
    pub filtered: usize,
    pub lost: usize,
    /// Episodes older than `max_staleness`.
    pub dropped: usize,
    /// Groups that were lent a success of an earlier step.
    pub replayed: usize,
    /// Episodes that show what the step learnt from, with their tasks and advantages.
    pub telling: Vec<(Task, Episode, Option<f32>)>,
}

impl Work {
    /// Makes the updates and publishes the policy.
    ///
    /// # Errors
    /// When rows cannot be scored, or the policy cannot be published.
    pub fn make(self, learner: &mut Learner) -> Result<Made> {
        let (groups, dropped) = fresh(&self.groups, self.version, self.config.max_staleness as u64);
        let (groups, replayed) = joined(groups, &self.lent);
        let selection = select(&self.config, &groups)?;
        let mut updates = Updates::new(&self.config, &selection).at_version(self.version);
        let (mut skipped, mut skipped_last) = (0, 0);
        for left in (0..updates.count()).rev() {
            match updates.make(learner, self.learning_rate)? {
                Update::Made => skipped_last = 0,
                Update::Empty => (),
                Update::Skipped(rows) => {
                    skipped += 1;
                    skipped_last += 1;
                    let step = self.step;
                    tracing::warn!(step, rows, "an update was skipped: its gradient is not finite");
                    if self.config.num_minibatches == 1 {
                        // The weights are as they were, and so would be the next gradient.
                        skipped += left;
                        break;
                    }
                }
            }
        }
        let mut version = self.version;
        if !updates.figures.is_empty() {
            version += 1;
            self.publisher.publish(Snapshot {
                policy: &learner.policy,
                version,
            })?;
        }
        let telling = selection
            .telling(&groups, self.config.save_train_episodes + replayed)
            .into_iter();
        let owned = |(task, episode, advantage): (&Task, &Episode, _)| (task.clone(), episode.clone(), advantage);
        // What was lent was played for another task, and is saved there.
        let lent = |row: &Row| self.lent.iter().flatten().any(|episode| episode.row == *row);
        let telling = telling.filter(|(_, episode, _)| replayed == 0 || !lent(&episode.row));
        Ok(Made {
            telling: telling.take(self.config.save_train_episodes).map(owned).collect(),
            replayed,
            skipped,
            skipped_last,
            rows_skipped: updates.skipped_rows.len(),
            version,
            tokens: updates.tokens(),
            kept: selection.kept,
            filtered: selection.filtered,
            lost: selection.lost,
            dropped,
            figures: updates.figures,
        })
    }
}

/// The groups without episodes of which a token is more than `limit` versions older than `version`, and how many those
/// are. The engine keeps the bound; a sampler that lags behind what was published does not.
pub(super) fn fresh(groups: &[Group], version: u64, limit: u64) -> (Cow<'_, [Group]>, usize) {
    let too_old = |episode: &Episode| {
        let rows = episode.rows();
        let mut sampled = rows.flat_map(|row| row.versions().iter().zip(row.trained()));
        sampled.any(|(&by, &trained)| trained && version.saturating_sub(by) > limit)
    };
    let dropped = groups.iter().flat_map(|group| &group.episodes);
    let dropped = dropped.filter(|episode| too_old(episode)).count();
    if dropped == 0 {
        return (Cow::Borrowed(groups), 0);
    }
    tracing::warn!(
        episodes = dropped,
        "episodes are older than max_staleness allows and are left out"
    );
    let mut groups = groups.to_vec();
    for group in &mut groups {
        group.episodes.retain(|episode| !too_old(episode));
    }
    (Cow::Owned(groups), dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_core::{Completion, Ending, Facts, Prompt, StopReason};

    /// An episode whose tokens have these versions.
    fn episode(versions: &[u64]) -> Episode {
        let mut row = Row::new(1.0);
        row.push_prompt(&Prompt::new(vec![1; 3]));
        let count = versions.len();
        let reply = Completion::new(vec![2; count], vec![-0.5; count], 0, StopReason::Stop).unwrap();
        row.push_completion(&reply.with_versions(versions.to_vec()).unwrap())
            .unwrap();
        Episode::new(0, Ending::Reported, Facts::default(), row)
    }

    #[test]
    fn episodes_with_a_token_that_is_too_old_are_left_out_and_counted() {
        let group = |episodes| Group::new(Task::new("test/0", "")).with_episodes(episodes);
        let groups = [
            group(vec![episode(&[5, 5]), episode(&[4, 5])]),
            group(vec![episode(&[3, 5, 5]), episode(&[5])]),
        ];
        let (kept, dropped) = fresh(&groups, 5, 2);
        assert!(matches!(kept, Cow::Borrowed(_)) && dropped == 0);
        let (kept, dropped) = fresh(&groups, 5, 1);
        assert_eq!((kept[0].episodes.len(), kept[1].episodes.len(), dropped), (2, 1, 1));
        assert_eq!(kept[1].episodes[0].row.versions()[3], 5);
        assert_eq!(fresh(&groups, 5, 0).1, 2);
    }
}
