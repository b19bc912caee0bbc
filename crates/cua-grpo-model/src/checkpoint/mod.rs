//! Checkpoints in safetensors files: single or sharded, under the released names or older ones.

mod files;
mod load;
mod save;

pub use files::{HostTensor, TensorFiles, read_f32};
pub use load::load_model;
pub(crate) use save::host;
pub use save::{TensorBytes, save_model, write_safetensors};
