//! What must hold between the parameters of an instance.

use super::parameter::Drawn;

/// A rule between parameters, named by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Constraint {
    /// No two of them have the same value.
    Different(Vec<usize>),
    /// Each is less than the next: numbers or times of day.
    Ascending(Vec<usize>),
    /// They do not all have these values together.
    Not(Vec<(usize, String)>),
}

impl Constraint {
    /// Whether values are as the rule wants them.
    pub(super) fn holds(&self, drawn: Drawn<'_>) -> bool {
        let word = |index: usize| drawn.word(index).value;
        match self {
            Self::Different(these) => {
                let mut words: Vec<String> = these.iter().map(|&index| word(index)).collect();
                words.sort();
                words.windows(2).all(|pair| pair[0] != pair[1])
            }
            Self::Ascending(these) => these
                .windows(2)
                .all(|pair| drawn.number(pair[0]) < drawn.number(pair[1])),
            Self::Not(these) => !these.iter().all(|(index, value)| word(*index) == *value),
        }
    }
}
