//! Which tensors the fused CPU bodies take.

use burn::tensor::{DType, Device, Tensor};

/// Whether `tensor` lives on the CPU backend in f32, with or without autodiff.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && tensor.device().inner() == Device::flex()
}
