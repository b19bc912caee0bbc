//! Parameters of a template: named domains whose values are numbered, so that drawing one is drawing a number.

/// A value of a parameter: as goals and commands have it, and as a person would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub value: String,
    pub spoken: String,
}

impl Word {
    pub(super) fn plain(value: String) -> Self {
        Self {
            spoken: value.clone(),
            value,
        }
    }
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub name: String,
    pub domain: Domain,
}

/// The values that a parameter can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Domain {
    /// One of these.
    Choice(Vec<Word>),
    /// `from`, `from + step`, ... up to `to`.
    Integer { from: i64, to: i64, step: i64 },
    /// Times of day in minutes, written `HH:MM`.
    Time { from: i64, to: i64, step: i64 },
    /// Words of lists between fixed texts: `texts[0] lists[0] texts[1] lists[1] ... texts[n]`.
    Text {
        texts: Vec<String>,
        lists: Vec<Vec<String>>,
    },
    /// The sum of the integer parameters with these numbers.
    Sum(Vec<usize>),
}

/// Drawn values of all parameters of a template, by their numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn<'a> {
    pub parameters: &'a [Parameter],
    /// One for each of `parameters`, below its [`Domain::size`].
    pub numbers: &'a [u64],
}

impl Drawn<'_> {
    /// The value of parameter `index`.
    pub(super) fn word(self, index: usize) -> Word {
        let number = self.numbers[index];
        match &self.parameters[index].domain {
            Domain::Choice(words) => words[number as usize].clone(),
            Domain::Integer { .. } | Domain::Sum(_) => Word::plain(self.number(index).to_string()),
            Domain::Time { .. } => {
                let minutes = self.number(index);
                Word::plain(format!("{:02}:{:02}", minutes / 60, minutes % 60))
            }
            Domain::Text { texts, lists } => {
                let (mut text, mut rest) = (texts[0].clone(), number);
                for (list, after) in lists.iter().zip(&texts[1..]) {
                    let count = list.len() as u64;
                    text.push_str(&list[(rest % count) as usize]);
                    text.push_str(after);
                    rest /= count;
                }
                Word::plain(text)
            }
        }
    }

    /// The value of parameter `index` as a number, for comparison; that of a choice or a text is its number.
    pub(super) fn number(self, index: usize) -> i64 {
        let number = self.numbers[index] as i64;
        match &self.parameters[index].domain {
            Domain::Integer { from, step, .. } | Domain::Time { from, step, .. } => from + step * number,
            Domain::Choice(_) | Domain::Text { .. } => number,
            Domain::Sum(parts) => parts.iter().map(|&part| self.number(part)).sum(),
        }
    }
}

impl Domain {
    /// How many values there are, at least one.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Choice(words) => words.len() as u64,
            Self::Integer { from, to, step } | Self::Time { from, to, step } => {
                (to.abs_diff(*from)) / step.unsigned_abs() + 1
            }
            Self::Text { lists, .. } => lists
                .iter()
                .fold(1, |size: u64, list| size.saturating_mul(list.len() as u64)),
            // It follows from the others.
            Self::Sum(_) => 1,
        }
    }

    /// Whether its values have an order.
    pub(super) fn ordered(&self) -> bool {
        matches!(self, Self::Integer { .. } | Self::Time { .. })
    }
}
