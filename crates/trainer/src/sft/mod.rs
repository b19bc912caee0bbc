//! `trainer sft`: the starter model, by imitation of a scripted demonstrator on the simulated phone.

mod fresh;
mod run;

pub use run::run;
