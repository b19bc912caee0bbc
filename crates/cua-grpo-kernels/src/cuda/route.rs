//! Which calls of the crate's functions the CUDA bodies take: `None` leaves a call to the other bodies.

use super::park::Parked;
use super::tensor::{cube, dense, dispatched, primitive};
use super::{attention, linear, park, rotary};
use crate::mask::Mask;
use crate::ops::{self, Gelu, Op};
use crate::route::heads_fit;
use crate::weight::{LinearGradients, Lora, Weight};
use burn::backend::Cube;
use burn::tensor::{DType, Device, Int, Tensor};
use burn_cubecl::tensor::CubeTensor;

/// Whether `tensor` lives on a card, in a format that the bodies take. Burn is built for the CPU and CUDA alone.
fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device().inner() != Device::flex() && matches!(tensor.dtype(), DType::BF16 | DType::F32)
}

/// Whether `tensor` is such a tensor and no leaf of a gradient, as the bodies take the weight of the head.
fn frozen<const D: usize>(tensor: &Tensor<D>) -> bool {
    takes(tensor) && !tensor.is_tracked()
}

/// Whether rows of `width` elements start at multiples of 16 bytes, as the matrix units read bf16.
fn aligned(dtype: DType, width: usize) -> bool {
    dtype == DType::F32 || width.is_multiple_of(8)
}

/// Whether [`crate::linear()`] of these operands runs here.
pub(crate) fn takes_linear(x: &Tensor<2>, weight: &Weight, bias: Option<&Tensor<1>>, lora: Option<&Lora>) -> bool {
    let [out, width] = weight.dims();
    let (held, rank) = match weight {
        Weight::Dense(weight) => {
            let trained = weight.is_tracked() && lora.is_some();
            let held = takes(weight) && !trained && x.dtype() == weight.dtype();
            (held, lora.map(Lora::rank))
        }
        Weight::Nf4(weight) => (frozen(&weight.absmax) && weight.codes.dtype() == DType::U8, None),
    };
    let fits = takes(x) && held && bias.is_none_or(takes) && x.dims()[1] == width;
    let even = [out, width]
        .into_iter()
        .chain(rank)
        .all(|size| aligned(x.dtype(), size));
    fits && even && lora.is_none_or(|lora| lora.fits([out, width]))
}

/// [`crate::linear_onto`], where no gradient flows.
pub(crate) fn linear_onto(
    residual: &Tensor<2>,
    x: &Tensor<2>,
    weight: &Weight,
    bias: Option<&Tensor<1>>,
    lora: Option<&Lora>,
) -> Option<Tensor<2>> {
    let tracked = lora.is_some_and(|lora| lora.a.is_tracked() || lora.b.is_tracked());
    let tracked = tracked || weight.is_tracked();
    let plain = frozen(residual) && frozen(x) && bias.is_none_or(frozen) && !tracked;
    if !(plain && residual.dtype() == x.dtype() && residual.dims() == [x.dims()[0], weight.dims()[0]]) {
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

/// The primitives of a linear map that can be applied to `x`.
fn map(x: &Tensor<2>, weight: &Weight, lora: Option<&Lora>) -> Option<(ops::Weight<Cube>, ops::Lora<Cube>)> {
    let [out, width] = weight.dims();
    let even = [out, width]
        .into_iter()
        .chain(lora.map(Lora::rank))
        .all(|size| aligned(x.dtype(), size));
    if !(takes(x) && even && lora.is_none_or(|lora| lora.fits([out, width])) && x.dims()[1] == width) {
        return None;
    }
    let weight = match weight {
        Weight::Dense(weight) if weight.dtype() == x.dtype() => ops::Weight::Dense(primitive(weight).ok()?),
        Weight::Dense(_) => return None,
        Weight::Nf4(weight) => ops::Weight::Nf4 {
            codes: cube(weight.codes.clone().into_dispatch()).ok()?,
            absmax: primitive(&weight.absmax).ok()?,
            shape: weight.shape,
        },
    };
    let lora = match lora {
        None => ops::Lora::Absent,
        Some(Lora { a, b, scaling }) => ops::Lora::Given {
            a: primitive(a).ok()?,
            b: primitive(b).ok()?,
            scaling: *scaling,
        },
    };
    Some((weight, lora))
}

/// [`crate::linear_gradients`].
pub(crate) fn linear_gradients(
    x: &Tensor<2>,
    grad: &Tensor<2>,
    weight: &Weight,
    lora: Option<&Lora>,
) -> Option<LinearGradients> {
    if !takes(grad) || grad.dims() != [x.dims()[0], weight.dims()[0]] {
        return None;
    }
    let (weight, lora) = map(x, weight, lora)?;
    let [dx, da, db] = linear::gradients(primitive(x).ok()?, primitive(grad).ok()?, weight, lora);
    let wrap = |gradient: CubeTensor| dispatched(x.clone(), gradient);
    Some(LinearGradients {
        x: wrap(dx?),
        factors: da.zip(db).map(|(da, db)| [wrap(da), wrap(db)]),
    })
}

/// [`crate::cotangent()`].
pub(crate) fn cotangent<const D: usize>(output: &Tensor<D>, grad: &Tensor<D>) -> Option<Tensor<1>> {
    let alike = output.dtype() == grad.dtype() && output.dims() == grad.dims();
    (alike && takes(output)).then(|| {
        let (output, grad) = (output.clone().into_dispatch(), grad.clone().into_dispatch());
        Op::Cotangent { output, grad }.run()
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
    (supported && k.dtype() == q.dtype() && v.dtype() == q.dtype() && heads_fit(q, k, v)).then(|| {
        Op::Attention {
            q: q.clone().into_dispatch(),
            k: k.clone().into_dispatch(),
            v: v.clone().into_dispatch(),
            causal,
            segments,
        }
        .run()
    })
}

/// Copies `x` to the host, see [`crate::Kept`]. What stays on the card is one element, which tells the device.
pub(crate) fn park(x: &Tensor<2>) -> Option<Parked> {
    if !takes(x) {
        return None;
    }
    let plain = x.clone().without_autodiff();
    let dense = dense(primitive(&plain).ok()?, x.dtype());
    let like = Tensor::<2>::zeros([1, 1], (&plain.device(), x.dtype()));
    Some(park::park(&dense, x.dims(), like))
}

/// The product of the last two axes, in f32.
pub(crate) fn matmul(a: &Tensor<4>, b: &Tensor<4>) -> Option<Tensor<4>> {
    let fits = a.dims()[..2] == b.dims()[..2] && a.dims()[3] == b.dims()[2];
    (fits && takes(a) && takes(b) && a.dtype() == DType::F32 && b.dtype() == DType::F32).then(|| {
        let (a, b) = (a.clone().into_dispatch(), b.clone().into_dispatch());
        Op::Matmul { a, b }.run()
    })
}

/// [`crate::rms_norm`].
pub(crate) fn rms_norm(x: &Tensor<2>, weight: &Tensor<1>, eps: f64) -> Option<Tensor<2>> {
    (takes(x) && takes(weight) && x.dims()[1] == weight.dims()[0]).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        Op::RmsNorm { x, weight, eps }.run()
    })
}

/// [`crate::layer_norm`].
pub(crate) fn layer_norm(x: &Tensor<2>, weight: &Tensor<1>, bias: &Tensor<1>, eps: f64) -> Option<Tensor<2>> {
    let fits = x.dims()[1] == weight.dims()[0] && weight.dims() == bias.dims();
    (fits && takes(x) && takes(weight) && takes(bias)).then(|| {
        let x = x.clone().into_dispatch();
        let (weight, bias) = (weight.clone().into_dispatch(), bias.clone().into_dispatch());
        Op::LayerNorm { x, weight, bias, eps }.run()
    })
}

/// [`crate::rms_norm_carrying`].
pub(crate) fn rms_norm_carrying(x: &Tensor<2>, weight: &Tensor<1>, eps: f64, carried: &Tensor<2>) -> Option<Tensor<2>> {
    let fits = x.dims()[1] == weight.dims()[0] && x.dims() == carried.dims() && x.dtype() == carried.dtype();
    (fits && takes(x) && frozen(weight) && frozen(carried)).then(|| {
        let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
        let carried = carried.clone().into_dispatch();
        Op::RmsNormCarrying {
            x,
            weight,
            eps,
            carried,
        }
        .run()
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
        Op::LayerNormCarrying {
            x,
            weight,
            bias,
            eps,
            carried,
        }
        .run()
    })
}

/// [`crate::rotate`], where the shapes fit.
pub(crate) fn rotate(x: &Tensor<4>, cos: &Tensor<4>, sin: &Tensor<4>) -> Option<Tensor<4>> {
    (takes(x) && takes(cos) && takes(sin)).then(|| {
        let x = x.clone().into_dispatch();
        let (cos, sin) = (cos.clone().into_dispatch(), sin.clone().into_dispatch());
        Op::Rotate { x, cos, sin }.run()
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
        Op::RmsNormRotate {
            x,
            weight,
            eps,
            cos,
            sin,
        }
        .run()
    })
}

/// [`crate::attention_packed`], where the shapes fit.
pub(crate) fn attention_packed(qkv: &Tensor<2>, cos: &Tensor<4>, sin: &Tensor<4>) -> Option<Tensor<2>> {
    let supported = takes(qkv) && attention::supports(qkv.dtype(), cos.dims()[3]);
    (supported && frozen(cos) && frozen(sin)).then(|| {
        let qkv = qkv.clone().into_dispatch();
        let (cos, sin) = (cos.clone().into_dispatch(), sin.clone().into_dispatch());
        Op::AttentionPacked { qkv, cos, sin }.run()
    })
}

/// [`crate::swiglu`].
pub(crate) fn swiglu<const D: usize>(gate: &Tensor<D>, up: &Tensor<D>) -> Option<Tensor<D>> {
    (takes(gate) && gate.dtype() == up.dtype() && gate.dims() == up.dims()).then(|| {
        let (gate, up) = (gate.clone().into_dispatch(), up.clone().into_dispatch());
        Op::Swiglu { gate, up }.run()
    })
}

/// [`crate::gelu_tanh`] and [`crate::gelu_erf`].
pub(crate) fn gelu<const D: usize>(x: &Tensor<D>, kind: Gelu) -> Option<Tensor<D>> {
    takes(x).then(|| {
        let x = x.clone().into_dispatch();
        Op::Gelu { x, kind }.run()
    })
}

/// [`crate::head`].
pub(crate) fn logits(hidden: &Tensor<2>, weight: &Tensor<2>) -> Option<Tensor<2>> {
    let even = weight.dims().iter().all(|&width| aligned(weight.dtype(), width));
    (even && frozen(hidden) && frozen(weight)).then(|| {
        let (hidden, weight) = (hidden.clone().into_dispatch(), weight.clone().into_dispatch());
        Op::Logits { hidden, weight }.run()
    })
}

/// [`crate::token_scores`]: log-probs, and entropies without gradient.
pub(crate) fn token_scores(
    hidden: &Tensor<2>,
    weight: &Tensor<2>,
    targets: &Tensor<1, Int>,
    temperature: f32,
    chunk_rows: usize,
) -> Option<[Tensor<1>; 2]> {
    let rows = hidden.dims()[0];
    let even = weight.dims().iter().all(|&width| aligned(hidden.dtype(), width));
    (rows > 0 && even && takes(hidden) && frozen(weight) && hidden.dtype() == weight.dtype()).then(|| {
        let scores = Op::TokenScores {
            hidden: hidden.clone().into_dispatch(),
            weight: weight.clone().into_dispatch(),
            targets: targets.clone().into_dispatch(),
            temperature: f64::from(temperature),
            chunk_rows,
        };
        let both: Tensor<2> = scores.run();
        let row = |number: usize| both.clone().narrow(0, number, 1).reshape([rows]);
        [row(0), row(1).without_autodiff()]
    })
}
