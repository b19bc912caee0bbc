//! The planner's arithmetic: what a run needs, in bytes, computed from sizes alone before a weight is read.
//!
//! | file | subject |
//! |---|---|
//! | `sizes.rs` | numbers of weights by how they are stored, and what an adapter adds ([`ModelSizes`]) |
//! | `bytes.rs` | bytes of each component while sampling and while updating ([`Memory`]) |
//! | `machine.rs`, `cgroup.rs`, `device.rs` | what a device has, what the limit of a container leaves of it, and what is free ([`Available`]) |
//! | `fit.rs` | what a run does at once ([`Demand`]), and how far it could grow in what is free ([`Fit`]) |

mod bytes;
mod cgroup;
mod device;
mod fit;
pub(crate) mod machine;
mod sizes;

pub use bytes::{Component, Load, Memory, Phase};
pub use fit::{Demand, Fit};
pub use machine::{Available, Source};
pub use sizes::ModelSizes;
