//! An endless seeded source of task instances.

use super::any::AnyTemplate;
use super::choose::ChooseError;
use crate::PhoneKind;
use cua_grpo_core::{Task, TaskSource, derive_seed};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which instances a source yields. Train instances have even seeds and Eval instances odd ones, so none is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// To learn from.
    Train,
    /// To measure with: other instances, and the templates that are held out besides.
    Eval,
}

/// What keeps the instances of an evaluation apart from those of training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceSplit {
    /// The instruction, and with it the arguments: none of an evaluation is given in training.
    #[default]
    Instructions,
    /// The seed alone: layout and initial state differ, the instruction may be the same.
    Seeds,
}

impl InstanceSplit {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Instructions, Self::Seeds];

    /// How it is written.
    pub fn words(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Seeds => "seeds",
        }
    }
}

/// Which instructions of a template evaluations have for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reserve {
    /// None.
    Nothing,
    /// Those whose hash says it, about one in five.
    Hashed,
    /// This one, because there are few.
    One(String),
}

impl Reserve {
    fn has(&self, instruction: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Hashed => hash(instruction).is_multiple_of(ONE_IN),
            Self::One(one) => one == instruction,
        }
    }

    /// Follows from the template alone; `None` where it has one instruction.
    fn of(template: &AnyTemplate, apart: &BTreeSet<String>) -> Option<Self> {
        let drawn =
            (0..SAMPLED).map(|number| template.instance(derive_seed(&[number, 0x51DE]) >> 11, PhoneKind::default()));
        let known: BTreeSet<String> = drawn
            .filter(|task| !uses(task, apart))
            .map(|task| task.instruction)
            .collect();
        let reserved = known.iter().filter(|text| Self::Hashed.has(text)).count();
        match known.len() {
            0 => Some(Self::Nothing),
            1 => None,
            count if (1..count).contains(&reserved) => Some(Self::Hashed),
            _ => known.into_iter().min_by_key(|text| hash(text)).map(Self::One),
        }
    }
}

/// One instruction in so many is for evaluations.
const ONE_IN: u64 = 5;
/// Instances that show which instructions a template has.
const SAMPLED: u64 = 64;
/// Draws until an instance is on the right side.
const DRAWS: u64 = 10_000;

/// Names of a message; of many the first ones and the number of the others.
fn first(names: &[&str]) -> String {
    /// Names that are told.
    const TOLD: usize = 3;
    match names.get(TOLD..) {
        Some(rest @ [_, ..]) => format!("{} and {} others", names[..TOLD].join(", "), rest.len()),
        _ => names.join(", "),
    }
}

fn hash(text: &str) -> u64 {
    derive_seed(&text.bytes().map(u64::from).collect::<Vec<_>>())
}

/// Whether a task uses one of `apps`.
pub(super) fn uses(task: &Task, apps: &BTreeSet<String>) -> bool {
    let used = task.tags.get("apps");
    used.is_some_and(|used| used.split(' ').any(|app| apps.contains(app)))
}

/// Instances of the templates. Every block of as many cursors as there are templates holds each template once, in an
/// order drawn anew for each block; the same seed, split and cursor always yield the same task.
#[derive(Debug, Clone)]
pub struct TemplateTasks {
    seed: u64,
    split: Split,
    phone: PhoneKind,
    templates: Vec<AnyTemplate>,
    /// What evaluations have for themselves, one for each template.
    reserves: Vec<Reserve>,
    /// Apps that are kept from training.
    held_out_apps: Arc<BTreeSet<String>>,
}

impl TemplateTasks {
    /// The same for a kind of phone: without it the tasks are those of the small one.
    ///
    /// # Errors
    /// [`ChooseError::OtherPhone`] with the templates that are for another kind.
    pub fn on(mut self, phone: PhoneKind) -> Result<Self, ChooseError> {
        let strange = self.templates.iter().filter(|template| !template.is_for(phone));
        let ids: Vec<&str> = strange.map(AnyTemplate::id).collect();
        if !ids.is_empty() {
            return Err(ChooseError::OtherPhone { ids: first(&ids) });
        }
        self.phone = phone;
        Ok(self)
    }

    /// A source over `templates`, of which there is at least one.
    pub(super) fn all(seed: u64, split: Split, templates: Vec<AnyTemplate>) -> Self {
        Self {
            seed,
            split,
            phone: PhoneKind::default(),
            reserves: vec![Reserve::Nothing; templates.len()],
            templates,
            held_out_apps: Arc::default(),
        }
    }

    /// A source over `templates`; for training, without those that are played in `held_out_apps` alone. `None` where
    /// none is left.
    pub(super) fn over(
        seed: u64,
        split: Split,
        mut templates: Vec<AnyTemplate>,
        held_out_apps: Arc<BTreeSet<String>>,
    ) -> Option<Self> {
        if split == Split::Train && !held_out_apps.is_empty() {
            templates.retain(|template| {
                (0..SAMPLED).any(|seed| !uses(&template.instance(seed, PhoneKind::default()), &held_out_apps))
            });
        }
        let tasks = Self::all(seed, split, templates);
        (!tasks.templates.is_empty()).then_some(Self { held_out_apps, ..tasks })
    }

    /// The same source, kept apart from that of the other split as `by` says. Templates with one instruction are trained
    /// on, and are not measured.
    ///
    /// # Errors
    /// [`ChooseError::Same`] when an evaluation has no template left.
    pub fn apart(mut self, by: InstanceSplit) -> Result<Self, ChooseError> {
        if by == InstanceSplit::Seeds {
            return Ok(self);
        }
        let (mut kept, mut reserves, mut single) = (Vec::new(), Vec::new(), Vec::new());
        for template in std::mem::take(&mut self.templates) {
            // What is held out is trained on nowhere, so all of its instructions are unseen.
            let reserve = match template.is_held_out() {
                true => Some(Reserve::Nothing),
                false => Reserve::of(&template, &self.held_out_apps),
            };
            match reserve {
                None if self.split == Split::Eval => single.push(template.id().to_owned()),
                reserve => {
                    kept.push(template);
                    reserves.push(reserve.unwrap_or(Reserve::Nothing));
                }
            }
        }
        if kept.is_empty() {
            let ids = single.join(", ");
            return Err(ChooseError::Same { ids });
        }
        (self.templates, self.reserves) = (kept, reserves);
        Ok(self)
    }

    /// How many of the first `count` instances have an instruction that `other` gives in its first `others`.
    pub fn shared_with(&self, other: &Self, count: u64, others: u64) -> usize {
        let given: BTreeSet<String> = (0..others).map(|cursor| other.task(cursor).instruction).collect();
        let own = (0..count).map(|cursor| self.task(cursor).instruction);
        own.filter(|instruction| given.contains(instruction)).count()
    }

    /// Whether the demonstrator can play all of them.
    ///
    /// # Errors
    /// Words that name those that have no expert on this phone.
    pub fn demonstrable(&self) -> Result<(), String> {
        let without = self
            .templates
            .iter()
            .filter(|template| !template.has_expert(self.phone));
        let ids: Vec<&str> = without.map(AnyTemplate::id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids = ids.join(", ");
        Err(format!(
            "templates without `goals` or `expert` cannot be demonstrated: {ids}; choose others by the key templates"
        ))
    }

    /// The templates of this source.
    pub fn templates(&self) -> &[AnyTemplate] {
        &self.templates
    }

    /// Whether an instance of the template number `index` is on this side.
    fn fits(&self, index: usize, task: &Task) -> bool {
        let (apart, reserve) = (uses(task, &self.held_out_apps), &self.reserves[index]);
        let reserved = reserve.has(&task.instruction);
        match self.split {
            Split::Train => !apart && !reserved,
            Split::Eval => apart || reserved || *reserve == Reserve::Nothing,
        }
    }
}

impl TaskSource for TemplateTasks {
    fn task(&self, cursor: u64) -> Task {
        let count = self.templates.len() as u64;
        let split = match self.split {
            Split::Train => 0,
            Split::Eval => 1,
        };
        let mut order: Vec<usize> = (0..self.templates.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(derive_seed(&[
            self.seed,
            split,
            cursor / count,
        ])));
        let index = order[(cursor % count) as usize];
        // 53 bits at most, so that the seed survives tools that read JSON numbers as doubles; the last tells the split.
        let instance = |draw: u64| {
            let mut parts = vec![self.seed, split, cursor, 1];
            parts.extend((draw > 0).then_some(draw));
            self.templates[index].instance(derive_seed(&parts) >> 12 << 1 | split, self.phone)
        };
        let drawn = (0..DRAWS).map(instance).find(|task| self.fits(index, task));
        let task = drawn.unwrap_or_else(|| instance(0));
        match uses(&task, &self.held_out_apps) {
            true => task.with_held_out_app(),
            false => task,
        }
    }
}
