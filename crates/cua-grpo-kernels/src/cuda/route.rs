//! Which calls of the crate's functions the CUDA bodies take: `None` leaves a call to the other bodies.

use super::block_ops::CudaBlockOps;
use super::decode::{cube, dispatched, primitive};
use super::extension::CudaOps;
use super::linear::{Frozen, Lora};
use super::{attention, linear, rotary};
use crate::attention::Mask;
use crate::extension::Bias;
use crate::logprob::TokenScores;
use crate::nf4::Nf4;
use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor};

/// Whether `tensor` lives on a card, in a format that the bodies take. Burn is built for the CPU and CUDA alone.
fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device().inner() != Device::flex() && matches!(tensor.dtype(), DType::BF16 | DType::F32)
}

/// Whether `tensor` is such a tensor and no leaf of a gradient: weights are frozen in the bodies.
fn frozen<const D: usize>(tensor: &Tensor<D>) -> bool {
    takes(tensor) && !tensor.is_tracked()
}

/// Whether rows of `width` elements start at multiples of 16 bytes, as the matrix units read bf16.
fn aligned(dtype: DType, width: usize) -> bool {
    dtype == DType::F32 || width.is_multiple_of(8)
}

fn given(bias: &Option<Tensor<1>>) -> Bias<Dispatch> {
    match bias {
        None => Bias::Absent,
        Some(bias) => Bias::Given(bias.clone().into_dispatch()),
    }
}

/// [`crate::linear()`].
pub(crate) fn linear(x: &Tensor<2>, weight: &Tensor<2>, bias: &Option<Tensor<1>>) -> Option<Tensor<2>> {
    let fits = takes(x) && frozen(weight) && bias.as_ref().is_none_or(frozen) && x.dtype() == weight.dtype();
    let even = weight.dims().iter().all(|&width| aligned(x.dtype(), width));
    (fits && even && x.dims()[1] == weight.dims()[1]).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_linear(x, weight, given(bias)))
    })
}

/// [`crate::linear_onto`], where no gradient flows.
pub(crate) fn linear_onto(
    residual: &Tensor<2>,
    x: &Tensor<2>,
    weight: crate::Frozen<'_>,
    bias: &Option<Tensor<1>>,
    lora: Option<&(Tensor<2>, Tensor<2>, f64)>,
) -> Option<Tensor<2>> {
    let tracked = lora.is_some_and(|(a, b, _)| a.is_tracked() || b.is_tracked());
    let plain = frozen(residual) && frozen(x) && bias.as_ref().is_none_or(frozen) && !tracked;
    let [out, _] = shape_of(weight);
    if !(plain && residual.dtype() == x.dtype() && residual.dims() == [x.dims()[0], out]) {
        return None;
    }
    let (weight, lora) = map(x, weight, lora)?;
    let bias = match bias {
        None => None,
        Some(bias) => Some(primitive(bias).ok()?),
    };
    let output = linear::linear_onto(primitive(residual).ok()?, primitive(x).ok()?, weight, bias, lora);
    Some(dispatched(x.clone(), output))
}

fn shape_of(weight: crate::Frozen<'_>) -> [usize; 2] {
    match weight {
        crate::Frozen::Dense(weight) => weight.dims(),
        crate::Frozen::Nf4(weight) => weight.shape,
    }
}

/// The primitives of a linear map that can be applied to `x`.
fn map(
    x: &Tensor<2>,
    weight: crate::Frozen<'_>,
    lora: Option<&(Tensor<2>, Tensor<2>, f64)>,
) -> Option<(Frozen, Option<Lora>)> {
    let [out, width] = shape_of(weight);
    let ranks = lora.map(|(a, _, _)| a.dims()[0]);
    let even = [out, width]
        .into_iter()
        .chain(ranks)
        .all(|size| aligned(x.dtype(), size));
    let factors = lora.is_none_or(|(a, b, _)| a.dims()[1] == width && b.dims() == [out, a.dims()[0]]);
    if !(takes(x) && even && factors && x.dims()[1] == width) {
        return None;
    }
    let weight = match weight {
        crate::Frozen::Dense(weight) if weight.dtype() == x.dtype() => Frozen::Dense(primitive(weight).ok()?),
        crate::Frozen::Dense(_) => return None,
        crate::Frozen::Nf4(weight) => {
            let codes = cube(weight.codes.clone().into_dispatch()).ok()?;
            Frozen::Nf4(codes, primitive(&weight.absmax).ok()?, weight.shape)
        }
    };
    let lora = match lora {
        None => None,
        Some((a, b, scaling)) => Some(Lora(primitive(a).ok()?, primitive(b).ok()?, *scaling)),
    };
    Some((weight, lora))
}

/// [`crate::linear_lora`].
pub(crate) fn linear_lora(
    x: &Tensor<2>,
    weight: &Tensor<2>,
    bias: &Option<Tensor<1>>,
    (a, b): &(Tensor<2>, Tensor<2>),
    scaling: f64,
) -> Option<Tensor<2>> {
    let fits = takes(x) && frozen(weight) && bias.as_ref().is_none_or(frozen) && x.dtype() == weight.dtype();
    let [rank, width] = a.dims();
    let low = width == x.dims()[1] && b.dims() == [weight.dims()[0], rank];
    let even = weight
        .dims()
        .into_iter()
        .chain([rank])
        .all(|width| aligned(x.dtype(), width));
    (fits && low && even && x.dims()[1] == weight.dims()[1]).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        let (a, b) = (a.clone().into_dispatch(), b.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_linear_lora(
            x,
            weight,
            given(bias),
            a,
            b,
            scaling,
        ))
    })
}

/// [`crate::seed`].
pub(crate) fn seed<const D: usize>(output: &Tensor<D>, grad: &Tensor<D>) -> Option<Tensor<1>> {
    let alike = output.dtype() == grad.dtype() && output.dims() == grad.dims();
    (alike && takes(output)).then(|| {
        let (output, grad) = (output.clone().into_dispatch(), grad.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_seed(output, grad))
    })
}

/// [`crate::linear_gradients`].
pub(crate) fn linear_gradients(
    x: &Tensor<2>,
    grad: &Tensor<2>,
    weight: crate::Frozen<'_>,
    lora: Option<&(Tensor<2>, Tensor<2>, f64)>,
) -> Option<crate::LinearGradients> {
    if !takes(grad) || grad.dims() != [x.dims()[0], shape_of(weight)[0]] {
        return None;
    }
    let (weight, lora) = map(x, weight, lora)?;
    let [dx, da, db] = linear::gradients(primitive(x).ok()?, primitive(grad).ok()?, weight, lora);
    let wrap = |gradient| dispatched(x.clone(), gradient);
    Some(crate::LinearGradients {
        x: wrap(dx?),
        factors: da.zip(db).map(|(da, db)| [wrap(da), wrap(db)]),
    })
}

/// [`crate::linear_nf4`].
pub(crate) fn linear_nf4(
    x: &Tensor<2>,
    weight: &Nf4,
    bias: &Option<Tensor<1>>,
    lora: &Option<((Tensor<2>, Tensor<2>), f64)>,
) -> Option<Tensor<2>> {
    let [out, width] = weight.shape;
    let fits = takes(x) && frozen(&weight.absmax) && bias.as_ref().is_none_or(frozen) && x.dims()[1] == width;
    let low = lora
        .as_ref()
        .is_none_or(|((a, b), _)| a.dims()[1] == width && b.dims() == [out, a.dims()[0]]);
    let even = aligned(x.dtype(), out) && aligned(x.dtype(), width);
    (fits && low && even && weight.codes.dtype() == DType::U8).then(|| {
        let x = x.clone().into_dispatch();
        let codes = weight.codes.clone().into_dispatch();
        let absmax = weight.absmax.clone().into_dispatch();
        Tensor::from_dispatch(match lora {
            None => <Dispatch as CudaOps>::cuda_linear_nf4(x, codes, absmax, out, given(bias)),
            Some(((a, b), scaling)) => {
                let (a, b) = (a.clone().into_dispatch(), b.clone().into_dispatch());
                <Dispatch as CudaOps>::cuda_linear_nf4_lora(x, codes, absmax, out, given(bias), a, b, *scaling)
            }
        })
    })
}

/// [`crate::attention()`] over one part.
pub(crate) fn attention(q: &Tensor<4>, parts: &[(Tensor<4>, Tensor<4>)], mask: &Mask) -> Option<Tensor<4>> {
    let (causal, segments) = match mask {
        Mask::All => (false, Vec::new()),
        Mask::Causal => (true, Vec::new()),
        Mask::Segments(lengths) => (true, lengths.clone()),
        Mask::Bias(_) => return None,
    };
    let [(k, v)] = parts else { return None };
    let [batch, _, time, _] = q.dims();
    if matches!(mask, Mask::Segments(_)) && (batch, time) != (1, segments.iter().sum()) || k.dims()[2] < time && causal
    {
        return None;
    }
    let supported = takes(q) && attention::supports(q.dtype(), q.dims()[3]);
    (supported && k.dtype() == q.dtype() && v.dtype() == q.dtype() && crate::attention::fits(q, k, v)).then(|| {
        let q = q.clone().into_dispatch();
        let (k, v) = (k.clone().into_dispatch(), v.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_attention(q, k, v, causal, segments))
    })
}

/// The product of the last two axes, in f32.
pub(crate) fn matmul(a: &Tensor<4>, b: &Tensor<4>) -> Option<Tensor<4>> {
    let fits = a.dims()[..2] == b.dims()[..2] && a.dims()[3] == b.dims()[2];
    (fits && takes(a) && takes(b) && a.dtype() == DType::F32 && b.dtype() == DType::F32).then(|| {
        let (a, b) = (a.clone().into_dispatch(), b.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_matmul(a, b))
    })
}

/// [`crate::rms_norm`].
pub(crate) fn rms_norm(x: &Tensor<2>, weight: &Tensor<1>, eps: f64) -> Option<Tensor<2>> {
    (takes(x) && frozen(weight) && x.dims()[1] == weight.dims()[0]).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_rms_norm(x, weight, eps))
    })
}

/// [`crate::layer_norm`].
pub(crate) fn layer_norm(x: &Tensor<2>, weight: &Tensor<1>, bias: &Tensor<1>, eps: f64) -> Option<Tensor<2>> {
    let fits = x.dims()[1] == weight.dims()[0] && weight.dims() == bias.dims();
    (fits && takes(x) && frozen(weight) && frozen(bias)).then(|| {
        let x = x.clone().into_dispatch();
        let (weight, bias) = (weight.clone().into_dispatch(), bias.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_layer_norm(x, weight, bias, eps))
    })
}

/// [`crate::rms_norm_carrying`].
pub(crate) fn rms_norm_carrying(x: &Tensor<2>, weight: &Tensor<1>, eps: f64, carried: &Tensor<2>) -> Option<Tensor<2>> {
    let fits = x.dims()[1] == weight.dims()[0] && x.dims() == carried.dims() && x.dtype() == carried.dtype();
    (fits && takes(x) && frozen(weight) && frozen(carried)).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        let carried = carried.clone().into_dispatch();
        Tensor::from_dispatch(<Dispatch as CudaBlockOps>::cuda_rms_norm_carrying(
            x, weight, eps, carried,
        ))
    })
}

/// [`crate::layer_norm_carrying`].
pub(crate) fn layer_norm_carrying(
    x: &Tensor<2>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    eps: f64,
    carried: &Tensor<2>,
) -> Option<Tensor<2>> {
    let fits = x.dims()[1] == weight.dims()[0] && weight.dims() == bias.dims();
    let carries = x.dims() == carried.dims() && x.dtype() == carried.dtype() && frozen(carried);
    (fits && carries && takes(x) && frozen(weight) && frozen(bias)).then(|| {
        let (x, carried) = (x.clone().into_dispatch(), carried.clone().into_dispatch());
        let (weight, bias) = (weight.clone().into_dispatch(), bias.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaBlockOps>::cuda_layer_norm_carrying(
            x, weight, bias, eps, carried,
        ))
    })
}

/// [`crate::rotate`], where the shapes fit.
pub(crate) fn rotate(x: &Tensor<4>, cos: &Tensor<4>, sin: &Tensor<4>) -> Option<Tensor<4>> {
    (takes(x) && takes(cos) && takes(sin)).then(|| {
        let x = x.clone().into_dispatch();
        let (cos, sin) = (cos.clone().into_dispatch(), sin.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_rotate(x, cos, sin))
    })
}

/// [`crate::rms_norm_rotate`], where the shapes fit.
pub(crate) fn rms_norm_rotate(
    x: &Tensor<2>,
    weight: &Tensor<1>,
    eps: f64,
    cos: &Tensor<4>,
    sin: &Tensor<4>,
) -> Option<Tensor<4>> {
    let width = cos.dims()[3];
    let fits = takes(x) && frozen(weight) && frozen(cos) && frozen(sin) && cos.dtype() == sin.dtype();
    (fits && rotary::norms(width)).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        let (cos, sin) = (cos.clone().into_dispatch(), sin.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaBlockOps>::cuda_rms_norm_rotate(
            x, weight, eps, cos, sin,
        ))
    })
}

/// [`crate::attention_packed`], where the shapes fit.
pub(crate) fn attention_packed(qkv: &Tensor<2>, cos: &Tensor<4>, sin: &Tensor<4>) -> Option<Tensor<2>> {
    let supported = takes(qkv) && attention::supports(qkv.dtype(), cos.dims()[3]);
    (supported && frozen(cos) && frozen(sin)).then(|| {
        let qkv = qkv.clone().into_dispatch();
        let (cos, sin) = (cos.clone().into_dispatch(), sin.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaBlockOps>::cuda_attention_packed(qkv, cos, sin))
    })
}

/// [`crate::swiglu`].
pub(crate) fn swiglu<const D: usize>(gate: &Tensor<D>, up: &Tensor<D>) -> Option<Tensor<D>> {
    (takes(gate) && gate.dtype() == up.dtype() && gate.dims() == up.dims()).then(|| {
        let (gate, up) = (gate.clone().into_dispatch(), up.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_swiglu(gate, up))
    })
}

/// [`crate::gelu_tanh`].
pub(crate) fn gelu_tanh<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    takes(x).then(|| Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_gelu_tanh(x.clone().into_dispatch())))
}

/// [`crate::gelu_erf`].
pub(crate) fn gelu_erf<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    takes(x).then(|| Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_gelu_erf(x.clone().into_dispatch())))
}

/// [`crate::head`].
pub(crate) fn logits(hidden: &Tensor<2>, weight: &Tensor<2>) -> Option<Tensor<2>> {
    let even = weight.dims().iter().all(|&width| aligned(weight.dtype(), width));
    (even && frozen(hidden) && frozen(weight)).then(|| {
        let (hidden, weight) = (hidden.clone().into_dispatch(), weight.clone().into_dispatch());
        Tensor::from_dispatch(<Dispatch as CudaOps>::cuda_logits(hidden, weight))
    })
}

/// [`crate::token_scores`].
pub(crate) fn token_scores(
    hidden: &Tensor<2>,
    weight: &Tensor<2>,
    targets: &Tensor<1, Int>,
    temperature: f32,
    chunk_rows: usize,
) -> Option<TokenScores> {
    let rows = hidden.dims()[0];
    let even = weight.dims().iter().all(|&width| aligned(hidden.dtype(), width));
    (rows > 0 && even && takes(hidden) && frozen(weight) && hidden.dtype() == weight.dtype()).then(|| {
        let (hidden, weight) = (hidden.clone().into_dispatch(), weight.clone().into_dispatch());
        let targets = targets.clone().into_dispatch();
        let temperature = f64::from(temperature);
        let both = <Dispatch as CudaOps>::cuda_token_scores(hidden, weight, targets, temperature, chunk_rows);
        let both: Tensor<2> = Tensor::from_dispatch(both);
        let row = |number: usize| both.clone().narrow(0, number, 1).reshape([rows]);
        TokenScores {
            logprobs: row(0),
            entropies: row(1).without_autodiff(),
        }
    })
}
