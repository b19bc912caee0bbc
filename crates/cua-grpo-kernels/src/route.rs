//! Which tensors the fused CPU bodies take, and where stored values change their type.

use burn::tensor::{DType, Device, Tensor};

/// Whether `tensor` lives on the CPU backend in f32, with or without autodiff.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && on_cpu(tensor)
}

/// Whether `tensor` lives on the CPU backend as a weight that the fused linear maps read: f32, or bf16 that is widened
/// on the way.
pub(crate) fn is_fused_weight(tensor: &Tensor<2>) -> bool {
    matches!(tensor.dtype(), DType::F32 | DType::BF16) && on_cpu(tensor)
}

fn on_cpu<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device().inner() == Device::flex()
}

/// `weight` in the type that `x` is computed in.
pub(crate) fn like<const D: usize, const E: usize>(weight: Tensor<D>, x: &Tensor<E>) -> Tensor<D> {
    if weight.dtype() == x.dtype() {
        weight
    } else {
        weight.cast(x.dtype())
    }
}

/// `tensor` in the type that its device computes in: f32 on the CPU backend, where narrow types only save memory; as it
/// is stored on others.
///
/// For what is looked up in a narrow table (an embedding): look up first, then call this.
pub fn compute<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if on_cpu(&tensor) && tensor.dtype() != DType::F32 {
        tensor.cast(DType::F32)
    } else {
        tensor
    }
}

/// The type that the device of `weight` computes in with it, as [`compute`] says.
pub fn compute_dtype<const D: usize>(weight: &Tensor<D>) -> DType {
    if on_cpu(weight) { DType::F32 } else { weight.dtype() }
}
