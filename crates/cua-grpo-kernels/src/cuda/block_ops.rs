//! Operations that join steps of a block, as an extension of burn's backends beside [`super::extension`].

use super::{attention_packed, norm, rotary};
use crate::record::{Derivative, record};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Cube, backend_extension};
use burn_cubecl::tensor::CubeTensor;

/// Operations with a CUDA body. Shapes are those of the functions at the root of the crate, which check them. Weights and
/// tables are frozen.
#[backend_extension(Cube, Autodiff)]
pub trait CudaBlockOps: Backend {
    /// As [`crate::rms_norm_carrying`], which adds nothing where no gradient flows.
    fn cuda_rms_norm_carrying(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f64,
        carried: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// As [`crate::layer_norm_carrying`], which adds nothing where no gradient flows.
    fn cuda_layer_norm_carrying(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
        carried: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// As [`crate::rms_norm_rotate`].
    fn cuda_rms_norm_rotate(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f64,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// As [`crate::attention_packed`].
    fn cuda_attention_packed(
        qkv: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl CudaBlockOps for Cube {
    fn cuda_rms_norm_carrying(x: CubeTensor, weight: CubeTensor, eps: f64, _: CubeTensor) -> CubeTensor {
        norm::rms(x, weight, eps).0
    }

    fn cuda_layer_norm_carrying(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        eps: f64,
        _: CubeTensor,
    ) -> CubeTensor {
        norm::layer(x, weight, bias, eps).0
    }

    fn cuda_rms_norm_rotate(
        x: CubeTensor,
        weight: CubeTensor,
        eps: f64,
        cos: CubeTensor,
        sin: CubeTensor,
    ) -> CubeTensor {
        rotary::norm_rotate(x, weight, eps, cos, sin).0
    }

    fn cuda_attention_packed(qkv: CubeTensor, cos: CubeTensor, sin: CubeTensor) -> CubeTensor {
        attention_packed::attention(qkv, cos, sin).0
    }
}

/// A norm, and what is added to the gradient of its input.
#[derive(Debug, Clone)]
struct Carrying(norm::Saved, CubeTensor);

impl Derivative<Cube, 1> for Carrying {
    fn gradients(self, grad: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(norm::backward(grad, &self.0, Some(self.1)))]
    }
}

#[derive(Debug, Clone)]
struct NormRotate(rotary::Saved);

impl Derivative<Cube, 1> for NormRotate {
    fn gradients(self, grad: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(rotary::norm_rotate_backward(grad, &self.0))]
    }
}

#[derive(Debug, Clone)]
struct Packed(attention_packed::Saved);

impl Derivative<Cube, 1> for Packed {
    fn gradients(self, grad: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(attention_packed::backward(grad, &self.0))]
    }
}

impl<C: CheckpointStrategy> CudaBlockOps for Autodiff<Cube, C> {
    fn cuda_rms_norm_carrying(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f64,
        carried: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (weight, carried) = (weight.into_primitive(), carried.into_primitive());
        record::<Cube, C, _, 1>([x], |[x]| {
            let (out, saved) = norm::rms(x, weight, eps);
            (out, Carrying(saved, carried))
        })
    }

    fn cuda_layer_norm_carrying(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
        carried: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (weight, bias) = (weight.into_primitive(), bias.into_primitive());
        let carried = carried.into_primitive();
        record::<Cube, C, _, 1>([x], |[x]| {
            let (out, saved) = norm::layer(x, weight, bias, eps);
            (out, Carrying(saved, carried))
        })
    }

    fn cuda_rms_norm_rotate(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f64,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let weight = weight.into_primitive();
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        record::<Cube, C, _, 1>([x], |[x]| {
            let (out, saved) = rotary::norm_rotate(x, weight, eps, cos, sin);
            (out, NormRotate(saved))
        })
    }

    fn cuda_attention_packed(
        qkv: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        record::<Cube, C, _, 1>([qkv], |[qkv]| {
            let (out, saved) = attention_packed::attention(qkv, cos, sin);
            (out, Packed(saved))
        })
    }
}
