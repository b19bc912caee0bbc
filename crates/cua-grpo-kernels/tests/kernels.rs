//! Every fused operation against its reference body: values and gradients, odd sizes, strided inputs, constants.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

use burn::tensor::{Device, Tensor, TensorData};
use cua_grpo_kernels as fused;
use cua_grpo_kernels::{Mask, reference};

/// SplitMix64, as numbers in -2..2.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 22) as f32 - 2.0
    }

    fn tensor<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| self.next()).collect();
        Tensor::from_data(TensorData::new(data, shape), device)
    }
}

/// The devices that the fused bodies serve.
fn plain() -> Device {
    Device::flex()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// Compares against the largest expected value, so that a zero among large numbers is no trap.
fn close(name: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{name}: length");
    let scale = expected.iter().fold(1.0f32, |scale, value| scale.max(value.abs()));
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs() / scale;
        assert!(
            error <= tolerance,
            "{name}[{index}]: got {got}, expected {expected}, relative error {error:e}"
        );
    }
}

/// Values and gradients of `f` at `inputs`, of which those that are `tracked` need gradients.
fn run<const D: usize, const N: usize>(
    inputs: &[Tensor<D>; N],
    tracked: [bool; N],
    weights: u64,
    f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    let mut index = 0;
    let leaves = inputs.clone().map(|input| {
        index += 1;
        let lifted: Tensor<D> = Tensor::from_data(input.into_data(), &plain().autodiff());
        if tracked[index - 1] {
            lifted.require_grad()
        } else {
            lifted.without_autodiff()
        }
    });
    let out = f(leaves.clone());
    let pull = Numbers(weights).tensor(out.dims(), &plain());
    let grads = tracked
        .iter()
        .any(|&tracked| tracked)
        .then(|| (out.clone() * pull).sum().backward());
    let gradients = leaves.iter().zip(tracked).map(|(leaf, tracked)| {
        tracked.then(|| {
            values(
                leaf.grad(grads.as_ref().unwrap())
                    .expect("a tracked input has a gradient"),
            )
        })
    });
    let gradients = gradients.collect();
    (values(out), gradients)
}

/// Checks `f` against `g`: on plain tensors, and on autodiff with each combination of tracked inputs.
fn compare<const D: usize, const N: usize>(
    name: &str,
    inputs: [Tensor<D>; N],
    f: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
    g: &dyn Fn([Tensor<D>; N]) -> Tensor<D>,
) {
    close(name, &values(f(inputs.clone())), &values(g(inputs.clone())), 1e-5);
    for mask in 1u32..1 << N {
        let tracked = std::array::from_fn(|index| mask >> index & 1 == 1);
        let (out, gradients) = run(&inputs, tracked, 7, f);
        let (expected, expected_gradients) = run(&inputs, tracked, 7, g);
        close(name, &out, &expected, 1e-5);
        for (index, (got, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
            if let (Some(got), Some(expected)) = (got, expected) {
                close(&format!("{name}, gradient {index} of {tracked:?}"), got, expected, 1e-4);
            }
        }
    }
}

#[test]
fn activations() {
    for (seed, shape) in [(1, [1, 1]), (2, [3, 17]), (3, [129, 257])] {
        let mut numbers = Numbers(seed);
        let mut wide = || numbers.tensor::<2>(shape, &plain()) * 3.0;
        compare("swiglu", [wide(), wide()], &|[g, u]| fused::swiglu(g, u), &|[g, u]| {
            reference::swiglu(g, u)
        });
        compare("gelu_tanh", [wide()], &|[x]| fused::gelu_tanh(x), &|[x]| {
            reference::gelu_tanh(x)
        });
        compare("gelu_erf", [wide()], &|[x]| fused::gelu_erf(x), &|[x]| {
            reference::gelu_erf(x)
        });
    }
}

#[test]
fn activations_of_views() {
    let mut numbers = Numbers(4);
    let inputs = [
        numbers.tensor::<2>([33, 40], &plain()),
        numbers.tensor([33, 40], &plain()),
    ];
    let view = |x: Tensor<2>| x.narrow(1, 3, 21).swap_dims(0, 1);
    compare(
        "swiglu of views",
        inputs,
        &move |[g, u]| fused::swiglu(view(g), view(u)),
        &move |[g, u]| reference::swiglu(view(g), view(u)),
    );
}

#[test]
fn activations_saturate() {
    let x = Tensor::<1>::from_floats([-1e4, -100.0, -30.0, 0.0, 30.0, 100.0, 1e4], &plain());
    let expected = [0.0, 0.0, 0.0, 0.0, 30.0, 100.0, 1e4];
    for out in [
        fused::gelu_tanh(x.clone()),
        fused::gelu_erf(x.clone()),
        fused::swiglu(x.clone(), x.ones_like()),
    ] {
        let out = values(out);
        for (out, expected) in out.iter().zip(expected) {
            assert!((out - expected).abs() < 1e-6, "got {out}, expected {expected}");
        }
    }
    let nan = Tensor::<1>::from_floats([f32::NAN], &plain());
    assert!(values(fused::gelu_tanh(nan)).iter().all(|value| value.is_nan()));
}

#[test]
fn norms() {
    for (seed, [rows, width]) in [(1, [1, 1]), (2, [5, 7]), (3, [600, 33]), (4, [300, 128])] {
        let mut numbers = Numbers(seed);
        // Two axes for all, so that one helper serves: the vectors are rows that are flattened inside.
        let inputs: [Tensor<2>; 3] = [
            numbers.tensor([rows, width], &plain()) + 0.5,
            numbers.tensor([1, width], &plain()),
            numbers.tensor([1, width], &plain()),
        ];
        let flat = |vector: Tensor<2>| vector.flatten::<1>(0, 1);
        let [x, w, _] = inputs.clone();
        compare(
            "rms_norm",
            [x, w],
            &move |[x, w]| fused::rms_norm(x, flat(w), 1e-6),
            &move |[x, w]| reference::rms_norm(x, flat(w), 1e-6),
        );
        if width == 1 {
            continue; // a single element has no deviation: both sides are only rounding
        }
        compare(
            "layer_norm",
            inputs,
            &move |[x, w, b]| fused::layer_norm(x, flat(w), flat(b), 1e-6),
            &move |[x, w, b]| reference::layer_norm(x, flat(w), flat(b), 1e-6),
        );
    }
}

#[test]
fn linear_maps() {
    for (seed, [rows, depth, width, rank]) in [
        (1, [1, 1, 1, 1]),
        (2, [3, 7, 5, 2]),
        (3, [300, 33, 65, 4]),
        (4, [128, 24, 16, 8]),
    ] {
        let mut numbers = Numbers(seed);
        let mut make = |shape: [usize; 2]| numbers.tensor::<2>(shape, &plain());
        let [x, w, bias] = [make([rows, depth]), make([width, depth]), make([1, width])];
        let (a, b) = (make([rank, depth]), make([width, rank]));
        let flat = |vector: Tensor<2>| Some(vector.flatten::<1>(0, 1));
        compare(
            "linear",
            [x.clone(), w.clone()],
            &|[x, w]| fused::linear(x, w, None),
            &|[x, w]| reference::linear(x, w, None),
        );
        compare(
            "linear with bias",
            [x.clone(), w.clone(), bias.clone()],
            &move |[x, w, bias]| fused::linear(x, w, flat(bias)),
            &move |[x, w, bias]| reference::linear(x, w, flat(bias)),
        );
        compare(
            "low-rank update",
            [x.clone(), w.clone(), a.clone(), b.clone()],
            &|[x, w, a, b]| fused::linear_lora(x, w, None, (a, b), 0.5),
            &|[x, w, a, b]| reference::linear_lora(x, w, None, (a, b), 0.5),
        );
        compare(
            "low-rank update with bias",
            [x.swap_dims(0, 1), w.swap_dims(0, 1), bias, a, b],
            &move |[x, w, bias, a, b]| {
                fused::linear_lora(x.swap_dims(0, 1), w.swap_dims(0, 1), flat(bias), (a, b), 2.0)
            },
            &move |[x, w, bias, a, b]| {
                reference::linear_lora(x.swap_dims(0, 1), w.swap_dims(0, 1), flat(bias), (a, b), 2.0)
            },
        );
    }
}

#[test]
fn rotations() {
    for (seed, [batch, heads, time, dim], rows) in [(1, [1, 1, 1, 2], 1), (2, [3, 2, 5, 6], 1), (3, [2, 3, 70, 24], 2)]
    {
        let mut numbers = Numbers(seed);
        let half = |numbers: &mut Numbers| {
            let half = numbers.tensor::<4>([rows, 1, time, dim / 2], &plain());
            Tensor::cat(vec![half.clone(), half], 3)
        };
        let (cos, sin) = (half(&mut numbers), half(&mut numbers));
        let by_head: Tensor<4> = numbers.tensor([batch, heads, time, dim], &plain());
        let (c, s) = (cos.clone(), sin.clone());
        compare(
            "rotate by head",
            [by_head],
            &move |[x]| fused::rotate(x, c.clone(), s.clone()),
            &{
                let (cos, sin) = (cos.clone(), sin.clone());
                move |[x]| reference::rotate(x, cos.clone(), sin.clone())
            },
        );
        // Lies by time, inside a wider tensor.
        let by_time: Tensor<4> = numbers.tensor([batch, time, 2 * heads, dim], &plain());
        let view = move |x: Tensor<4>| x.swap_dims(1, 2).narrow(1, heads / 2, heads);
        let (c, s) = (cos.clone(), sin.clone());
        compare(
            "rotate by time",
            [by_time],
            &move |[x]| fused::rotate(view(x), c.clone(), s.clone()),
            &move |[x]| reference::rotate(view(x), cos.clone(), sin.clone()),
        );
    }
}

#[test]
fn attentions() {
    // batch, heads, kv_heads, queries, keys, head_dim
    for (seed, [batch, heads, kv_heads, time, keys, dim]) in [
        (1, [1, 1, 1, 1, 1, 1]),
        (2, [2, 4, 2, 7, 7, 5]),
        (3, [1, 3, 1, 65, 65, 8]),
        (4, [2, 2, 2, 130, 33, 24]),
        (5, [1, 4, 4, 200, 200, 24]),
    ] {
        let mut numbers = Numbers(seed);
        let q = numbers.tensor::<4>([batch, heads, time, dim], &plain());
        let k = numbers.tensor([batch, kv_heads, keys, dim], &plain());
        let v = numbers.tensor([batch, kv_heads, keys, dim], &plain());
        let masks = if time == keys {
            vec![Mask::All, Mask::Causal]
        } else {
            vec![Mask::All]
        };
        for mask in masks {
            let expected = mask.clone();
            compare(
                &format!("attention {seed} {mask:?}"),
                [q.clone(), k.clone(), v.clone()],
                &move |[q, k, v]| fused::attention(q, vec![(k, v)], &mask),
                &move |[q, k, v]| reference::attention(q, vec![(k, v)], &expected),
            );
        }
    }
}

#[test]
fn attention_of_split_heads() {
    // As the vision tower calls it: three views of one product, joined afterwards.
    let joined: Tensor<4> = Numbers(6).tensor([2, 70, 3 * 2, 12], &plain());
    let split = |x: Tensor<4>| {
        let x = x.swap_dims(1, 2);
        [0, 2, 4].map(|start| x.clone().narrow(1, start, 2))
    };
    compare(
        "attention of views",
        [joined],
        &move |[x]| {
            let [q, k, v] = split(x);
            fused::attention(q, vec![(k, v)], &Mask::All).swap_dims(1, 2)
        },
        &move |[x]| {
            let [q, k, v] = split(x);
            reference::attention(q, vec![(k, v)], &Mask::All).swap_dims(1, 2)
        },
    );
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let mut numbers = Numbers(8);
    let [q, k, v] = [(); 3].map(|()| numbers.tensor::<4>([3, 2, 90, 24], &plain()));
    let batched = fused::attention(q.clone(), vec![(k.clone(), v.clone())], &Mask::Causal);
    for row in 0..3 {
        let one = |x: &Tensor<4>| x.clone().narrow(0, row, 1);
        let single = fused::attention(one(&q), vec![(one(&k), one(&v))], &Mask::Causal);
        assert_eq!(values(single), values(one(&batched)), "row {row}");
    }
}

#[test]
fn what_causal_attention_hides_does_not_matter() {
    let mut numbers = Numbers(9);
    let [q, k, v] = [(); 3].map(|()| numbers.tensor::<4>([1, 2, 100, 16], &plain()));
    let full = fused::attention(q.clone(), vec![(k.clone(), v.clone())], &Mask::Causal);
    let first = |x: &Tensor<4>| x.clone().narrow(2, 0, 70);
    let short = fused::attention(first(&q), vec![(first(&k), first(&v))], &Mask::Causal);
    close("first 70 queries", &values(short), &values(first(&full)), 1e-6);
}

#[test]
fn gradients_repeat_bitwise() {
    let mut numbers = Numbers(10);
    let inputs = [(); 3].map(|()| numbers.tensor::<4>([2, 4, 130, 24], &plain()));
    let attend = |[q, k, v]: [Tensor<4>; 3]| fused::attention(q, vec![(k, v)], &Mask::Causal);
    let first = run(&inputs, [true; 3], 3, &attend);
    for _ in 0..5 {
        assert_eq!(run(&inputs, [true; 3], 3, &attend), first);
    }
    let x = numbers.tensor::<2>([3000, 40], &plain());
    let w = numbers.tensor::<2>([1, 40], &plain());
    let norm = |[x, w]: [Tensor<2>; 2]| fused::rms_norm(x, w.flatten(0, 1), 1e-6);
    let first = run(&[x.clone(), w.clone()], [true; 2], 3, &norm);
    assert_eq!(run(&[x, w], [true; 2], 3, &norm), first);
}
