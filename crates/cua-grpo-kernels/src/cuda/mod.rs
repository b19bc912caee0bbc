//! CUDA bodies: vendor products, and kernels of this crate that are compiled when first used.
//!
//! Everything below burn's tensors is here and nowhere else: raw addresses, a stream, events. The `.cu` files say at
//! their head what each kernel computes and how it is launched; the `.rs` files beside them are the only callers.

#![allow(unsafe_code)] // Calls of the driver and of the vendor libraries; each says why it is sound.

mod attention;
mod attention_packed;
mod blas;
mod bodies;
mod capability;
mod card;
mod decode;
mod error;
mod gemm;
mod head;
mod heads;
mod linear;
mod matmul;
mod module;
mod norm;
mod park;
mod pointwise;
mod rotary;
pub(crate) mod route;
mod section;
mod source;
mod tensor;

pub use card::{cards, decodes, memory};
pub use decode::{DecodeLayer, DecodeLinear, DecodeModel, Decoder, History, RowStart, Span};
pub use error::CudaError;
pub(crate) use park::Parked;
pub use section::raise;
