//! Building blocks shared by both towers.

mod activation;
mod dropout;
mod indices;
mod init;
mod linear;
mod params;

pub use activation::Activation;
pub use cua_grpo_kernels::Weight;
pub use dropout::Dropout;
pub(crate) use indices::ints;
pub use init::Initializer;
pub use linear::{Linear, LinearConfig, LinearVisitor, LinearVisitorMut, LoraPair};
pub use params::{Param, ParamMut, ParamVisitor, ParamVisitorMut, join};
