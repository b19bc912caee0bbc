//! Which tensors the fused CPU bodies take, and where stored values change their type.

use crate::weight::Weight;
use burn::tensor::{DType, Device, Tensor};

/// Whether `tensor` lives on the CPU backend in f32, with or without autodiff.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && on_cpu(tensor)
}

/// Whether `weight` lives on the CPU backend as the fused linear maps read it: in f32, or narrow and widened on the way.
pub(crate) fn is_fused_weight(weight: &Weight) -> bool {
    match weight {
        Weight::Dense(weight) => matches!(weight.dtype(), DType::F32 | DType::BF16) && on_cpu(weight),
        Weight::Nf4(weight) => {
            is_fused(&weight.absmax) && weight.codes.dtype() == DType::U8 && weight.codes.device() == Device::flex()
        }
    }
}

/// Whether the heads of keys and values serve those of the queries.
pub(crate) fn heads_fit(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> bool {
    let ([batch, heads, _, head_dim], [k_batch, kv_heads, _, k_dim]) = (q.dims(), k.dims());
    batch == k_batch && head_dim == k_dim && kv_heads > 0 && heads.is_multiple_of(kv_heads) && k.dims() == v.dims()
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
