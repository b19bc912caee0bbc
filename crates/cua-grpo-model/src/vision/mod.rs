//! The vision tower: patches, blocks with full attention inside a frame, mergers, deepstack.

mod block;
mod merger;
mod position;
mod tape;
mod tower;

pub use block::VisionBlock;
pub use merger::PatchMerger;
pub use position::{FrameTables, frame_tables};
pub use tape::TowerTape;
pub use tower::{VisionFeatures, VisionTower};
