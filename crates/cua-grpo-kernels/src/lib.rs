//! Fused operations of the policy, each behind one function with a reference body in plain tensor operations.
//!
//! The model calls these functions and nothing below them, so a faster body is a change inside this crate. On the CPU
//! backend (`flex`, f32) the functions run one pass over memory forward and one backward ([`extension`] wires them to
//! autodiff); on every other backend they run the bodies of [`reference`](mod@reference), which the tests hold the fused ones against.
//! Weights are `[out, in]`, as in checkpoints. Tensors without autodiff are constants.

mod activation;
mod attention;
mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod extension;
mod linear;
mod logprob;
mod norm;
mod rotary;
mod route;

pub use activation::{gelu_erf, gelu_tanh, swiglu};
pub use attention::{HIDDEN, Mask, attention, causal_bias};
pub use linear::{linear, linear_lora};
pub use logprob::{TokenScores, token_scores};
pub use norm::{layer_norm, rms_norm};
pub use rotary::rotate;

/// The bodies in plain tensor operations: what every backend can run, and what tests compare with.
pub mod reference {
    pub use crate::activation::reference::{gelu_erf, gelu_tanh, swiglu};
    pub use crate::attention::reference::attention;
    pub use crate::linear::reference::{linear, linear_lora};
    pub use crate::norm::reference::{layer_norm, rms_norm};
    pub use crate::rotary::reference::rotate;
}
