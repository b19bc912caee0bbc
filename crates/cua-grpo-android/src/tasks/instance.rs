//! An endless seeded source of task instances.

use super::templates::spoken;
use super::{Goal, GoalList, TEMPLATES, TaskState, Template};
use cua_grpo_core::{Task, TaskSource, derive_seed};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Which instances a source yields. Train instances have even seeds and Eval instances odd ones, so none is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// To learn from.
    Train,
    /// To measure with.
    Eval,
}

/// A name that no template has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("choose templates: expected one of {known}, got {got:?}; remove or correct it")]
pub struct UnknownTemplate {
    /// The name.
    got: String,
    /// The names of all templates.
    known: String,
}

/// Instances of the templates. Every block of as many cursors as there are templates holds each template once, in an
/// order drawn anew for each block; the same seed, split and cursor always yield the same task.
#[derive(Debug, Clone)]
pub struct TemplateTasks {
    seed: u64,
    split: Split,
    templates: Vec<&'static Template>,
}

impl TemplateTasks {
    /// A source over all templates.
    pub fn new(seed: u64, split: Split) -> Self {
        Self {
            seed,
            split,
            templates: TEMPLATES.iter().collect(),
        }
    }

    /// A source over the templates named `ids`, or over all where there are none.
    ///
    /// # Errors
    /// When a name is unknown.
    pub fn with_templates<S: AsRef<str>>(seed: u64, split: Split, ids: &[S]) -> Result<Self, UnknownTemplate> {
        if ids.is_empty() {
            return Ok(Self::new(seed, split));
        }
        let find = |id: &S| {
            let known = || {
                TEMPLATES
                    .iter()
                    .map(|template| template.id)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let found = TEMPLATES.iter().find(|template| template.id == id.as_ref());
            found.ok_or_else(|| UnknownTemplate {
                got: id.as_ref().to_owned(),
                known: known(),
            })
        };
        let templates = ids.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { seed, split, templates })
    }

    /// The templates of this source.
    pub fn templates(&self) -> &[&'static Template] {
        &self.templates
    }
}

impl TaskSource for TemplateTasks {
    fn task(&self, cursor: u64) -> Task {
        let count = self.templates.len() as u64;
        let split = match self.split {
            Split::Train => 0,
            Split::Eval => 1,
        };
        let mut order = self.templates.clone();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(derive_seed(&[
            self.seed,
            split,
            cursor / count,
        ])));
        let template = order[(cursor % count) as usize];
        // 53 bits at most, so that the seed survives tools that read JSON numbers as doubles; the last tells the split.
        let drawn = derive_seed(&[self.seed, split, cursor, 1]) >> 12;
        instance(template, drawn << 1 | split)
    }
}

/// The instance of `template` that follows from `seed`.
fn instance(template: &Template, seed: u64) -> Task {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let goals = (template.goals)(&mut rng);
    let wording = template.instructions.choose(&mut rng).copied().unwrap_or_default();
    let setup = setup(&goals, &mut rng);
    let tags = [
        ("goal", GoalList(goals.clone()).to_string()),
        ("category", template.category.to_owned()),
        ("difficulty", template.difficulty.to_owned()),
    ];
    let state = TaskState {
        setup,
        checks: goals.iter().map(Goal::check).collect(),
    };
    let task = Task::new(format!("{}/{seed}", template.id), instruction(wording, &goals))
        .with_seed(seed)
        .with_max_turns(template.max_turns);
    let tagged = tags
        .into_iter()
        .fold(task, |task, (name, value)| task.with_tag(name, value));
    state.into_task(tagged)
}

/// Commands that leave at least one goal to do: all of them half of the time, else a random part.
fn setup(goals: &[Goal], rng: &mut ChaCha8Rng) -> Vec<String> {
    let kept = if goals.len() > 1 && rng.random_bool(0.5) {
        Some(rng.random_range(0..goals.len()))
    } else {
        None
    };
    let mut commands = Vec::new();
    for (i, goal) in goals.iter().enumerate() {
        let done = kept == Some(i);
        let set = goal.set(done, rng).or_else(|| goal.set(false, rng));
        commands.extend(set.unwrap_or_default());
    }
    commands
}

fn instruction(wording: &str, goals: &[Goal]) -> String {
    let mut text = wording.to_owned();
    let names = [("{a}", "{name}"), ("{b}", "{name2}")];
    for (goal, (word, name)) in goals.iter().zip(names) {
        if let Goal::Toggle { toggle, .. } = goal {
            text = text.replace(name, spoken(*toggle));
        }
        if let Goal::Alarm { time, .. } = goal {
            text = text.replace("{time}", time);
        }
        text = text.replace(word, &goal.word());
    }
    text
}
