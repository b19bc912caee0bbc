//! A template, whether it is built in or from a file.

use super::Template;
use super::draw::instance;
use super::file::FileTemplate;
use crate::PhoneKind;
use cua_grpo_core::Task;
use std::sync::Arc;

/// A template of either kind.
#[derive(Debug, Clone)]
pub enum AnyTemplate {
    /// One of [`TEMPLATES`](super::TEMPLATES).
    BuiltIn(&'static Template),
    /// One of a file.
    File(Arc<FileTemplate>),
}

impl AnyTemplate {
    /// Its unique name.
    pub fn id(&self) -> &str {
        match self {
            Self::BuiltIn(template) => template.id,
            Self::File(template) => &template.id,
        }
    }

    /// What it is about.
    pub fn category(&self) -> &str {
        match self {
            Self::BuiltIn(template) => template.category,
            Self::File(template) => &template.category,
        }
    }

    /// `easy`, `medium` or `hard`.
    pub fn difficulty(&self) -> &str {
        match self {
            Self::BuiltIn(template) => template.difficulty,
            Self::File(template) => &template.difficulty,
        }
    }

    /// Kept from training, as a template or because of its app.
    pub fn is_held_out(&self) -> bool {
        matches!(self, Self::File(template) if template.held_out || template.held_out_app)
    }

    /// `train`, `held_out`, or `held_out_app` where its app is kept from training.
    pub fn split(&self) -> &'static str {
        match self {
            Self::File(template) if template.held_out_app => "held_out_app",
            Self::File(template) if template.held_out => "held_out",
            _ => "train",
        }
    }

    /// Whether the demonstrator can play it on a phone: its goals are known, or on the full one its steps.
    pub fn has_expert(&self, phone: PhoneKind) -> bool {
        match self {
            Self::BuiltIn(_) => true,
            Self::File(template) => template.has_goals() || (phone == PhoneKind::Pixel && template.has_steps()),
        }
    }

    /// Whether it can be played on a phone: one with `expert` and without `goals` speaks of the full one.
    pub fn is_for(&self, phone: PhoneKind) -> bool {
        match self {
            Self::BuiltIn(_) => true,
            Self::File(template) => phone == PhoneKind::Pixel || template.has_goals() || !template.has_steps(),
        }
    }

    /// The phone that it is for: the small one where it can be.
    pub fn own_phone(&self) -> PhoneKind {
        match self.is_for(PhoneKind::Small) {
            true => PhoneKind::Small,
            false => PhoneKind::Pixel,
        }
    }

    /// Where it is from: `built in`, or file and line.
    pub fn origin(&self) -> String {
        match self {
            Self::BuiltIn(_) => "built in".to_owned(),
            Self::File(template) => format!("{}:{}", template.path.display(), template.line),
        }
    }

    /// The instance on a phone that follows from `seed`.
    pub fn instance(&self, seed: u64, phone: PhoneKind) -> Task {
        match self {
            Self::BuiltIn(template) => instance(template, seed, phone),
            Self::File(template) => template.instance(seed, phone),
        }
    }
}
