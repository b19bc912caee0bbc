//! Building blocks shared by both towers.

mod activation;
mod dropout;
mod init;
mod linear;
mod params;

pub use activation::Activation;
pub use cua_grpo_kernels::Weight;
pub use dropout::Dropout;
pub use init::Initializer;
pub use linear::{Linear, LinearConfig, LoraPair};
pub use params::{LinearVisitor, ParamVisitor, Slot, join};
