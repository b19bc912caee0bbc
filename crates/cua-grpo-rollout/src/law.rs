//! How far a stream may run ahead of training, and which group it may give next.
//!
//! Two rules. The capacity law of AReaL says how many groups may be begun: with `eta` the bound of staleness in steps,
//! `s` the steps made and `B` the groups of a batch, `accepted + open < (eta + s + 1) B`. A group that is begun after `s`
//! steps has to be trained on in step `s + eta` (counted from 0) at the latest: its deadline. The second rule keeps all
//! deadlines: a group may be given while the groups that stay behind can still be given in time, that is if for every
//! deadline `d` at most as many of them have one of `d` or less as the steps up to `d` have places. So a slow group may
//! be overtaken, by as many steps as the law allows, and then the stream waits for it; none is thrown away for its age.
//! (AReaL takes groups as they come; a slow one may then be older than the bound.)

use cua_grpo_algo::{StalenessLimit, capacity};
use std::collections::BTreeMap;

/// The books of the two rules. Steps are counted from the beginning of the stream.
#[derive(Debug)]
pub(crate) struct Law {
    limit: StalenessLimit,
    /// Groups that will be accepted in all.
    most: u64,
    step: u64,
    accepted: u64,
    /// Deadlines of the groups that were begun and neither accepted nor refused.
    open: BTreeMap<u64, u64>,
}

impl Law {
    /// Batches of `batch` groups, `steps` of them in all, each group at most `max_staleness` steps old.
    pub fn new(max_staleness: u64, batch: u64, steps: u64) -> Self {
        let limit = StalenessLimit {
            max_staleness,
            batch,
            // Places are given out slot by slot, not group by group.
            max_concurrent: u64::MAX,
        };
        Self {
            limit,
            most: steps.saturating_mul(batch),
            step: 0,
            accepted: 0,
            open: BTreeMap::new(),
        }
    }

    /// Whether another group may be begun.
    pub fn may_begin(&self) -> bool {
        let open = self.open.len() as u64;
        self.accepted + open < self.most && capacity(self.limit, self.step, self.accepted, open) > 0
    }

    /// Begins the group of the task `cursor`.
    pub fn begin(&mut self, cursor: u64) {
        self.open
            .insert(cursor, self.step.saturating_add(self.limit.max_staleness));
    }

    /// Whether the group of `cursor` may be given now.
    pub fn may_give(&self, cursor: u64) -> bool {
        let taken = self.accepted.saturating_sub(self.step * self.limit.batch);
        let Some(left) = self.limit.batch.checked_sub(taken + 1) else {
            return false;
        };
        let mut deadlines: Vec<u64> = self
            .open
            .iter()
            .filter_map(|(&other, &deadline)| (other != cursor).then_some(deadline))
            .collect();
        deadlines.sort_unstable();
        (1..).zip(deadlines).all(|(count, deadline): (u64, u64)| {
            let steps = deadline.saturating_sub(self.step);
            count <= left.saturating_add(steps.saturating_mul(self.limit.batch))
        })
    }

    /// The group of `cursor` is one of the step's batch.
    pub fn accept(&mut self, cursor: u64) {
        self.accepted += u64::from(self.open.remove(&cursor).is_some());
    }

    /// The group of `cursor` is none of the batch; another one may be begun in its place.
    pub fn refuse(&mut self, cursor: u64) {
        self.open.remove(&cursor);
    }

    /// A step was made, of a whole batch.
    pub fn step(&mut self) {
        self.step += 1;
    }

    /// Groups that were begun and neither accepted nor refused.
    #[cfg(test)]
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of numbers for random orders.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, count: usize) -> usize {
            self.0 = cua_grpo_core::derive_seed(&[self.0]);
            (self.0 % count as u64) as usize
        }
    }

    /// Groups that become whole in any order: how many steps each waited, and the most that were open at a time.
    fn simulate(eta: u64, batch: u64, steps: u64, refused: usize, seed: u64) -> (Vec<u64>, usize) {
        let (mut law, mut dice) = (Law::new(eta, batch, steps), Dice(seed));
        let (mut next, mut most, mut ages) = (0, 0, Vec::new());
        let mut begun = BTreeMap::new();
        let mut whole: Vec<u64> = Vec::new();
        let mut playing: Vec<u64> = Vec::new();
        for step in 0..steps {
            let (mut taken, mut left) = (0, refused);
            while taken < batch {
                while law.may_begin() {
                    law.begin(next);
                    begun.insert(next, step);
                    playing.push(next);
                    next += 1;
                }
                most = most.max(law.open());
                match whole.iter().position(|&cursor| law.may_give(cursor)) {
                    Some(place) => {
                        let cursor = whole.remove(place);
                        if left > 0 && dice.below(3) == 0 {
                            left -= 1;
                            law.refuse(cursor);
                            continue;
                        }
                        ages.push(step - begun[&cursor]);
                        law.accept(cursor);
                        taken += 1;
                    }
                    None => {
                        assert!(!playing.is_empty(), "nothing can be given and nothing is played");
                        let place = dice.below(playing.len());
                        whole.push(playing.swap_remove(place));
                    }
                }
            }
            law.step();
        }
        assert_eq!((law.open(), ages.len() as u64), (0, steps * batch));
        (ages, most)
    }

    #[test]
    fn no_group_is_older_than_the_bound_in_whatever_order_they_become_whole() {
        let mut late = 0;
        for seed in 0..200 {
            for (eta, batch, refused) in [(0, 3, 0), (1, 2, 0), (2, 4, 2), (4, 1, 1), (3, 5, 9)] {
                let (ages, most) = simulate(eta, batch, 30, refused, seed);
                assert!(ages.iter().all(|&age| age <= eta), "eta {eta}, batch {batch}: {ages:?}");
                assert!(most as u64 <= (eta + 1) * batch);
                late += ages.iter().filter(|&&age| eta > 0 && age == eta).count();
            }
        }
        assert!(late > 1000, "the bound is reached, {late}");
    }

    #[test]
    fn a_slow_group_is_overtaken_until_it_would_be_too_old() {
        let mut law = Law::new(1, 2, 10);
        (0..4).for_each(|cursor| law.begin(cursor));
        assert!(!law.may_begin());
        // 0 is slow: 1, 2 go first, and of the two that are left both must go in the next step.
        for cursor in [1, 2] {
            assert!(law.may_give(cursor));
            law.accept(cursor);
        }
        assert!(!law.may_give(3), "the batch is whole");
        law.step();
        (4..6).for_each(|cursor| law.begin(cursor));
        assert!(!law.may_give(4), "0 and 3 are due");
        assert!(law.may_give(3));
        law.accept(3);
        assert!(!law.may_give(4) && law.may_give(0));
    }
}
