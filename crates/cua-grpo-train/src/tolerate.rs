//! Faults that do not end a run: counted, and told once in a while.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts faults of one kind. Fit for a `static`.
#[derive(Debug, Default)]
pub struct Tolerated(AtomicU64);

impl Tolerated {
    /// None so far.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one fault. The first, the tenth, the hundredth ... give a text for the user: `what` happened, why, and how
    /// often so far.
    pub fn note(&self, what: &str, error: &dyn Display) -> Option<String> {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let told = 10_u64.pow(count.ilog10()) == count;
        told.then(|| match count {
            1 => format!("{what}: {error}"),
            _ => format!("{what}: {error} ({count} times so far)"),
        })
    }

    /// Faults so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_the_tenth_and_the_hundredth_are_told() {
        let faults = Tolerated::new();
        let told: Vec<String> = (0..150)
            .filter_map(|_| faults.note("a file is lost", &"no space"))
            .collect();
        assert_eq!(
            told,
            [
                "a file is lost: no space",
                "a file is lost: no space (10 times so far)",
                "a file is lost: no space (100 times so far)"
            ]
        );
        assert_eq!(faults.count(), 150);
    }
}
