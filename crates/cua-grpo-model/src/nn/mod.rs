//! Building blocks shared by both towers.

mod init;
mod linear;
mod params;

pub use init::Initializer;
pub use linear::{Linear, LinearConfig, LoraPair};
pub use params::{LinearVisitor, ParamVisitor, Slot, join};
