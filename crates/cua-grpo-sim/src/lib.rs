//! A simulated Android phone behind the GBox HTTP API: it draws its screens, keeps real state, and needs no account.

mod act;
mod apps;
mod corpus;
mod demonstrator;
mod device;
mod draw;
mod ground;
mod guest;
mod handset;
mod layout;
mod look;
mod phone;
mod phones;
mod pixel;
mod player;
mod proof;
mod rehearse;
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
pub use corpus::corpus;
pub use cua_grpo_android::PhoneKind;
pub use cua_grpo_android::names::{App, Page, Toggle};
pub use cua_grpo_phone::state::Table;
pub use demonstrator::{Demonstrator, DemonstratorError, Skill};
pub use device::PhoneSpec;
pub use guest::Guest;
pub use handset::{Hands, Handset};
pub use phone::{Alarm, HEIGHT, Key, Phone, ROW, Screen, Startup, VISIBLE_ROWS, WIDTH};
pub use phones::{HERE, Phones, PhonesConfig, PhonesError};
pub use pixel::{Pixel, PixelLooks};
pub use player::{Player, StepFailed, StepPlayer};
pub use proof::{Expert, PROOF_SEEDS, Proof};
pub use rehearse::{Played, Unplayable, WithExpert, demonstrate, expert_turns, rehearse, side_effects, too_long};
pub use scripted::{Roster, ScriptedPolicy};
pub use server::{
    Faults, Latency, Limits, Mishap, MishapShare, PhoneAccess, PlayError, PlayServer, SimConfig, SimError, SimServer,
    SimStats,
};
pub use settings::{Settings, TIMEOUTS};
pub use shell::ShellOutput;
pub use widget::{NodeKind, Rect, UiNode};
