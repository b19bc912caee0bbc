//! Element-wise activations and their derivatives.

use super::buffer::{CHUNK, Fresh, dense, each, elements, tensor};
use super::simd::{erf, exp, sigmoid, simd};
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// `2 sqrt(2 / pi)`
const TWICE_ROOT: f32 = 1.595_769;
/// The cubic coefficient of the tanh approximation.
const CUBIC: f32 = 0.044_715;

/// What an element-wise map writes: the output, then the inputs.
type Map1 = fn(&mut [f32], &[f32]);
type Map2 = fn(&mut [f32], &[f32], &[f32]);
type Map3Into2 = fn(&mut [f32], &mut [f32], &[f32], &[f32], &[f32]);

simd! {
    fn swiglu_out(out: &mut [f32], gate: &[f32], up: &[f32]) {
        for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate * sigmoid(gate) * up;
        }
    }
}

simd! {
    fn swiglu_grad(d_gate: &mut [f32], d_up: &mut [f32], grad: &[f32], gate: &[f32], up: &[f32]) {
        for ((((d_gate, d_up), &grad), &gate), &up) in d_gate.iter_mut().zip(d_up).zip(grad).zip(gate).zip(up) {
            let s = sigmoid(gate);
            *d_gate = grad * up * s * (1.0 - s).mul_add(gate, 1.0);
            *d_up = grad * gate * s;
        }
    }
}

simd! {
    fn gelu_tanh_out(out: &mut [f32], x: &[f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x * sigmoid(TWICE_ROOT * x * (CUBIC * x).mul_add(x, 1.0));
        }
    }
}

simd! {
    fn gelu_tanh_grad(out: &mut [f32], grad: &[f32], x: &[f32]) {
        for ((out, &grad), &x) in out.iter_mut().zip(grad).zip(x) {
            let s = sigmoid(TWICE_ROOT * x * (CUBIC * x).mul_add(x, 1.0));
            let slope = TWICE_ROOT * (3.0 * CUBIC * x).mul_add(x, 1.0);
            *out = grad * s * (x * slope).mul_add(1.0 - s, 1.0);
        }
    }
}

simd! {
    fn gelu_erf_out(out: &mut [f32], x: &[f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

simd! {
    fn gelu_erf_grad(out: &mut [f32], grad: &[f32], x: &[f32]) {
        const DENSITY: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
        for ((out, &grad), &x) in out.iter_mut().zip(grad).zip(x) {
            let below = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
            *out = grad * (x * DENSITY).mul_add(exp(-0.5 * x * x), below);
        }
    }
}

fn map1(x: FlexTensor, f: Map1) -> FlexTensor {
    let x = dense(x);
    let mut out = Fresh::new(elements(&x).len());
    let inputs = elements(&x).par_chunks(CHUNK);
    each(out.pieces(CHUNK).zip(inputs), |(out, x)| f(out, x));
    tensor(out.finish(), x.layout().shape())
}

fn map2(a: FlexTensor, b: FlexTensor, f: Map2) -> FlexTensor {
    let (a, b) = (dense(a), dense(b));
    let mut out = Fresh::new(elements(&a).len());
    let inputs = elements(&a).par_chunks(CHUNK).zip(elements(&b).par_chunks(CHUNK));
    each(out.pieces(CHUNK).zip(inputs), |(out, (a, b))| f(out, a, b));
    tensor(out.finish(), a.layout().shape())
}

fn map3_into2(a: FlexTensor, b: FlexTensor, c: FlexTensor, f: Map3Into2) -> (FlexTensor, FlexTensor) {
    let (a, b, c) = (dense(a), dense(b), dense(c));
    let count = elements(&a).len();
    let (mut first, mut second) = (Fresh::new(count), Fresh::new(count));
    let inputs = elements(&a)
        .par_chunks(CHUNK)
        .zip(elements(&b).par_chunks(CHUNK))
        .zip(elements(&c).par_chunks(CHUNK));
    let outputs = first.pieces(CHUNK).zip(second.pieces(CHUNK));
    each(outputs.zip(inputs), |((first, second), ((a, b), c))| {
        f(first, second, a, b, c)
    });
    (
        tensor(first.finish(), a.layout().shape()),
        tensor(second.finish(), a.layout().shape()),
    )
}

/// `silu(gate) * up`.
pub(crate) fn swiglu(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
    map2(gate, up, swiglu_out)
}

/// Gradients of gate and up.
pub(crate) fn swiglu_backward(grad: FlexTensor, gate: FlexTensor, up: FlexTensor) -> (FlexTensor, FlexTensor) {
    map3_into2(grad, gate, up, swiglu_grad)
}

/// GELU with the tanh approximation.
pub(crate) fn gelu_tanh(x: FlexTensor) -> FlexTensor {
    map1(x, gelu_tanh_out)
}

/// Gradient of x.
pub(crate) fn gelu_tanh_backward(grad: FlexTensor, x: FlexTensor) -> FlexTensor {
    map2(grad, x, gelu_tanh_grad)
}

/// GELU by the error function.
pub(crate) fn gelu_erf(x: FlexTensor) -> FlexTensor {
    map1(x, gelu_erf_out)
}

/// Gradient of x.
pub(crate) fn gelu_erf_backward(grad: FlexTensor, x: FlexTensor) -> FlexTensor {
    map2(grad, x, gelu_erf_grad)
}
