//! Positive replay: successes of earlier steps that groups without one learn from, and where a checkpoint keeps them.

use crate::config::TrainConfig;
use crate::files::{Limit, ops, read_bytes};
use crate::layout::SUCCESSES;
use crate::provenance::Base;
use crate::record::{Head, StepRecord, read_step, write_record};
use anyhow::{Context, Result, ensure};
use cua_grpo_algo::{Positive, Positives};
use cua_grpo_core::{Episode, Group, Task};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// Name of the list of how hard each was won.
const WON: &str = "won.json";

/// How hard a success was won.
#[derive(Debug, Serialize, Deserialize)]
struct Won {
    failed: usize,
    attempts: usize,
}

/// The successes that a run keeps.
#[derive(Debug, Clone)]
pub struct Successes(Positives<(Task, Arc<Episode>)>);

impl Successes {
    /// Those of the checkpoint that the run goes on from, or none yet; `None` where `config` keeps none.
    ///
    /// # Errors
    /// When the checkpoint's cannot be read.
    pub fn of(config: &TrainConfig, checkpoint: Option<&Path>) -> Result<Option<Self>> {
        let positives = config.positives();
        if positives.most == 0 {
            return Ok(None);
        }
        let mut successes = Self(Positives::new(positives));
        let folder = checkpoint.map(|checkpoint| checkpoint.join(SUCCESSES));
        if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
            successes.load(&folder)?;
        }
        Ok(Some(successes))
    }

    /// What is lent to each of `groups` while the policy is at `version`: nothing to one with a success, or one that
    /// faults left without two episodes to compare.
    pub fn lend(&self, groups: &[Group], version: u64) -> Vec<Option<Arc<Episode>>> {
        let one = |group: &Group| {
            let won = group.episodes.iter().any(|episode| episode.facts.verified);
            if won || group.episodes.len() < 2 {
                return None;
            }
            let found = self.0.lend(&group.task.template, &group.task.id, version)?;
            Some(found.item.1.clone())
        };
        groups.iter().map(one).collect()
    }

    /// Keeps one success of each group that has any: the one that was paid most, of equal ones that with the fewest turns.
    pub fn observe(&mut self, groups: &[Group], version: u64) {
        for group in groups {
            let won: Vec<&Episode> = group.episodes.iter().filter(|episode| episode.facts.verified).collect();
            let best = won.iter().min_by(|one, other| {
                let paid = other.reward.total_cmp(&one.reward);
                paid.then(one.turns.len().cmp(&other.turns.len()))
            });
            let Some(best) = best else { continue };
            let (failed, attempts) = (group.episodes.len() - won.len(), group.episodes.len());
            let won = Won { failed, attempts };
            self.0
                .keep(positive(&group.task, Arc::new((*best).clone()), won), version);
        }
    }

    /// Writes them into the checkpoint in the making, `partial`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, partial: &Path, base: &Base) -> Result<()> {
        let folder = partial.join(SUCCESSES);
        let context = || format!("cannot write {}", folder.display());
        ops::make(&folder).with_context(context)?;
        let (mut groups, mut won) = (Vec::new(), Vec::new());
        for Positive {
            failed, attempts, item, ..
        } in self.0.iter()
        {
            let (task, episode) = item;
            groups.push(Group::new(task.clone()).with_episodes(vec![(**episode).clone()]));
            let (failed, attempts) = (*failed, *attempts);
            won.push(Won { failed, attempts });
        }
        ops::write(&folder.join(WON), &serde_json::to_vec(&won)?).with_context(context)?;
        let record = StepRecord {
            head: Head::new(0, 0, base.clone()),
            cursors: vec![0; groups.len()],
            groups: Arc::new(groups),
        };
        write_record(&folder, &record)
    }

    fn load(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join(WON);
        let bytes = read_bytes(&path, Limit::RECORD).with_context(|| format!("cannot read {}", path.display()))?;
        let broken = || format!("{} is broken; use an older checkpoint", path.display());
        let won: Vec<Won> = serde_json::from_slice(&bytes).with_context(broken)?;
        let record = read_step(folder)?;
        let fits = won.len() == record.groups.len() && won.iter().all(|won| won.failed < won.attempts);
        ensure!(fits, broken());
        for (group, won) in Arc::unwrap_or_clone(record.groups).into_iter().zip(won) {
            let Group { task, mut episodes, .. } = group;
            ensure!(episodes.len() == 1, broken());
            let found = positive(&task, Arc::new(episodes.remove(0)), won);
            let version = found.version;
            self.0.keep(found, version);
        }
        Ok(())
    }
}

fn positive(task: &Task, episode: Arc<Episode>, won: Won) -> Positive<(Task, Arc<Episode>)> {
    let rows = episode.rows();
    let oldest = rows
        .flat_map(|row| row.versions().iter().zip(row.trained()))
        .filter(|(_, trained)| **trained)
        .map(|(version, _)| *version)
        .min();
    Positive {
        kind: task.template.clone(),
        instance: task.id.clone(),
        failed: won.failed,
        attempts: won.attempts,
        version: oldest.unwrap_or_default(),
        item: (task.clone(), episode),
    }
}

/// The groups with what each was lent, and how many were lent one.
pub fn joined<'g>(groups: Cow<'g, [Group]>, lent: &[Option<Arc<Episode>>]) -> (Cow<'g, [Group]>, usize) {
    let count = lent.iter().flatten().count();
    if count == 0 {
        return (groups, 0);
    }
    let mut groups = groups.into_owned();
    for (group, lent) in groups.iter_mut().zip(lent) {
        group.episodes.extend(lent.iter().map(|episode| (**episode).clone()));
    }
    (Cow::Owned(groups), count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::select;
    use cua_grpo_core::{Completion, Ending, Facts, Image, Prompt, Row, StopReason};

    fn episode(attempt: u64, won: bool, version: u64) -> Episode {
        let mut row = Row::new(0.5);
        let picture = Image::new(vec![attempt as u8; 9]);
        row.push_prompt(&Prompt::new(vec![1, 2, 3]).with_images(vec![picture.clone()]));
        let reply = Completion::new(vec![4, 5], vec![-0.1, -0.3], version, StopReason::Stop).unwrap();
        row.push_completion(&reply).unwrap();
        Episode::new(attempt, Ending::Reported, Facts::new(won), row)
            .with_reward(f32::from(u8::from(won)))
            .with_last_screenshot(Some(picture))
    }

    fn group(id: &str, wins: &[bool], version: u64) -> Group {
        let episodes = wins
            .iter()
            .zip(0..)
            .map(|(won, attempt)| episode(attempt, *won, version));
        Group::new(Task::new(id, "do it")).with_episodes(episodes.collect())
    }

    fn config() -> TrainConfig {
        TrainConfig {
            positive_replay: 2,
            positive_replay_age: 4,
            ..Default::default()
        }
    }

    #[test]
    fn a_group_without_a_success_is_lent_one_and_is_no_longer_flat() {
        assert!(Successes::of(&TrainConfig::default(), None).unwrap().is_none());
        let mut successes = Successes::of(&config(), None).unwrap().unwrap();
        let failed = [
            group("wifi/2", &[false; 4], 3),
            group("wifi/3", &[false], 3),
            group("clock/1", &[false; 4], 3),
        ];
        assert!(successes.lend(&failed, 3).iter().all(Option::is_none));
        successes.observe(&[group("wifi/1", &[false, true, false, true], 2)], 2);
        let lent = successes.lend(&failed, 3);
        assert_eq!(
            lent.iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, false, false]
        );
        let (all, count) = joined(Cow::Borrowed(&failed), &lent);
        assert_eq!((count, all[0].episodes.len(), all[1].episodes.len()), (1, 5, 1));
        let stored = &all[0].episodes[4].row;
        assert_eq!(
            (stored.versions()[3], stored.logprobs()[3]),
            (2, -0.1),
            "what sampled it is in its ratio"
        );
        let selection = select(&config(), &all).unwrap();
        assert_eq!((selection.kept, selection.filtered, selection.lost), (1, 1, 1));
        // [0, 0, 0, 0, 1] by the population standard deviation 0.4.
        let expected = [-0.5, -0.5, -0.5, -0.5, 2.0];
        let close = |(got, want): (&f32, f32)| (got - want).abs() < 1e-5;
        assert!(
            selection.credit.rows.iter().zip(expected).all(close),
            "{:?}",
            selection.credit.rows
        );
        // One with a success of its own needs none, and age ends it.
        assert!(successes.lend(&[group("wifi/4", &[true, false], 3)], 3)[0].is_none());
        assert!(successes.lend(&failed, 7)[0].is_none());
    }

    #[test]
    fn a_checkpoint_gives_them_back() {
        let home = tempfile::tempdir().unwrap();
        let base = Base {
            name: "starter".into(),
            path: None,
            fingerprint: "f".into(),
            files: Default::default(),
        };
        let mut successes = Successes::of(&config(), None).unwrap().unwrap();
        successes.observe(
            &[group("wifi/1", &[false, true], 2), group("clock/1", &[true, true], 2)],
            2,
        );
        successes.observe(
            &[
                group("wifi/2", &[false, true, false], 3),
                group("wifi/3", &[true, true], 3),
            ],
            3,
        );
        successes.write(home.path(), &base).unwrap();
        let again = Successes::of(&config(), Some(home.path())).unwrap().unwrap();
        assert_eq!(again.0, successes.0);
        crate::files::verify(&home.path().join(SUCCESSES)).unwrap();
        let path = home.path().join(SUCCESSES).join(WON);
        std::fs::write(&path, r#"[{"failed": 3, "attempts": 2}]"#).unwrap();
        assert!(Successes::of(&config(), Some(home.path())).is_err());
    }
}
