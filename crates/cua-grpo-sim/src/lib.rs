//! A simulated Android phone behind the GBox HTTP API: it draws its screens, keeps real state, and needs no account.

mod act;
mod apps;
mod demonstrator;
mod device;
mod draw;
mod ground;
mod guest;
mod layout;
mod look;
mod phone;
mod phones;
mod proof;
mod render;
mod screens;
mod scripted;
mod server;
mod settings;
mod shell;
mod shell_commands;
mod time;
mod widget;

pub use act::UnknownTarget;
pub use cua_grpo_android::names::{App, Namespace, Page, Toggle};
pub use demonstrator::{Demonstrator, DemonstratorError, Skill};
pub use guest::Guest;
pub use phone::{Alarm, HEIGHT, Key, Phone, ROW, Screen, Startup, VISIBLE_ROWS, WIDTH};
pub use phones::{HERE, Phones, PhonesConfig, PhonesError};
pub use proof::{Expert, PROOF_SEEDS, Proof};
pub use scripted::{Roster, ScriptedPolicy};
pub use server::{Faults, Latency, Limits, Mishap, MishapShare, PhoneAccess, SimConfig, SimError, SimServer, SimStats};
pub use settings::{Settings, TIMEOUTS};
pub use shell::ShellOutput;
pub use widget::{NodeKind, Rect, UiNode};
