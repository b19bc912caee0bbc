//! Fused operations of the policy, each behind one function with a reference body in plain tensor operations.
//!
//! The model calls these functions and nothing below them, so a faster body is a change inside this crate. On the CPU
//! backend (`flex`, f32) the functions run one pass over memory forward and one backward ([`ops`] declares them, once
//! for all backends); on a CUDA card, with the feature `cuda`, they run the kernels of `cuda`; elsewhere the bodies of
//! [`reference`](mod@reference), which the tests hold the others against.
//! Weights are `[out, in]`, as in checkpoints. Tensors without autodiff are constants.
//!
//! On the CPU, bf16 and four bits ([`Weight`]) are ways to store a weight: arithmetic stays in f32.

mod activation;
mod attention;
mod autodiff;
mod cotangent;
mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod delta;
mod host;
mod linear;
mod logprob;
mod mask;
mod norm;
mod offload;
pub mod ops;
mod quantise;
mod rotary;
mod route;
mod sequence;
mod softmax;
mod weight;

pub use activation::{gelu_erf, gelu_tanh, swiglu};
pub use attention::{attention, attention_packed};
pub use cotangent::cotangent;
pub use delta::{DeltaInput, causal_convolution, delta_rule};
pub use host::host;
pub use linear::{head, linear, linear_gradients, linear_onto};
pub use logprob::{TokenScores, token_scores, token_scores_with_entropy};
pub use mask::{HIDDEN, Mask};
pub use norm::{layer_norm, layer_norm_carrying, rms_norm, rms_norm_carrying};
pub use offload::Kept;
pub use quantise::{NESTED_BLOCK, Scales, dequantise_scales, dynamic_map, mean, quantise, quantise_scales};
pub use rotary::{rms_norm_rotate, rotate};
pub use route::{compute, compute_dtype};
pub use sequence::{KeyValues, attention_cached};
pub use softmax::Softmax;
pub use weight::{BLOCK, CODE, LinearGradients, Lora, Nf4, Nf4Error, Weight};

/// The bodies in plain tensor operations: what every backend can run, and what tests compare with.
pub mod reference {
    pub use crate::activation::reference::{gelu_erf, gelu_tanh, swiglu};
    pub use crate::attention::reference::attention;
    pub use crate::delta::reference::delta_rule;
    pub use crate::linear::reference::{linear, linear_gradients};
    pub use crate::norm::reference::{layer_norm, rms_norm};
    pub use crate::rotary::reference::rotate;
}
