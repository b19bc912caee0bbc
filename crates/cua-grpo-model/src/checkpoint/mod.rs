//! Checkpoints in safetensors files: single or sharded, under the released names or older ones.

mod dtype;
mod experts;
mod extras;
mod files;
mod fingerprint;
mod folder;
mod header;
mod load;
mod merge;
mod options;
mod quantised;
mod room;
mod save;
mod skip;
mod stream;
mod which;

pub use dtype::WeightDtype;
pub use files::{HostTensor, TensorFiles};
pub use fingerprint::fingerprint;
pub use folder::{OPTIONAL_FILES, REQUIRED_FILES, deciding_files};
#[cfg(feature = "hub")]
pub(crate) use header::shards_of;
pub use load::load_model;
pub(crate) use load::load_within;
pub use merge::{MergeError, MergeTarget, Merged};
pub use options::LoadOptions;
pub use quantised::Nf4Options;
pub use save::{SaveOptions, save_model, save_weights};
pub use stream::{TensorBytes, write_safetensors};
pub use which::{INDEX_FILE, SINGLE_FILE};
