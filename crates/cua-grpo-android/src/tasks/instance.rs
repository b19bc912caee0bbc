//! An endless seeded source of task instances.

use super::any::AnyTemplate;
use crate::PhoneKind;
use cua_grpo_core::{Task, TaskSource, derive_seed};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Which instances a source yields. Train instances have even seeds and Eval instances odd ones, so none is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// To learn from.
    Train,
    /// To measure with: other instances, and the templates that are held out besides.
    Eval,
}

/// Instances of the templates. Every block of as many cursors as there are templates holds each template once, in an
/// order drawn anew for each block; the same seed, split and cursor always yield the same task.
#[derive(Debug, Clone)]
pub struct TemplateTasks {
    seed: u64,
    split: Split,
    phone: PhoneKind,
    templates: Vec<AnyTemplate>,
}

impl TemplateTasks {
    /// A source over `templates`, of which there is at least one.
    pub(super) fn over(seed: u64, split: Split, templates: Vec<AnyTemplate>) -> Self {
        Self {
            seed,
            split,
            phone: PhoneKind::default(),
            templates,
        }
    }

    /// The same for a kind of phone: without it the tasks are those of the small one.
    ///
    /// # Errors
    /// Words that name the templates that are for another kind.
    pub fn on(mut self, phone: PhoneKind) -> Result<Self, String> {
        let strange = self.templates.iter().filter(|template| !template.is_for(phone));
        let ids: Vec<&str> = strange.map(AnyTemplate::id).collect();
        if !ids.is_empty() {
            let ids = ids.join(", ");
            return Err(format!(
                "templates with `expert` and without `goals` are for the full phone: {ids}; set phone=pixel, or choose \
                 others by the key templates"
            ));
        }
        self.phone = phone;
        Ok(self)
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
}

impl TaskSource for TemplateTasks {
    fn task(&self, cursor: u64) -> Task {
        let count = self.templates.len() as u64;
        let split = match self.split {
            Split::Train => 0,
            Split::Eval => 1,
        };
        let mut order: Vec<&AnyTemplate> = self.templates.iter().collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(derive_seed(&[
            self.seed,
            split,
            cursor / count,
        ])));
        let template = order[(cursor % count) as usize];
        // 53 bits at most, so that the seed survives tools that read JSON numbers as doubles; the last tells the split.
        let drawn = derive_seed(&[self.seed, split, cursor, 1]) >> 12;
        template.instance(drawn << 1 | split, self.phone)
    }
}
