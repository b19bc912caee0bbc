//! Times of the fused operations beside their references, forward and backward, at the sizes of the starter model.
//!
//! By hand: `cargo test -p cua-grpo-kernels --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::type_complexity)]

use burn::tensor::{DType, Device, Distribution, Tensor};
use cua_grpo_kernels::{self as fused, Lora, Mask, Nf4, reference};
use std::time::Instant;

/// Best of some runs, in milliseconds: forward, then backward.
fn time<const D: usize, const N: usize>(
    inputs: &[Tensor<D>; N],
    f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
) -> (f64, f64) {
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..7 {
        let leaves = inputs.clone().map(|input| input.autodiff().require_grad());
        let start = Instant::now();
        let out = f(leaves);
        let forward = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let grads = out.sum().backward();
        best = (best.0.min(forward), best.1.min(start.elapsed().as_secs_f64() * 1e3));
        drop(grads);
    }
    best
}

fn row<const D: usize, const N: usize>(
    name: &str,
    shapes: [[usize; D]; N],
    f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
    g: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
) {
    let device = Device::flex();
    let inputs = shapes.map(|shape| Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), &device));
    let (before, after) = (time(&inputs, g), time(&inputs, f));
    println!(
        "{name:<28} forward {:>7.2} -> {:>6.2} ms, backward {:>7.2} -> {:>6.2} ms",
        before.0, after.0, before.1, after.1
    );
}

#[test]
#[ignore = "measures time"]
fn operations() {
    let flat = |x: Tensor<2>| x.flatten::<1>(0, 1);
    let lora = |a, b| Lora { a, b, scaling: 2.0 };
    let (rows, patches) = (6000, 4608);
    row(
        "swiglu 6000x384",
        [[rows, 384]; 2],
        &|[g, u]| fused::swiglu(g, u),
        &|[g, u]| reference::swiglu(g, u),
    );
    row(
        "gelu_tanh 4608x256",
        [[patches, 256]],
        &|[x]| fused::gelu_tanh(x),
        &|[x]| reference::gelu_tanh(x),
    );
    row("gelu_erf 1152x384", [[1152, 384]], &|[x]| fused::gelu_erf(x), &|[x]| {
        reference::gelu_erf(x)
    });
    row(
        "rms_norm 6000x128",
        [[rows, 128], [1, 128]],
        &|[x, w]| fused::rms_norm(x, flat(w), 1e-6),
        &|[x, w]| reference::rms_norm(x, flat(w), 1e-6),
    );
    row(
        "layer_norm 4608x96",
        [[patches, 96], [1, 96], [1, 96]],
        &|[x, w, b]| fused::layer_norm(x, flat(w), flat(b), 1e-6),
        &|[x, w, b]| reference::layer_norm(x, flat(w), flat(b), 1e-6),
    );
    let table = || Tensor::<4>::ones([1, 1, 376, 32], &Device::flex());
    row(
        "rotate 16x4x376x32",
        [[16, 4, 376, 32]],
        &|[x]| fused::rotate(x, table(), table()),
        &|[x]| reference::rotate(x, table(), table()),
    );
    row(
        "attention 16x4x288x24",
        [[16, 4, 288, 24]; 3],
        &|[q, k, v]| fused::attention(q, vec![(k, v)], &Mask::All),
        &|[q, k, v]| reference::attention(q, vec![(k, v)], &Mask::All),
    );
    row(
        "causal attention 16x4/2x376x32",
        [[16, 4, 376, 32], [16, 2, 376, 32], [16, 2, 376, 32]],
        &|[q, k, v]| fused::attention(q, vec![(k, v)], &Mask::Causal),
        &|[q, k, v]| reference::attention(q, vec![(k, v)], &Mask::Causal),
    );
    row(
        "linear 4608x96 to 288",
        [[patches, 96], [288, 96], [1, 288]],
        &|[x, w, b]| fused::linear(x, &w.into(), Some(flat(b)), None),
        &|[x, w, b]| reference::linear(x, &w.into(), Some(flat(b)), None),
    );
    row(
        "linear_lora 6000x128 to 384",
        [[rows, 128], [384, 128], [16, 128], [384, 16]],
        &|[x, w, a, b]| fused::linear(x, &w.into(), None, Some(&lora(a, b))),
        &|[x, w, a, b]| reference::linear(x, &w.into(), None, Some(&lora(a, b))),
    );
}

/// Linear maps by how their weight is stored, at a size of the 2B model: one conversation, a few, and training.
#[test]
#[ignore = "measures time"]
fn stored_weights() {
    let (depth, width) = (2048, 6144);
    let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
    let weight = random([width, depth]);
    let narrow = weight.clone().cast(DType::BF16);
    let values = weight.clone().into_data().try_into_vec::<f32>().unwrap();
    let four_bits = Nf4::quantise(&values, [width, depth], false, &Device::flex()).unwrap();
    let (weight, narrow, four_bits) = (weight.into(), narrow.into(), four_bits.into());
    for rows in [1, 8, 64, 1024] {
        let x = [random([rows, depth])];
        let ways: [(&str, &dyn Fn([Tensor<2>; 1]) -> Tensor<2>); 3] = [
            ("f32", &|[x]| fused::linear(x, &weight, None, None)),
            ("bf16", &|[x]| fused::linear(x, &narrow, None, None)),
            ("nf4", &|[x]| fused::linear(x, &four_bits, None, None)),
        ];
        for (name, way) in ways {
            let (forward, backward) = time(&x, way);
            println!("{rows:>5} rows, {name:<5} forward {forward:>8.2} ms, backward {backward:>8.2} ms");
        }
    }
}
