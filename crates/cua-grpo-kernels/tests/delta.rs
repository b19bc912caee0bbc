//! The delta rule token by token against the same by chunks: values, gradients, padding, states that are carried on, and
//! inputs that are hard to compute with.
//!
//! Mistakes that were made on purpose are listed beside the model's golden test (`qwen35.rs`); here padding that decays the
//! state, a gradient that does not cross chunks, and value heads that take their keys in turn fail.
#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::{Tensor, TensorData, activation};
use common::*;
use cua_grpo_kernels::{DeltaInput, causal_convolution, delta_rule, reference};

/// Batch, tokens, key heads, width of a key, value heads, width of a value.
type Sizes = [usize; 6];

/// Queries, keys, values, decays, shares and state, all of four axes.
fn inputs([batch, time, key_heads, key_dim, heads, width]: Sizes, seed: u64) -> [Tensor<4>; 6] {
    let mut numbers = Numbers(seed);
    let mut random = |shape: [usize; 4]| numbers.tensor::<4>(shape, &plain());
    [
        random([batch, time, key_heads, key_dim]),
        random([batch, time, key_heads, key_dim]),
        random([batch, time, heads, width]),
        random([batch, time, heads, 1]),
        random([batch, time, heads, 1]),
        random([batch, heads, key_dim, width]),
    ]
}

fn input([q, k, v, g, beta, state]: [Tensor<4>; 6]) -> DeltaInput {
    let flat = |tensor: Tensor<4>| tensor.squeeze_dim::<3>(3);
    DeltaInput {
        q,
        k,
        v,
        // From decays that forget at once to such that hardly do.
        g: flat(activation::sigmoid(g * 3.0).log() * 4.0),
        beta: flat(activation::sigmoid(beta)),
        state,
    }
}

/// What is read and the state, as the operation has them.
fn joined(input: DeltaInput, lengths: &[usize]) -> Tensor<4> {
    let [batch, time, heads, width] = input.v.dims();
    let (read, state) = delta_rule(input, lengths);
    let read = read.reshape([batch, time, heads, width]).swap_dims(1, 2);
    Tensor::cat(vec![read, state], 2)
}

#[test]
fn tokens_one_by_one_equal_chunks_and_so_do_their_gradients() {
    for (seed, sizes, lengths) in [
        (1, [1, 1, 1, 3, 1, 2], vec![1]),
        (2, [2, 5, 2, 4, 2, 6], vec![5, 3]),
        (3, [3, 70, 2, 16, 6, 24], vec![70, 0, 64]),
        (4, [1, 131, 1, 8, 3, 5], vec![131]),
    ] {
        let all = inputs(sizes, seed);
        let fused = |all| joined(input(all), &lengths);
        let chunks = |all| reference::delta_rule(input(all), &lengths);
        close("plain", &values(fused(all.clone())), &values(chunks(all.clone())), 1e-5);
        let (got, gradients) = run(&all, [true; 6], 7, &fused);
        let (want, expected) = run(&all, [true; 6], 7, &chunks);
        close("tracked", &got, &want, 1e-5);
        for (index, (got, want)) in gradients.iter().zip(&expected).enumerate() {
            let name = format!("{sizes:?}, gradient {index}");
            close(&name, got.as_ref().unwrap(), want.as_ref().unwrap(), 1e-4);
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let all = inputs([1, 7, 1, 3, 2, 2], 5);
    let fused = |all| joined(input(all), &[7]);
    let (_, gradients) = run(&all, [true; 6], 9, &fused);
    let pull = values(Numbers(9).tensor::<4>([1, 2, 7 + 3, 2], &plain()));
    let sum = |all: [Tensor<4>; 6]| -> f64 {
        let out = values(fused(all));
        out.iter().zip(&pull).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    for (number, gradient) in gradients.iter().enumerate() {
        let gradient = gradient.as_ref().unwrap();
        let shape = all[number].dims();
        let base = values(all[number].clone());
        for at in 0..base.len() {
            let moved = |by: f32| {
                let mut moved = base.clone();
                moved[at] += by;
                let mut all = all.clone();
                all[number] = Tensor::from_data(TensorData::new(moved, shape), &plain());
                sum(all)
            };
            let slope = (moved(5e-3) - moved(-5e-3)) / 1e-2;
            let got = f64::from(gradient[at]);
            assert!(
                (slope - got).abs() < 5e-3 * got.abs().max(1.0),
                "operand {number}[{at}]: {got}, by difference {slope}"
            );
        }
    }
}

#[test]
fn a_state_is_carried_on_and_padding_leaves_it_alone() {
    let all = inputs([1, 90, 2, 4, 4, 6], 6);
    let whole = input(all.clone());
    let (read, state) = delta_rule(whole.clone(), &[90]);
    let piece = |start: usize, count: usize, state: Tensor<4>| DeltaInput {
        q: whole.q.clone().narrow(1, start, count),
        k: whole.k.clone().narrow(1, start, count),
        v: whole.v.clone().narrow(1, start, count),
        g: whole.g.clone().narrow(1, start, count),
        beta: whole.beta.clone().narrow(1, start, count),
        state,
    };
    let (mut reads, mut carried) = (Vec::new(), whole.state.clone());
    for (start, count) in [(0, 65), (65, 1), (66, 1), (67, 23)] {
        let (part, next) = delta_rule(piece(start, count, carried), &[count]);
        reads.push(part);
        carried = next;
    }
    assert_eq!(
        values(Tensor::cat(reads, 0)),
        values(read.clone()),
        "pieces equal the whole to the bit"
    );
    assert_eq!(values(carried), values(state));
    // The same tokens behind which there is padding.
    let (padded, state) = delta_rule(whole.clone(), &[65]);
    let (alone, expected) = delta_rule(piece(0, 65, whole.state.clone()), &[65]);
    assert_eq!(values(padded.narrow(0, 0, 65)), values(alone));
    assert_eq!(values(state), values(expected));
}

#[test]
fn equal_keys_and_full_shares_stay_finite_and_alike() {
    let [batch, time, dim, width] = [1, 192, 16, 8];
    let mut numbers = Numbers(8);
    let key = numbers.tensor::<4>([1, 1, 1, dim], &plain()).repeat_dim(1, time);
    let full = |value: f32| Tensor::<3>::full([batch, time, 1], value, &plain());
    let hard = |beta: f32, g: f32| DeltaInput {
        q: key.clone(),
        k: key.clone(),
        v: Numbers(9).tensor([batch, time, 1, width], &plain()),
        g: full(g),
        beta: full(beta),
        state: Tensor::zeros([batch, 1, dim, width], &plain()),
    };
    // Sums of decays of hundreds within a chunk, and a system that is far from the identity.
    for (beta, g) in [(0.99, 0.0), (0.99, -1e-4), (0.5, -20.0), (1.0, -300.0)] {
        let got = values(joined(hard(beta, g), &[time]));
        let want = values(reference::delta_rule(hard(beta, g), &[time]));
        assert!(want.iter().chain(&got).all(|value| value.is_finite()), "{beta} {g}");
        close(&format!("{beta} {g}"), &got, &want, 1e-5);
    }
}

#[test]
fn the_convolution_sees_the_past_and_the_token_itself_last() {
    let data =
        |values: &[f32], shape: [usize; 3]| Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), &plain());
    let x = data(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0], [1, 3, 2]);
    let window = data(&[0.5, 5.0, 0.25, 2.5], [1, 2, 2]);
    let weight = Tensor::<2>::from_data(TensorData::new(vec![100.0, 10.0, 1.0, 0.0, 0.0, 1.0], [2, 3]), &plain());
    let got = values(causal_convolution(x, window, weight));
    // Large numbers: silu of them is themselves.
    let want = [
        50.0 + 2.5 + 1.0,
        10.0,
        25.0 + 10.0 + 2.0,
        20.0,
        100.0 + 20.0 + 3.0,
        30.0,
    ];
    close("convolution", &got, &want, 1e-4);
}
