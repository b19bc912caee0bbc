//! From a state to a list of nodes and paints.

pub mod build;
pub mod controls;
pub mod dialogs;
mod emblem;
pub mod lists;
pub mod node;
pub mod pickers;
pub mod theme;

pub use build::{Frame, Scene, Ui};
pub use controls::{Button, FieldLook};
pub use dialogs::act;
pub use lists::{End, Row};
pub use node::{Act, Node, Way};
pub use theme::{Theme, Type, sp};
