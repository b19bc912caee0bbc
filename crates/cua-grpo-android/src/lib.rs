//! Android phones as environments: what the policy may do, what it is told, what it shall do, and whether it is done.
//!
//! From the bottom up: [`names`] are the apps, pages and switches of a phone, [`action`] reads replies, [`Device`] is
//! the seam that a kind of phone implements (a GBox box, a phone behind `adb`), [`LiveDevice`] carries actions out on
//! one, [`validate()`] asks it what is true, [`tasks`] says what shall be, and [`AndroidEnvironmentFactory`] plugs it
//! all into core's seams.
//!
//! What is the policy's own mistake is decided in one enum ([`ActError`]); everything else that goes wrong is a fault
//! of the infrastructure.

pub mod action;
mod device;
mod environment;
pub mod names;
mod perform;
mod phone_kind;
mod prompt;
mod screen;
pub mod tasks;
pub mod trial;
mod validate;
mod watch;

pub use device::{Acted, Device, DeviceError, DeviceSource, Gesture, LeaseRequest, ShellOutput};
pub use environment::{AndroidEnvironment, AndroidEnvironmentFactory, EnvConfig, SuccessRequires};
pub use perform::{ActError, LiveDevice};
pub use phone_kind::PhoneKind;
pub use prompt::{PromptStyle, Prompts, TargetStyle, tools};
pub use screen::{MAX_PIXELS, Point, Screen, ScreenError};
pub use validate::{ValidateError, Verdict, matches, run_all, validate};
pub use watch::Snapshot;
