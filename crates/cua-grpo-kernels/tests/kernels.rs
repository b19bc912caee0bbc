//! Every fused operation against its reference body: values and gradients, odd sizes, strided inputs, constants.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

mod common;

use burn::tensor::{Int, Tensor, activation};
use common::*;
use cua_grpo_kernels as fused;
use cua_grpo_kernels::{Mask, reference};

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
            &|[x, w]| fused::linear(x, &w.into(), None, None),
            &|[x, w]| reference::linear(x, &w.into(), None, None),
        );
        compare(
            "linear with bias",
            [x.clone(), w.clone(), bias.clone()],
            &move |[x, w, bias]| fused::linear(x, &w.into(), flat(bias), None),
            &move |[x, w, bias]| reference::linear(x, &w.into(), flat(bias), None),
        );
        compare(
            "low-rank update",
            [x.clone(), w.clone(), a.clone(), b.clone()],
            &|[x, w, a, b]| fused::linear(x, &w.into(), None, Some(&lora(a, b, 0.5))),
            &|[x, w, a, b]| reference::linear(x, &w.into(), None, Some(&lora(a, b, 0.5))),
        );
        compare(
            "low-rank update with bias",
            [x.swap_dims(0, 1), w.swap_dims(0, 1), bias, a, b],
            &move |[x, w, bias, a, b]| {
                let w = w.swap_dims(0, 1).into();
                fused::linear(x.swap_dims(0, 1), &w, flat(bias), Some(&lora(a, b, 2.0)))
            },
            &move |[x, w, bias, a, b]| {
                let w = w.swap_dims(0, 1).into();
                reference::linear(x.swap_dims(0, 1), &w, flat(bias), Some(&lora(a, b, 2.0)))
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
fn attention_within_segments() {
    for (seed, lengths) in [(1, vec![5]), (2, vec![7, 7, 1, 0, 30]), (3, vec![1, 1, 64])] {
        let (mut numbers, total) = (Numbers(seed), lengths.iter().sum());
        let q = numbers.tensor::<4>([1, 4, total, 8], &plain());
        let k = numbers.tensor([1, 2, total, 8], &plain());
        let v = numbers.tensor([1, 2, total, 8], &plain());
        let (mask, expected) = (Mask::Segments(lengths.clone()), Mask::Segments(lengths));
        compare(
            &format!("attention {mask:?}"),
            [q, k, v],
            &move |[q, k, v]| fused::attention(q, vec![(k, v)], &mask),
            &move |[q, k, v]| reference::attention(q, vec![(k, v)], &expected),
        );
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
fn a_row_of_a_linear_map_does_not_depend_on_the_rows_beside_it() {
    const MANY: usize = 200;
    let mut numbers = Numbers(11);
    for (width, depth, rank) in [
        (128, 128, 16),
        (256, 128, 8),
        (2050, 96, 4),
        (33, 70, 4),
        (16, 512, 16),
        (16, 1300, 16),
        (300, 1300, 8),
        (3, 5, 2),
    ] {
        let x = numbers.tensor::<2>([MANY, depth], &plain());
        let weight = numbers.tensor::<2>([width, depth], &plain()).into();
        let bias = numbers.tensor::<1>([width], &plain());
        let pair = lora(
            numbers.tensor([rank, depth], &plain()),
            numbers.tensor([width, rank], &plain()),
            0.5,
        );
        for (bias, pair) in [
            (None, None),
            (Some(&bias), None),
            (None, Some(&pair)),
            (Some(&bias), Some(&pair)),
        ] {
            let map = |x: Tensor<2>| values(fused::linear(x, &weight, bias.cloned(), pair));
            let all = map(x.clone());
            for count in (1..40).chain([63, 64, 65, 66, 79, 80, 81, 127, 129, 193]) {
                let start = MANY - count;
                let some = map(x.clone().narrow(0, start, count));
                assert_eq!(
                    some,
                    all[start * width..],
                    "{count} rows of {width} x {depth}, rank {rank}"
                );
            }
        }
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

#[test]
fn token_scores_follow_from_the_distributions() {
    let targets = || Tensor::<1, Int>::from_ints([0, 6, 3, 3, 1, 69, 12], &plain());
    for (temperature, chunk_rows) in [(1.0, 3), (0.7, 64)] {
        let mut numbers = Numbers(12);
        let inputs = [
            numbers.tensor::<2>([7, 40], &plain()),
            numbers.tensor([70, 40], &plain()),
        ];
        compare(
            &format!("log-probs at {temperature}"),
            inputs.clone(),
            &|[x, w]| {
                fused::token_scores(x, w, targets(), temperature, chunk_rows)
                    .logprobs
                    .unsqueeze_dim(1)
            },
            &|[x, w]| {
                let table = activation::log_softmax(x.matmul(w.transpose()) / temperature, 1);
                table.gather(1, targets().unsqueeze_dim(1))
            },
        );
        let [x, w] = inputs;
        let got = fused::token_scores(x.clone(), w.clone(), targets(), temperature, chunk_rows);
        let want = fused::token_scores_with_entropy(x, w, targets(), temperature, chunk_rows);
        close("entropies", &values(got.entropies), &values(want.entropies), 1e-5);
        assert_eq!(
            values(got.logprobs),
            values(want.logprobs),
            "the sampler's, to the last bit"
        );
    }
}
