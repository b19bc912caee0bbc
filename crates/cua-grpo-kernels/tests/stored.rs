//! Weights that are stored narrow (bf16, NF4): the fused linear maps against dense ones with the widened weight, and
//! quantisation against its definition.
//!
//! Mistakes that were made on purpose, one at a time, to see a test of this file fail: nibbles exchanged; the scale of
//! the next block; the last odd element dropped; columns of a panel taken from the first on; bias omitted, or that of
//! the first panel everywhere; B of the first panel everywhere; the low-rank part of the input's gradient omitted;
//! gradients given to the inputs one further; the gradient of a bf16 weight left in f32; the odd nibble not the code
//! of 0; scales in blocks of 64 rather than 256.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

mod common;

use burn::tensor::{DType, Int, Tensor, TensorData};
use common::*;
use cua_grpo_kernels::{self as fused, BLOCK, CODE, Nf4, Nf4Error, Weight, reference};

/// Rows, width in, width out, rank: cut bytes and blocks, several panels (small ones up to 63 rows), one element.
const SIZES: [[usize; 4]; 8] = [
    [1, 1, 1, 1],
    [3, 7, 5, 2],
    [2, 37, 7, 3],
    [300, 33, 65, 4],
    [70, 131, 97, 4],
    [5, 192, 80, 4],
    [2, 701, 299, 3],
    [70, 260, 330, 8],
];

fn flat(vector: Tensor<2>) -> Option<Tensor<1>> {
    Some(vector.flatten::<1>(0, 1))
}

/// The matrix that an NF4 weight stands for, element by element.
fn by_definition(weight: &Nf4) -> Tensor<2> {
    let codes = weight.codes.clone().into_data().try_into_vec::<u8>().unwrap();
    let absmax = values(weight.absmax.clone());
    let element = |index: usize| {
        let byte = codes[index / 2];
        let code = if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
        CODE[usize::from(code)] * absmax[index / BLOCK]
    };
    let [out, width] = weight.shape;
    let data: Vec<f32> = (0..out * width).map(element).collect();
    Tensor::from_data(TensorData::new(data, weight.shape), &plain())
}

#[test]
fn four_bit_maps_equal_dense_ones() {
    for (seed, [rows, depth, width, rank]) in SIZES.into_iter().enumerate() {
        let mut numbers = Numbers(seed as u64 + 20);
        let mut make = |shape: [usize; 2]| numbers.tensor::<2>(shape, &plain());
        let (x, weight, bias) = (make([rows, depth]), make([width, depth]), make([1, width]));
        let (a, b) = (make([rank, depth]), make([width, rank]));
        let weight = &Nf4::quantise(&values(weight), [width, depth], seed % 2 == 1, &plain()).unwrap();
        let dense = by_definition(weight);
        assert_eq!(values(weight.dequantise()), values(dense.clone()), "{seed}: dequantise");
        let (weight, dense) = (&Weight::from(weight.clone()), &Weight::from(dense));
        compare(
            "nf4",
            [x.clone()],
            &|[x]| fused::linear(x, weight, None, None),
            &|[x]| reference::linear(x, dense, None, None),
        );
        compare(
            "nf4 with bias",
            [x.clone(), bias.clone()],
            &|[x, bias]| fused::linear(x, weight, flat(bias), None),
            &|[x, bias]| reference::linear(x, dense, flat(bias), None),
        );
        compare(
            "nf4 with update",
            [x.clone(), a.clone(), b.clone()],
            &|[x, a, b]| fused::linear(x, weight, None, Some(&lora(a, b, 0.5))),
            &|[x, a, b]| reference::linear(x, dense, None, Some(&lora(a, b, 0.5))),
        );
        compare(
            "nf4 with bias and update, strided input",
            [x.swap_dims(0, 1), bias, a, b],
            &|[x, bias, a, b]| fused::linear(x.swap_dims(0, 1), weight, flat(bias), Some(&lora(a, b, 2.0))),
            &|[x, bias, a, b]| reference::linear(x.swap_dims(0, 1), dense, flat(bias), Some(&lora(a, b, 2.0))),
        );
    }
}

#[test]
fn the_reference_body_of_four_bit_maps_equals_dense_ones() {
    let mut numbers = Numbers(5);
    let [x, weight, bias] = [[3, 37], [7, 37], [1, 7]].map(|shape| numbers.tensor::<2>(shape, &plain()));
    let (a, b) = (numbers.tensor([2, 37], &plain()), numbers.tensor([7, 2], &plain()));
    let weight = &Nf4::quantise(&values(weight), [7, 37], false, &plain()).unwrap();
    let (weight, dense) = (&Weight::from(weight.clone()), &by_definition(weight).into());
    compare(
        "reference",
        [x, bias, a, b],
        &|[x, bias, a, b]| reference::linear(x, weight, flat(bias), Some(&lora(a, b, 2.0))),
        &|[x, bias, a, b]| reference::linear(x, dense, flat(bias), Some(&lora(a, b, 2.0))),
    );
}

#[test]
fn maps_with_bf16_weights_equal_dense_ones() {
    for (seed, [rows, depth, width, rank]) in SIZES.into_iter().enumerate() {
        let mut numbers = Numbers(seed as u64 + 40);
        let mut make = |shape: [usize; 2]| numbers.tensor::<2>(shape, &plain());
        let (x, bias) = (make([rows, depth]), make([1, width]));
        let (a, b) = (make([rank, depth]), make([width, rank]));
        // Half of the weights are seen through a view.
        let stored = if seed % 2 == 0 {
            make([width, depth]).cast(DType::BF16)
        } else {
            make([depth, width]).cast(DType::BF16).swap_dims(0, 1)
        };
        let dense = &stored.clone().cast(DType::F32).into();
        let (head, stored) = (&stored, &Weight::from(stored.clone()));
        compare(
            "bf16",
            [x.clone(), bias.clone()],
            &|[x, bias]| fused::linear(x, stored, flat(bias), None),
            &|[x, bias]| reference::linear(x, dense, flat(bias), None),
        );
        compare(
            "bf16 with update",
            [x.clone(), a, b],
            &|[x, a, b]| fused::linear(x, stored, None, Some(&lora(a, b, 0.5))),
            &|[x, a, b]| reference::linear(x, dense, None, Some(&lora(a, b, 0.5))),
        );
        compare(
            "reference with bf16",
            [x.clone(), bias],
            &|[x, bias]| reference::linear(x, stored, flat(bias), None),
            &|[x, bias]| reference::linear(x, dense, flat(bias), None),
        );
        compare("head in bf16", [x], &|[x]| fused::head(x, head.clone()), &|[x]| {
            reference::linear(x, dense, None, None)
        });
    }
}

#[test]
fn a_trained_bf16_weight_gets_its_gradient() {
    let mut numbers = Numbers(3);
    let [x, weight] = [[9, 33], [17, 33]].map(|shape| numbers.tensor::<2>(shape, &plain()));
    let gradient = |weight: Tensor<2>| {
        let weight = weight.autodiff().require_grad();
        let out = fused::linear(x.clone().autodiff(), &weight.clone().into(), None, None);
        let pull = Numbers(4).tensor::<2>([9, 17], &plain());
        weight.grad(&(out * pull).sum().backward()).unwrap()
    };
    let stored = weight.cast(DType::BF16);
    let got = gradient(stored.clone());
    assert_eq!(got.dtype(), DType::BF16);
    let want = values(gradient(stored.cast(DType::F32)));
    close("gradient in bf16", &values(got.cast(DType::F32)), &want, 4e-3);
}

#[test]
fn norms_and_scores_take_bf16_weights() {
    let mut numbers = Numbers(6);
    let x = numbers.tensor::<2>([5, 24], &plain());
    let [weight, bias] = [(); 2].map(|()| numbers.tensor::<1>([24], &plain()).cast(DType::BF16));
    let wide = |vector: &Tensor<1>| vector.clone().cast(DType::F32);
    assert_eq!(
        values(fused::rms_norm(x.clone(), weight.clone(), 1e-6)),
        values(fused::rms_norm(x.clone(), wide(&weight), 1e-6))
    );
    assert_eq!(
        values(fused::layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-6)),
        values(fused::layer_norm(x.clone(), wide(&weight), wide(&bias), 1e-6))
    );
    let head = numbers.tensor::<2>([50, 24], &plain()).cast(DType::BF16);
    let targets = Tensor::<1, Int>::from_ints([3, 0, 49, 7, 8], &plain());
    let got = fused::token_scores(x.clone(), head.clone(), targets.clone(), 0.7, 2);
    let want = fused::token_scores(x, head.cast(DType::F32), targets, 0.7, 2);
    close("log-probs", &values(got.logprobs), &values(want.logprobs), 1e-5);
    close("entropies", &values(got.entropies), &values(want.entropies), 1e-5);
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let mut numbers = Numbers(8);
    let x = numbers.tensor::<2>([100, 200], &plain());
    let weight = numbers.tensor::<2>([300, 200], &plain());
    let weight = Nf4::quantise(&values(weight), [300, 200], true, &plain())
        .unwrap()
        .into();
    let together = fused::linear(x.clone(), &weight, None, None);
    for row in [0, 57, 99] {
        let alone = fused::linear(x.clone().narrow(0, row, 1), &weight, None, None);
        close("row", &values(alone), &values(together.clone().narrow(0, row, 1)), 1e-6);
    }
}

#[test]
fn every_value_takes_the_nearest_code() {
    for count in [1usize, 63, 64, 65, 200, 1000] {
        let mut numbers = Numbers(count as u64);
        let data: Vec<f32> = (0..count).map(|_| numbers.next()).collect();
        let (codes, absmax) = fused::quantise(&data);
        assert_eq!((codes.len(), absmax.len()), (count.div_ceil(2), count.div_ceil(64)));
        for (index, value) in data.iter().enumerate() {
            let scale = absmax[index / BLOCK];
            let byte = codes[index / 2];
            let code = if index % 2 == 0 { byte >> 4 } else { byte & 15 };
            let error = |code: f32| (code * scale - value).abs();
            let best = CODE.iter().fold(f32::INFINITY, |best, &code| best.min(error(code)));
            assert!(
                error(CODE[usize::from(code)]) <= best + 1e-6,
                "{count}: element {index}"
            );
        }
        if count % 2 == 1 {
            assert_eq!(codes[count / 2] & 15, 7, "{count}: the odd nibble means 0");
        }
    }
}

#[test]
fn codes_survive_another_quantisation() {
    let mut numbers = Numbers(12);
    let data: Vec<f32> = (0..640).map(|_| numbers.next()).collect();
    let weight = Nf4::quantise(&data, [10, 64], false, &plain()).unwrap();
    let again = Nf4::quantise(&values(weight.dequantise()), [10, 64], false, &plain()).unwrap();
    assert_eq!(values(again.dequantise()), values(weight.dequantise()));
}

#[test]
fn zeros_stay_zeros() {
    for double in [false, true] {
        let mut data = vec![0.0f32; 130];
        data[70] = -3.0;
        let weight = Nf4::quantise(&data, [2, 65], double, &plain()).unwrap();
        let got = values(weight.dequantise());
        assert!((got[70] + 3.0).abs() < 0.1, "{got:?}");
        let rest = got.iter().enumerate().filter(|(index, _)| *index != 70);
        assert!(rest.map(|(_, value)| value).all(|&value| value == 0.0), "{got:?}");
    }
}

#[test]
fn eight_bit_scales_are_within_their_steps() {
    let mut numbers = Numbers(13);
    let scales: Vec<f32> = (0..700).map(|_| numbers.next().abs() * 0.1 + 0.01).collect();
    let stored = fused::quantise_scales(&scales, fused::mean(&scales));
    assert_eq!((stored.codes.len(), stored.absmax.len()), (700, 3));
    let got = fused::dequantise_scales(&stored, &fused::dynamic_map(), fused::NESTED_BLOCK);
    for ((scale, got), block) in scales.iter().zip(got).zip((0..700).map(|index| index / 256)) {
        // The coarsest step of the map is 0.9 / 64 of the largest value: nearest is within half of it.
        assert!(
            (scale - got).abs() <= stored.absmax[block] * 0.45 / 64.0 + 1e-6,
            "{scale} {got}"
        );
    }
}

#[test]
fn numbers_that_make_no_matrix_are_refused() {
    let device = plain();
    let error = Nf4::new(vec![0; 3], vec![0.0], [3, 3], &device).unwrap_err();
    let want = "NF4 weight of shape [3, 3]: expected 5 bytes of codes, got 3";
    assert_eq!(error.to_string(), want);
    let error = Nf4::new(vec![0; 5], vec![0.0; 2], [3, 3], &device).unwrap_err();
    assert_eq!(
        error.to_string(),
        "NF4 weight of shape [3, 3]: expected 1 scales, got 2"
    );
    let error = Nf4::quantise(&[1.0, f32::NAN], [1, 2], true, &device).unwrap_err();
    assert_eq!(
        error,
        Nf4Error::NotFinite {
            shape: [1, 2],
            index: 1
        }
    );
    assert!(Nf4::quantise(&[1.0], [1, 2], true, &device).is_err());
}
