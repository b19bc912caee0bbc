//! Positive replay (MobileRL, AdaGRPO): a group in which no attempt succeeded is lent a success of the past.
//!
//! Of each group with a success one is kept, with how hard it was won: `d = failed / attempts` of its group. For each kind of
//! task the hardest stay, of equal ones the newest. A group without a success is lent one of its kind that is at most
//! `max_age` policy versions old: of its own instance if there is one, else the hardest, of equal ones the newest. What is
//! lent is no sample of the policy at hand: the caller weighs it by the ratio of the probabilities now and when it was
//! sampled, which the clip bounds.
//!
//! Departures: MobileRL draws a share of each batch from its buffer and from the policy by chance; here a success is lent to
//! groups that would teach nothing alone, and which one follows from the buffer, so that a resumed run draws the same.

use std::collections::BTreeMap;

/// How many successes are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositivesConfig {
    /// Most of one kind of task; 0 keeps none.
    pub most: usize,
    /// Policy versions after which one is forgotten.
    pub max_age: u64,
}

/// A success.
#[derive(Debug, Clone, PartialEq)]
pub struct Positive<T> {
    /// Kind of its task.
    pub kind: String,
    /// Which task of the kind.
    pub instance: String,
    /// Attempts of its group that failed.
    pub failed: usize,
    /// All attempts of its group.
    pub attempts: usize,
    /// The oldest policy version that sampled a token of it.
    pub version: u64,
    /// What is kept.
    pub item: T,
}

impl<T> Positive<T> {
    /// Whether it was won harder than another one: a larger share of its group failed.
    fn harder(&self, other: &Self) -> std::cmp::Ordering {
        (self.failed * other.attempts).cmp(&(other.failed * self.attempts))
    }

    /// By how hard it was won, then by how new it is.
    fn worth(&self, other: &Self) -> std::cmp::Ordering {
        self.harder(other).then(self.version.cmp(&other.version))
    }
}

/// The successes that are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Positives<T> {
    config: PositivesConfig,
    /// By kind; later ones stand behind.
    kept: BTreeMap<String, Vec<Positive<T>>>,
}

impl<T> Positives<T> {
    /// None yet.
    pub fn new(config: PositivesConfig) -> Self {
        Self {
            config,
            kept: BTreeMap::new(),
        }
    }

    /// Keeps a success, in place of an older one of the same instance or, where its kind has as many as may be, of the one
    /// that is worth least. `now` is the policy's version.
    pub fn keep(&mut self, positive: Positive<T>, now: u64) {
        let PositivesConfig { most, max_age } = self.config;
        let kept = self.kept.entry(positive.kind.clone()).or_default();
        kept.retain(|old| now.saturating_sub(old.version) <= max_age && old.instance != positive.instance);
        kept.push(positive);
        if kept.len() > most {
            let least = (0..kept.len()).min_by(|&one, &other| kept[one].worth(&kept[other]));
            kept.remove(least.unwrap_or(0));
        }
    }

    /// The success that a group of this kind and instance is lent while the policy is at version `now`.
    pub fn lend(&self, kind: &str, instance: &str, now: u64) -> Option<&Positive<T>> {
        let kept = self.kept.get(kind)?.iter();
        let fresh = kept.filter(|positive| now.saturating_sub(positive.version) <= self.config.max_age);
        fresh.max_by(|one, other| {
            let same = |positive: &Positive<T>| positive.instance == instance;
            same(one).cmp(&same(other)).then(one.worth(other))
        })
    }

    /// All of them, by kind, in the order in which they were kept.
    pub fn iter(&self) -> impl Iterator<Item = &Positive<T>> {
        self.kept.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positive(instance: &str, failed: usize, version: u64) -> Positive<u32> {
        Positive {
            kind: "wifi".into(),
            instance: instance.into(),
            failed,
            attempts: 4,
            version,
            item: version as u32,
        }
    }

    fn buffer(most: usize, all: &[(&str, usize, u64)]) -> Positives<u32> {
        let mut kept = Positives::new(PositivesConfig { most, max_age: 5 });
        for &(instance, failed, version) in all {
            kept.keep(positive(instance, failed, version), version);
        }
        kept
    }

    fn instances(kept: &Positives<u32>) -> Vec<&str> {
        kept.iter().map(|positive| positive.instance.as_str()).collect()
    }

    /// What is kept of successes (instance, failed of 4, version) by a buffer of two, and what is lent.
    #[test]
    fn the_hardest_and_newest_stay() {
        for (all, expected) in [
            (&[("a", 1, 0), ("b", 3, 0), ("c", 2, 1)][..], &["b", "c"][..]),
            (&[("a", 3, 0), ("b", 3, 1), ("c", 3, 2)], &["b", "c"]),
            (&[("a", 3, 0), ("b", 3, 1), ("c", 0, 2)], &["a", "b"]),
            // A newer one of the same instance, though it was easier.
            (&[("a", 3, 0), ("b", 1, 1), ("a", 2, 2)], &["b", "a"]),
            // The first is six versions old.
            (&[("a", 3, 0), ("b", 1, 6)], &["b"]),
        ] {
            assert_eq!(instances(&buffer(2, all)), expected, "{all:?}");
        }
        assert!(instances(&buffer(0, &[("a", 3, 0)])).is_empty());
    }

    #[test]
    fn the_own_instance_is_lent_first_then_the_hardest() {
        let kept = buffer(4, &[("a", 1, 0), ("b", 3, 1), ("c", 3, 2), ("d", 2, 3)]);
        let lent = |kind, instance, now| kept.lend(kind, instance, now).map(|found| found.instance.as_str());
        assert_eq!(lent("wifi", "a", 3), Some("a"));
        assert_eq!(lent("wifi", "z", 3), Some("c"), "of the hardest the newest");
        assert_eq!(lent("wifi", "a", 6), Some("c"), "the own one is too old");
        assert_eq!(lent("wifi", "z", 8), Some("d"));
        assert_eq!(lent("wifi", "z", 9), None);
        assert_eq!(lent("bluetooth", "a", 3), None);
    }
}
