//! The CUDA operations as an extension of burn's backends: on plain tensors, and on autodiff with a backward pass.
//!
//! The functions at the root of the crate decide which tensors come here ([`super::route`]).

use super::linear::{Frozen, Lora, linear, linear_backward};
use super::matmul::matmul;
use super::{attention, given, head, norm, pointwise, rotary};
use crate::extension::Bias;
use crate::record::{Derivative, Seed, nothing, record};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Cube, backend_extension};
use burn_cubecl::tensor::CubeTensor;

/// Operations with a CUDA body. Shapes are those of the functions at the root of the crate, which check them.
#[backend_extension(Cube, Autodiff)]
pub trait CudaOps: Backend {
    /// As [`crate::swiglu`].
    fn cuda_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::gelu_tanh`].
    fn cuda_gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::gelu_erf`].
    fn cuda_gelu_erf(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::rms_norm`].
    fn cuda_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f64) -> FloatTensor<Self>;
    /// As [`crate::layer_norm`].
    fn cuda_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self>;
    /// As [`crate::rotate`]; no gradient reaches the tables.
    fn cuda_rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::linear()`]; the weight and the bias are frozen.
    fn cuda_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
    ) -> FloatTensor<Self>;
    /// As [`crate::linear_lora`]; the weight and the bias are frozen.
    fn cuda_linear_lora(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self>;
    /// As [`crate::linear_nf4`] without an adapter; the bias is frozen.
    fn cuda_linear_nf4(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        out: usize,
        #[extension_type] bias: Bias<Self>,
    ) -> FloatTensor<Self>;
    /// As [`crate::linear_nf4`] with an adapter; the bias is frozen.
    #[allow(clippy::too_many_arguments, reason = "tensors and numbers of one operation")]
    fn cuda_linear_nf4_lora(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        out: usize,
        #[extension_type] bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self>;
    /// As [`crate::attention()`] over one part, with the mask `Causal` or `All`; or `Segments`, where there are some.
    fn cuda_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        causal: bool,
        segments: Vec<usize>,
    ) -> FloatTensor<Self>;
    /// As [`crate::seed`].
    fn cuda_seed(output: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::head`]: no gradient is recorded.
    fn cuda_logits(hidden: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Product of the last two axes of `[batch, heads, m, k]` and `[batch, heads, k, n]` in f32.
    fn cuda_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Log-probs and entropies `[2, rows]` in f32, as [`crate::token_scores`]; a gradient flows from the log-probs to
    /// `hidden`. The head is frozen.
    fn cuda_token_scores(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        temperature: f64,
        chunk_rows: usize,
    ) -> FloatTensor<Self>;
}

/// The four-bit weight that is multiplied with `x`.
fn four_bits(x: &CubeTensor, codes: CubeTensor, absmax: CubeTensor, out: usize) -> Frozen {
    let width = x.meta.shape()[1];
    Frozen::Nf4(codes, absmax, [out, width])
}

impl CudaOps for Cube {
    fn cuda_seed(output: CubeTensor, _: CubeTensor) -> CubeTensor {
        nothing::<Self>(&output)
    }

    fn cuda_swiglu(gate: CubeTensor, up: CubeTensor) -> CubeTensor {
        pointwise::swiglu(&gate, &up)
    }

    fn cuda_gelu_tanh(x: CubeTensor) -> CubeTensor {
        pointwise::gelu(&x, pointwise::Gelu::Tanh)
    }

    fn cuda_gelu_erf(x: CubeTensor) -> CubeTensor {
        pointwise::gelu(&x, pointwise::Gelu::Erf)
    }

    fn cuda_rms_norm(x: CubeTensor, weight: CubeTensor, eps: f64) -> CubeTensor {
        norm::rms(x, weight, eps).0
    }

    fn cuda_layer_norm(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, eps: f64) -> CubeTensor {
        norm::layer(x, weight, bias, eps).0
    }

    fn cuda_rotate(x: CubeTensor, cos: CubeTensor, sin: CubeTensor) -> CubeTensor {
        rotary::rotate(&x, &cos, &sin, 1.0)
    }

    fn cuda_linear(x: CubeTensor, weight: CubeTensor, bias: Bias<Self>) -> CubeTensor {
        linear(x, Frozen::Dense(weight), given(bias), None).0
    }

    fn cuda_linear_lora(
        x: CubeTensor,
        weight: CubeTensor,
        bias: Bias<Self>,
        a: CubeTensor,
        b: CubeTensor,
        scaling: f64,
    ) -> CubeTensor {
        linear(x, Frozen::Dense(weight), given(bias), Some(Lora(a, b, scaling))).0
    }

    fn cuda_linear_nf4(
        x: CubeTensor,
        codes: CubeTensor,
        absmax: CubeTensor,
        out: usize,
        bias: Bias<Self>,
    ) -> CubeTensor {
        let weight = four_bits(&x, codes, absmax, out);
        linear(x, weight, given(bias), None).0
    }

    fn cuda_linear_nf4_lora(
        x: CubeTensor,
        codes: CubeTensor,
        absmax: CubeTensor,
        out: usize,
        bias: Bias<Self>,
        a: CubeTensor,
        b: CubeTensor,
        scaling: f64,
    ) -> CubeTensor {
        let weight = four_bits(&x, codes, absmax, out);
        linear(x, weight, given(bias), Some(Lora(a, b, scaling))).0
    }

    fn cuda_attention(q: CubeTensor, k: CubeTensor, v: CubeTensor, causal: bool, segments: Vec<usize>) -> CubeTensor {
        attention::attention(q, k, v, causal, &segments).0
    }

    fn cuda_logits(hidden: CubeTensor, weight: CubeTensor) -> CubeTensor {
        super::linear::wide(hidden, weight)
    }

    fn cuda_matmul(a: CubeTensor, b: CubeTensor) -> CubeTensor {
        matmul(&a, false, &b, false)
    }

    fn cuda_token_scores(
        hidden: CubeTensor,
        weight: CubeTensor,
        targets: CubeTensor,
        temperature: f64,
        chunk_rows: usize,
    ) -> CubeTensor {
        head::scores(hidden, weight, targets, temperature, chunk_rows).0
    }
}

#[derive(Debug, Clone)]
struct Swiglu(CubeTensor, CubeTensor);

impl Derivative<Cube, 2> for Swiglu {
    fn gradients(self, grad: CubeTensor, _: [bool; 2]) -> [Option<CubeTensor>; 2] {
        pointwise::swiglu_backward(grad, &self.0, &self.1).map(Some)
    }
}

#[derive(Debug, Clone)]
struct Gelu(CubeTensor, pointwise::Gelu);

impl Derivative<Cube, 1> for Gelu {
    fn gradients(self, grad: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(pointwise::gelu_backward(grad, &self.0, self.1))]
    }
}

#[derive(Debug, Clone)]
struct Norm(norm::Saved);

impl Derivative<Cube, 1> for Norm {
    fn gradients(self, grad: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(norm::backward(grad, &self.0, None))]
    }
}

#[derive(Debug, Clone)]
struct Rotate(CubeTensor, CubeTensor);

impl Derivative<Cube, 1> for Rotate {
    fn gradients(self, grad: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(rotary::rotate(&grad, &self.0, &self.1, -1.0))]
    }
}

#[derive(Debug, Clone)]
struct Linear(super::linear::Saved);

impl Derivative<Cube, 1> for Linear {
    fn gradients(self, grad: CubeTensor, wanted: [bool; 1]) -> [Option<CubeTensor>; 1] {
        let [dx, ..] = linear_backward(grad, &self.0, wanted[0]);
        [dx]
    }
}

impl Derivative<Cube, 3> for Linear {
    fn gradients(self, grad: CubeTensor, wanted: [bool; 3]) -> [Option<CubeTensor>; 3] {
        linear_backward(grad, &self.0, wanted[0])
    }
}

#[derive(Debug, Clone)]
struct Attention(attention::Saved);

impl Derivative<Cube, 3> for Attention {
    fn gradients(self, grad: CubeTensor, _: [bool; 3]) -> [Option<CubeTensor>; 3] {
        attention::backward(grad, &self.0).map(Some)
    }
}

#[derive(Debug, Clone)]
struct Matmul(CubeTensor, CubeTensor);

impl Derivative<Cube, 2> for Matmul {
    fn gradients(self, grad: CubeTensor, wanted: [bool; 2]) -> [Option<CubeTensor>; 2] {
        let Self(a, b) = self;
        let d_a = wanted[0].then(|| matmul(&grad, false, &b, true));
        let d_b = wanted[1].then(|| matmul(&a, true, &grad, false));
        [d_a, d_b]
    }
}

#[derive(Debug, Clone)]
struct Scores(head::Saved);

impl Derivative<Cube, 1> for Scores {
    fn gradients(self, grad: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(head::backward(grad, &self.0))]
    }
}

fn plain(bias: Bias<Autodiff<Cube, impl CheckpointStrategy>>) -> Option<CubeTensor> {
    match bias {
        Bias::Given(bias) => Some(bias.into_primitive()),
        Bias::Absent => None,
    }
}

impl<C: CheckpointStrategy> CudaOps for Autodiff<Cube, C> {
    fn cuda_seed(output: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let grad = grad.into_primitive();
        record::<Cube, C, _, 1>([output], |[output]| (nothing::<Cube>(&output), Seed(grad)))
    }

    fn cuda_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<Cube, C, _, 2>([gate, up], |[gate, up]| {
            (pointwise::swiglu(&gate, &up), Swiglu(gate, up))
        })
    }

    fn cuda_gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let kind = pointwise::Gelu::Tanh;
        record::<Cube, C, _, 1>([x], |[x]| (pointwise::gelu(&x, kind), Gelu(x, kind)))
    }

    fn cuda_gelu_erf(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let kind = pointwise::Gelu::Erf;
        record::<Cube, C, _, 1>([x], |[x]| (pointwise::gelu(&x, kind), Gelu(x, kind)))
    }

    fn cuda_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        let weight = weight.into_primitive();
        record::<Cube, C, _, 1>([x], |[x]| {
            let (out, saved) = norm::rms(x, weight, eps);
            (out, Norm(saved))
        })
    }

    fn cuda_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        let (weight, bias) = (weight.into_primitive(), bias.into_primitive());
        record::<Cube, C, _, 1>([x], |[x]| {
            let (out, saved) = norm::layer(x, weight, bias, eps);
            (out, Norm(saved))
        })
    }

    fn cuda_rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self> {
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        record::<Cube, C, _, 1>([x], |[x]| (rotary::rotate(&x, &cos, &sin, 1.0), Rotate(cos, sin)))
    }

    fn cuda_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: Bias<Self>) -> FloatTensor<Self> {
        let (weight, bias) = (weight.into_primitive(), plain(bias));
        record::<Cube, C, _, 1>([x], |[x]| {
            let (out, saved) = linear(x, Frozen::Dense(weight), bias, None);
            (out, Linear(saved))
        })
    }

    fn cuda_linear_lora(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self> {
        let (weight, bias) = (weight.into_primitive(), plain(bias));
        record::<Cube, C, _, 3>([x, a, b], |[x, a, b]| {
            let (out, saved) = linear(x, Frozen::Dense(weight), bias, Some(Lora(a, b, scaling)));
            (out, Linear(saved))
        })
    }

    fn cuda_linear_nf4(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        out: usize,
        bias: Bias<Self>,
    ) -> FloatTensor<Self> {
        let (absmax, bias) = (absmax.into_primitive(), plain(bias));
        record::<Cube, C, _, 1>([x], |[x]| {
            let weight = four_bits(&x, codes, absmax, out);
            let (out, saved) = linear(x, weight, bias, None);
            (out, Linear(saved))
        })
    }

    fn cuda_linear_nf4_lora(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        out: usize,
        bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self> {
        let (absmax, bias) = (absmax.into_primitive(), plain(bias));
        record::<Cube, C, _, 3>([x, a, b], |[x, a, b]| {
            let weight = four_bits(&x, codes, absmax, out);
            let (out, saved) = linear(x, weight, bias, Some(Lora(a, b, scaling)));
            (out, Linear(saved))
        })
    }

    fn cuda_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        causal: bool,
        segments: Vec<usize>,
    ) -> FloatTensor<Self> {
        record::<Cube, C, _, 3>([q, k, v], |[q, k, v]| {
            let (out, saved) = attention::attention(q, k, v, causal, &segments);
            (out, Attention(saved))
        })
    }

    fn cuda_logits(hidden: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(super::linear::wide(hidden.into_primitive(), weight.into_primitive()))
    }

    fn cuda_matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<Cube, C, _, 2>([a, b], |[a, b]| (matmul(&a, false, &b, false), Matmul(a, b)))
    }

    fn cuda_token_scores(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        temperature: f64,
        chunk_rows: usize,
    ) -> FloatTensor<Self> {
        let weight = weight.into_primitive();
        record::<Cube, C, _, 1>([hidden], |[hidden]| {
            let (out, saved) = head::scores(hidden, weight, targets, temperature, chunk_rows);
            (out, Scores(saved))
        })
    }
}
