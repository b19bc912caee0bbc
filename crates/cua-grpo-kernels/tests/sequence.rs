//! Attention over caches gives what attention without a cache gives, bit by bit, however the tokens are fed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use burn::tensor::Tensor;
use common::{Numbers, plain};
use cua_grpo_kernels::{KeyValues, Mask, attention, attention_cached, host};

fn random(numbers: &mut Numbers, shape: [usize; 4]) -> Tensor<4> {
    numbers.tensor(shape, &plain())
}

/// Tokens `start..end` of the rows `rows`.
fn part(tensor: &Tensor<4>, rows: std::ops::Range<usize>, start: usize, end: usize) -> Tensor<4> {
    let count = rows.len();
    tensor
        .clone()
        .narrow(0, rows.start, count)
        .narrow(2, start, end - start)
}

fn bits(tensor: Tensor<4>) -> Vec<u32> {
    host(tensor).into_iter().map(f32::to_bits).collect()
}

/// Heads, key-value heads, width of a head, tokens: below and above the pieces that values are summed in.
const SIZES: [(usize, usize, usize, usize); 4] = [(4, 2, 16, 70), (4, 1, 32, 300), (2, 2, 64, 530), (4, 2, 128, 600)];

#[test]
fn a_token_gets_the_same_in_a_decoder_as_in_training() {
    for (seed, (heads, kv_heads, dim, time)) in (1..).zip(SIZES) {
        let mut numbers = Numbers(seed);
        let q = random(&mut numbers, [1, heads, time, dim]);
        let [k, v] = [(); 2].map(|()| random(&mut numbers, [1, kv_heads, time, dim]));
        let whole = attention(q.clone(), vec![(k.clone(), v.clone())], &Mask::Causal);
        let mut cache = KeyValues::default();
        let mut start = 0;
        // A prompt, single tokens, a turn of some more, single tokens to the end.
        let lengths = [40, 1, 1, 9, 1].into_iter().chain(std::iter::repeat(1));
        for length in lengths {
            if start == time {
                break;
            }
            let [q, k, v] = [&q, &k, &v].map(|all| part(all, 0..1, start, start + length));
            let got = attention_cached(q, [k, v], &[length], &mut [&mut cache]);
            let want = part(&whole, 0..1, start, start + length);
            assert!(bits(got) == bits(want), "{heads} {kv_heads} {dim}, tokens from {start}");
            start += length;
        }
        assert_eq!(cache.len(), time);
    }
}

#[test]
fn rows_do_not_see_each_other_nor_padding() {
    let mut numbers = Numbers(7);
    let (heads, kv_heads, dim) = (4, 2, 32);
    let lengths = [[30, 80, 3], [1, 1, 0], [5, 0, 70]];
    let mut caches = [(); 3].map(|()| KeyValues::default());
    let mut alone = caches.clone();
    for lengths in lengths {
        let time = lengths.into_iter().max().unwrap();
        let q = random(&mut numbers, [3, heads, time, dim]);
        let [k, v] = [(); 2].map(|()| random(&mut numbers, [3, kv_heads, time, dim]));
        let mut all: Vec<&mut KeyValues> = caches.iter_mut().collect();
        let got = attention_cached(q.clone(), [k.clone(), v.clone()], &lengths, &mut all);
        for (row, length) in lengths.into_iter().enumerate() {
            if length == 0 {
                continue;
            }
            let [q, k, v] = [&q, &k, &v].map(|all| part(all, row..row + 1, 0, length));
            let want = attention_cached(q, [k, v], &[length], &mut [&mut alone[row]]);
            assert_eq!(bits(part(&got, row..row + 1, 0, length)), bits(want), "row {row}");
            if length < time {
                let padding = bits(part(&got, row..row + 1, length, time));
                assert!(padding.iter().all(|&bits| bits == 0), "row {row}");
            }
        }
    }
    assert_eq!(caches, alone);
}

#[test]
fn a_sequence_goes_on_from_a_beginning_that_it_took_over() {
    let mut numbers = Numbers(8);
    let q = random(&mut numbers, [1, 2, 12, 16]);
    let [k, v] = [(); 2].map(|()| random(&mut numbers, [1, 2, 12, 16]));
    let mut whole = KeyValues::default();
    let want = attention_cached(q.clone(), [k.clone(), v.clone()], &[12], &mut [&mut whole]);
    let mut begun = whole.first(5);
    assert_eq!(
        (begun.len(), begun.is_empty(), KeyValues::default().is_empty()),
        (5, false, true)
    );
    let [q, k, v] = [&q, &k, &v].map(|all| part(all, 0..1, 5, 12));
    let got = attention_cached(q, [k, v], &[7], &mut [&mut begun]);
    assert_eq!(bits(got), bits(part(&want, 0..1, 5, 12)));
    assert_eq!(begun, whole);
}
