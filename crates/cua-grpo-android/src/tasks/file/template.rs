//! A template that was read from a file, and its instances.

use super::constraint::Constraint;
use super::parameter::{Drawn, Parameter, Word};
use super::pattern::Pattern;
use super::yaml::Place;
use crate::PhoneKind;
use crate::tasks::draw::{expert, set_up, with_apps};
use crate::tasks::step::{Step, StepError, StepWord};
use crate::tasks::{Check, Goal, GoalError, ReportCheck, TaskState};
use cua_grpo_core::Task;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;

/// Draws for one instance before the fitting values that were found at reading are taken.
const DRAWS: usize = 2_000;

/// A family of tasks that a file describes. Its instances follow from their seeds alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTemplate {
    /// Unique name.
    pub id: String,
    /// What it is about, a word.
    pub category: String,
    /// Further words.
    pub tags: Vec<String>,
    /// `easy`, `medium` or `hard`.
    pub difficulty: String,
    /// Upper bound of turns.
    pub max_turns: usize,
    /// Kept from training: evaluations alone play it.
    pub held_out: bool,
    /// All its instances are in apps that are kept from training.
    pub held_out_app: bool,
    /// Apps that it uses, besides those of its goals.
    pub apps: Vec<String>,
    /// Turns of an expert, its report among them, where the file says it.
    pub expert_turns: Option<usize>,
    /// The file.
    pub path: PathBuf,
    /// The line where it begins, from 1.
    pub line: usize,
    pub(super) at: Place,
    pub(super) constraints_at: Place,
    pub(super) instructions: Vec<Pattern>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) constraints: Vec<Constraint>,
    /// Numbers of parameters that the policy finds on the phone, so that instructions need not say them.
    pub(super) hidden: Vec<usize>,
    pub(super) goals: Vec<Pattern>,
    pub(super) setup: Vec<Pattern>,
    pub(super) precheck: Vec<CheckPattern>,
    pub(super) checks: Vec<CheckPattern>,
    pub(super) expert: Vec<StepPattern>,
    pub(super) report: Option<ReportPattern>,
    pub(super) may_change: Vec<String>,
    /// It says which apps it uses.
    pub(super) names_apps: bool,
    /// Numbers of values that fit the constraints.
    pub(super) fitting: Vec<u64>,
}

/// A step of the expert with parameters in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepPattern {
    pub at: Place,
    /// Its words, and whether each stood in quotes.
    pub words: Vec<(Pattern, bool)>,
}

impl StepPattern {
    /// The step, with parameters as a person says them: that is what a screen shows.
    pub(super) fn step(&self, words: &[Word]) -> Result<Step, StepError> {
        let filled: Vec<StepWord> = self
            .words
            .iter()
            .map(|(pattern, quoted)| StepWord {
                text: pattern.spoken(words),
                quoted: *quoted,
            })
            .collect();
        Step::of(&filled)
    }
}

/// A check with parameters in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckPattern {
    pub command: Pattern,
    pub expect: Pattern,
    /// The expectation is the text itself, not an expression.
    pub literal: bool,
}

/// What must be reported, with parameters in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReportPattern {
    /// Success, in whatever words.
    Required,
    /// A text, without regard to case.
    Equals(Pattern),
    /// A regular expression.
    Expect(Pattern),
}

impl ReportPattern {
    pub(super) fn pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Required => None,
            Self::Equals(pattern) | Self::Expect(pattern) => Some(pattern),
        }
    }

    pub(super) fn check(&self, words: &[Word]) -> ReportCheck {
        let expect = match self {
            Self::Required => None,
            Self::Equals(text) => Some(format!("(?i){}", regex::escape(text.values(words).trim()))),
            Self::Expect(pattern) => Some(pattern.expression(words)),
        };
        ReportCheck { expect }
    }
}

impl CheckPattern {
    pub(super) fn check(&self, words: &[Word]) -> Check {
        let expect = match self.literal {
            true => regex::escape(self.expect.values(words).trim()),
            false => self.expect.expression(words),
        };
        Check {
            command: self.command.values(words),
            expect,
        }
    }
}

impl FileTemplate {
    /// Whether the set-up, the checks and the expert follow from goals.
    pub fn has_goals(&self) -> bool {
        !self.goals.is_empty()
    }

    /// Whether it says how an expert does it on the full phone.
    pub fn has_steps(&self) -> bool {
        !self.expert.is_empty()
    }

    /// Numbers of values, one for each parameter, whether they fit or not.
    pub(super) fn numbers(&self, rng: &mut ChaCha8Rng) -> Vec<u64> {
        let sizes = self.parameters.iter().map(|parameter| parameter.domain.size());
        sizes.map(|size| rng.random_range(0..size)).collect()
    }

    /// Whether values are as the constraints want them.
    pub(super) fn fits(&self, numbers: &[u64]) -> bool {
        let drawn = self.drawn(numbers);
        self.constraints.iter().all(|constraint| constraint.holds(drawn))
    }

    /// The words of values.
    pub(super) fn words(&self, numbers: &[u64]) -> Vec<Word> {
        let drawn = self.drawn(numbers);
        (0..self.parameters.len()).map(|index| drawn.word(index)).collect()
    }

    fn drawn<'a>(&'a self, numbers: &'a [u64]) -> Drawn<'a> {
        Drawn {
            parameters: &self.parameters,
            numbers,
        }
    }

    /// The goals with `words` in them, or the place and the text of the first that is none.
    pub(super) fn goals(&self, words: &[Word]) -> Result<Vec<Goal>, (Place, GoalError)> {
        let goal = |pattern: &Pattern| pattern.values(words).parse().map_err(|error| (pattern.at, error));
        self.goals.iter().map(goal).collect()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> (Vec<Word>, Vec<Goal>) {
        for _ in 0..DRAWS {
            let numbers = self.numbers(rng);
            if !self.fits(&numbers) {
                continue;
            }
            let words = self.words(&numbers);
            if let Ok(goals) = self.goals(&words) {
                return (words, goals);
            }
        }
        let words = self.words(&self.fitting);
        let goals = self.goals(&words).unwrap_or_default();
        (words, goals)
    }

    /// The instance on a phone that follows from `seed`.
    pub fn instance(&self, seed: u64, phone: PhoneKind) -> Task {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (words, goals) = self.draw(&mut rng);
        let wording = self.instructions.choose(&mut rng);
        let instruction = wording.map(|wording| wording.spoken(&words)).unwrap_or_default();
        let own = self.setup.iter().map(|command| command.values(&words));
        let setup = own.chain(set_up(&goals, phone, &mut rng)).collect();
        let check = |checks: &[CheckPattern]| checks.iter().map(|check| check.check(&words)).collect::<Vec<_>>();
        let state = TaskState {
            setup,
            precheck: check(&self.precheck),
            checks: goals
                .iter()
                .map(|goal| goal.check(phone))
                .chain(check(&self.checks))
                .collect(),
            expert: match phone {
                PhoneKind::Pixel if self.has_steps() => {
                    // They were tried when the file was read.
                    let steps = self.expert.iter().filter_map(|step| step.step(&words).ok());
                    steps.map(|step| step.to_string()).collect()
                }
                _ => expert(&goals, phone),
            },
            report: self.report.as_ref().map(|report| report.check(&words)),
            may_change: self.may_change.clone(),
        };
        let mut task = Task::new(format!("{}/{seed}", self.id), instruction)
            .with_seed(seed)
            .with_max_turns(self.max_turns)
            .with_tag("category", &self.category)
            .with_tag("difficulty", &self.difficulty);
        if !goals.is_empty() {
            let texts: Vec<String> = goals.iter().map(Goal::to_string).collect();
            task = task.with_tag("goal", texts.join(";"));
        }
        if !self.tags.is_empty() {
            task = task.with_tag("tags", self.tags.join(" "));
        }
        if let Some(turns) = self.expert_turns {
            task = task.with_expert_turns(turns);
        }
        if self.held_out {
            task = task.with_held_out();
        }
        state.into_task(with_apps(task, &goals, &self.apps))
    }
}
