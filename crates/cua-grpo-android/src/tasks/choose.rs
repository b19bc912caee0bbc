//! Why no tasks can be drawn from the templates that were chosen.

use super::file::TaskFileError;

/// Why no tasks can be drawn. The user can mend it.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// A name that no template has.
    #[error("choose templates: expected one of {known}, got {got:?}; remove or correct it")]
    Unknown {
        /// The name.
        got: String,
        /// The names of all templates.
        known: String,
    },
    /// Every chosen template is held out.
    #[error(
        "choose templates: all of {ids} are `split: held_out`, or in apps of `held_out_apps`, so there is none to train on; \
         choose others besides, or take that line out of their file"
    )]
    AllHeldOut {
        /// Their names.
        ids: String,
    },
    /// No template has two instructions, so what is trained on and what is measured cannot be told apart.
    #[error(
        "choose templates: {ids} have one instruction each, which training needs, so none is left to measure with; write \
         more wordings or parameters, choose others besides, or set instance_split to seeds"
    )]
    Same {
        /// Their names.
        ids: String,
    },
    /// Templates that are for another kind of phone.
    #[error(
        "choose templates: {ids} have `expert` and no `goals`, which is for the full phone; set phone=pixel, or choose others \
         by the key templates"
    )]
    OtherPhone {
        /// Their names; of many the first ones and the number of the others.
        ids: String,
    },
    /// A file of tasks is wrong.
    #[error(transparent)]
    File(#[from] TaskFileError),
}
