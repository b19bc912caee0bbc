//! CUDA bodies: vendor products, and kernels of this crate that are compiled when first used.
//!
//! Everything below burn's tensors is here and nowhere else: raw addresses, a stream, events. The `.cu` files say at
//! their head what each kernel computes and how it is launched; the `.rs` files beside them are the only callers.

#![allow(unsafe_code)] // Calls of the driver and of the vendor libraries; each says why it is sound.

mod attention;
mod attention_packed;
pub mod block_ops;
mod decode;
mod decode_cache;
mod decode_linear;
mod decode_product;
mod decode_state;
mod decode_step;
mod decode_wide;
mod error;
pub mod extension;
mod gemm;
mod head;
mod heads;
mod linear;
mod matmul;
mod module;
mod norm;
mod pointwise;
mod rotary;
pub(crate) mod route;
mod section;
mod source;

pub use decode::{DecodeLayer, DecodeLinear, DecodeModel, DecodeWeight, Decoder};
pub use decode_cache::Span;
pub use decode_state::{History, RowStart};
pub use error::CudaError;
pub use section::raise;

use crate::extension::Bias;
use burn::backend::Cube;
use burn::tensor::DType;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;
use gemm::Element;

/// Free and total bytes of the card `device`.
///
/// # Errors
/// When `device` is no CUDA card.
pub fn memory(device: &burn::tensor::Device) -> Result<(usize, usize), CudaError> {
    let probe = burn::tensor::Tensor::<1>::zeros([1], device);
    let probe = decode::primitive(&probe)?;
    section::try_section(&probe.client, |_| {
        cudarc::driver::result::mem_get_info().map_err(|error| CudaError::new("cuMemGetInfo", error))
    })
}

/// A bias as its bodies take it.
fn given(bias: Bias<Cube>) -> Option<CubeTensor> {
    match bias {
        Bias::Given(bias) => Some(bias),
        Bias::Absent => None,
    }
}

/// Whether `device` is a card that runs a [`Decoder`]: its draw needs clusters of blocks, compute capability 9.0.
pub fn decodes(device: &burn::tensor::Device) -> bool {
    let probe = burn::tensor::Tensor::<1>::zeros([1], device);
    let Ok(probe) = decode::primitive(&probe) else {
        return false;
    };
    section::try_section(&probe.client, |cx| Ok(cx.gpu.chains)).unwrap_or(false)
}

/// The format of a tensor that [`route`] lets in.
fn element_of(dtype: DType) -> Element {
    if dtype == DType::F32 {
        Element::F32
    } else {
        Element::Bf16
    }
}

/// The tensor in `dtype`, one row after the other: burn pads the rows of some tensors, also those that a cast makes.
fn dense(tensor: CubeTensor, dtype: DType) -> CubeTensor {
    into_contiguous(cast(tensor, dtype))
}

/// Rows and width of a matrix.
fn rows_of(tensor: &CubeTensor) -> [usize; 2] {
    let shape = tensor.meta.shape();
    [shape[0], shape[1]]
}
