//! A simulated Android phone behind the GBox HTTP API: it draws its screens, keeps real state, and needs no account.

mod act;
mod apps;
mod demonstrator;
mod draw;
mod ground;
mod layout;
mod look;
mod phone;
mod render;
mod screens;
mod server;
mod settings;
mod shell;
mod shell_commands;
mod widget;

pub use act::UnknownTarget;
pub use apps::App;
pub use demonstrator::{Demonstrator, DemonstratorError, Skill};
pub use phone::{Alarm, HEIGHT, Key, Phone, ROW, Screen, Startup, VISIBLE_ROWS, WIDTH};
pub use server::{Faults, Latency, PhoneAccess, SimConfig, SimError, SimServer, SimStats};
pub use settings::{Namespace, Page, Settings, TIMEOUTS, Toggle};
pub use shell::ShellOutput;
pub use widget::{NodeKind, Rect, UiNode};
