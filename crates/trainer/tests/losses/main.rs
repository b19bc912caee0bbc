//! Every loss and correction that keys reach: the trainer's loss and gradient are the peers' golden numbers, and an
//! update of a real policy has the loss that follows from its own log-probs.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod credit;
mod golden;
mod keys;
mod made;
mod step;
mod updates;
mod windows;
