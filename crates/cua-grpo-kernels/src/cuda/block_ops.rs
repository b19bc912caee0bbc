//! Operations that join steps of a block, as an extension of burn's backends beside [`super::extension`].

use super::linear::linear_onto;
use super::{attention_packed, given, rotary};
use crate::extension::Bias;
use crate::record::{Derivative, record};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Cube, backend_extension};
use burn_cubecl::tensor::CubeTensor;

/// Operations with a CUDA body. Shapes are those of the functions at the root of the crate, which check them. Weights and
/// tables are frozen.
#[backend_extension(Cube, Autodiff)]
pub trait CudaBlockOps: Backend {
    /// As [`crate::linear_onto`]: no gradient is recorded.
    fn cuda_linear_onto(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
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
    fn cuda_linear_onto(residual: CubeTensor, x: CubeTensor, weight: CubeTensor, bias: Bias<Self>) -> CubeTensor {
        linear_onto(residual, x, weight, given(bias))
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
    fn cuda_linear_onto(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
    ) -> FloatTensor<Self> {
        let bias = match bias {
            Bias::Given(bias) => Some(bias.into_primitive()),
            Bias::Absent => None,
        };
        let (residual, x) = (residual.into_primitive(), x.into_primitive());
        Self::from_inner(linear_onto(residual, x, weight.into_primitive(), bias))
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
