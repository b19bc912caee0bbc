//! Fused operations of the policy, each behind one function with a reference body in plain tensor operations.
//!
//! The model calls these functions and nothing below them, so a faster body (for the CPU here, for CUDA later) is a
//! change inside this crate. Weights are `[out, in]`, as in checkpoints. Tensors without autodiff are constants.

mod activation;
mod attention;
mod linear;
mod logprob;
mod norm;
mod rotary;

pub use activation::{gelu_erf, gelu_tanh, swiglu};
pub use attention::{HIDDEN, attention, causal_bias};
pub use linear::{linear, lora_delta};
pub use logprob::{TokenScores, token_scores};
pub use norm::{layer_norm, rms_norm};
pub use rotary::rotate;
