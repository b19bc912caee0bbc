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
        }
    }

    /// The value of number `index`, which lies below [`Domain::size`].
    pub(super) fn word(&self, index: u64) -> Word {
        match self {
            Self::Choice(words) => words[index as usize].clone(),
            Self::Integer { .. } => Word::plain(self.number(index).to_string()),
            Self::Time { .. } => {
                let minutes = self.number(index);
                Word::plain(format!("{:02}:{:02}", minutes / 60, minutes % 60))
            }
            Self::Text { texts, lists } => {
                let (mut text, mut rest) = (texts[0].clone(), index);
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

    /// The value of number `index` as a number, for comparison; that of a choice or a text is its number.
    pub(super) fn number(&self, index: u64) -> i64 {
        match self {
            Self::Integer { from, step, .. } | Self::Time { from, step, .. } => from + step * index as i64,
            Self::Choice(_) | Self::Text { .. } => index as i64,
        }
    }

    /// Whether its values have an order.
    pub(super) fn ordered(&self) -> bool {
        matches!(self, Self::Integer { .. } | Self::Time { .. })
    }
}
