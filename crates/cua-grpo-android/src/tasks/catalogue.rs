//! The templates that there are, built in or from files, and the choice among them.

use super::TEMPLATES;
use super::any::AnyTemplate;
use super::choose::ChooseError;
use super::file::{TaskFileError, load};
use super::instance::{Split, TemplateTasks};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The built-in templates and those of files.
#[derive(Debug, Clone)]
pub struct Catalogue {
    templates: Vec<AnyTemplate>,
    /// Where those of files begin.
    own: usize,
    /// Apps that are kept from training.
    held_out_apps: Arc<BTreeSet<String>>,
}

impl Catalogue {
    /// The built-in templates alone.
    pub fn built_in() -> Self {
        Self {
            templates: TEMPLATES.iter().map(AnyTemplate::BuiltIn).collect(),
            own: TEMPLATES.len(),
            held_out_apps: Arc::default(),
        }
    }

    /// The built-in templates, and those of files or folders of files.
    ///
    /// # Errors
    /// [`TaskFileError`] when a file is wrong, or an id is taken.
    pub fn with_files<P: AsRef<Path>>(paths: &[P]) -> Result<Self, TaskFileError> {
        let mut all = Self::built_in();
        let taken = |id: &str| {
            let found = TEMPLATES.iter().any(|template| template.id == id);
            found.then(|| "a built-in template".to_owned())
        };
        let (own, held_out_apps) = load(paths, taken)?;
        all.templates
            .extend(own.into_iter().map(Arc::new).map(AnyTemplate::File));
        all.held_out_apps = Arc::new(held_out_apps);
        Ok(all)
    }

    /// All templates: the built-in ones, then those of files.
    pub fn templates(&self) -> &[AnyTemplate] {
        &self.templates
    }

    /// Those of files.
    pub fn own(&self) -> &[AnyTemplate] {
        &self.templates[self.own..]
    }

    /// The template named `id`.
    ///
    /// # Errors
    /// [`ChooseError::Unknown`].
    pub fn find(&self, id: &str) -> Result<&AnyTemplate, ChooseError> {
        let found = self.templates.iter().find(|template| template.id() == id);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.templates.iter().map(AnyTemplate::id).collect();
            ChooseError::Unknown {
                got: id.to_owned(),
                known: known.join(", "),
            }
        })
    }

    /// The templates named `ids`; without names those of files, and without files all built-in ones.
    ///
    /// # Errors
    /// [`ChooseError::Unknown`].
    pub fn choose<S: AsRef<str>>(&self, ids: &[S]) -> Result<Vec<AnyTemplate>, ChooseError> {
        if !ids.is_empty() {
            return ids.iter().map(|id| self.find(id.as_ref()).cloned()).collect();
        }
        let all = if self.own().is_empty() {
            self.templates()
        } else {
            self.own()
        };
        Ok(all.to_vec())
    }

    /// A source over [`Catalogue::choose`]; for training without what is held out.
    ///
    /// # Errors
    /// [`ChooseError`] when a name is unknown, or nothing is left to train on.
    pub fn tasks<S: AsRef<str>>(&self, seed: u64, split: Split, ids: &[S]) -> Result<TemplateTasks, ChooseError> {
        let chosen = self.choose(ids)?;
        let kept = |template: &&AnyTemplate| split == Split::Eval || !template.is_held_out();
        let templates: Vec<AnyTemplate> = chosen.iter().filter(kept).cloned().collect();
        if templates.is_empty() {
            let ids: Vec<&str> = chosen.iter().map(AnyTemplate::id).collect();
            return Err(ChooseError::AllHeldOut { ids: ids.join(", ") });
        }
        let tasks = TemplateTasks::over(seed, split, templates, self.held_out_apps.clone());
        let ids = || chosen.iter().map(AnyTemplate::id).collect::<Vec<_>>().join(", ");
        tasks.ok_or_else(|| ChooseError::AllHeldOut { ids: ids() })
    }

    /// Which templates `ids` choose, in words: how many of how many, the first names, how many are held out.
    pub fn words<S: AsRef<str>>(&self, ids: &[S]) -> String {
        /// Names before the line says how many more there are.
        const NAMED: usize = 3;
        let chosen = self.choose(ids).unwrap_or_default();
        let held_out = match chosen.iter().filter(|template| template.is_held_out()).count() {
            0 => String::new(),
            count => format!(", {count} held out from training"),
        };
        if ids.is_empty() && self.own().is_empty() {
            return format!("all {} templates", chosen.len());
        }
        if ids.is_empty() {
            return format!("{} templates of files{held_out}", chosen.len());
        }
        let names: Vec<&str> = chosen.iter().take(NAMED).map(AnyTemplate::id).collect();
        let more = match chosen.len().saturating_sub(NAMED) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        let (count, all) = (chosen.len(), self.templates.len());
        format!("{count} of {all} templates: {}{more}{held_out}", names.join(", "))
    }
}

impl TemplateTasks {
    /// A source over all built-in templates.
    pub fn new(seed: u64, split: Split) -> Self {
        Self::all(seed, split, Catalogue::built_in().templates)
    }

    /// A source over the built-in templates named `ids`, or over all where there are none.
    ///
    /// # Errors
    /// When a name is unknown.
    pub fn with_templates<S: AsRef<str>>(seed: u64, split: Split, ids: &[S]) -> Result<Self, ChooseError> {
        Catalogue::built_in().tasks(seed, split, ids)
    }
}
