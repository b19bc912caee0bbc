//! Each operation and its gradients against the reference in f32 on the CPU, on inputs of the sizes and layouts that the
//! model has: on the CPU always, and on a card where there is one (`cargo test -p cua-grpo-kernels --features cuda`).
//!
//! Errors are `|got - want| / |want|` over all elements, in f64. Inputs are random numbers, rounded to the format of the
//! test first, so that both sides read the same. Rounding the output to bf16 alone costs about 1.7e-3. With the residual
//! left out of `linear_onto`, a scale forgotten in a gradient of the factors, or a table that is read one row off, these
//! tests fail.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "figures for those who ask with --nocapture"
)]

mod checker;
#[path = "../common/mod.rs"]
mod common;

use burn::tensor::{Device, Int, Tensor, TensorData};
use checker::{Checker, Pair, everywhere};
use common::lora;
use cua_grpo_kernels::{self as kernels, Lora, Mask, Nf4, Weight, reference};

#[test]
fn linear_maps() {
    everywhere(maps);
}

#[test]
fn linear_maps_in_four_bits() {
    everywhere(four_bits);
}

#[test]
fn an_update_of_zeros_changes_no_bit() {
    everywhere(zeros);
}

#[test]
fn norms_and_activations() {
    everywhere(pointwise);
}

#[test]
fn heads_of_a_joined_projection() {
    everywhere(joined_heads);
}

#[test]
fn attention_with_every_mask() {
    everywhere(attention);
}

#[test]
fn scores_of_tokens() {
    everywhere(head);
}

/// A weight on both sides.
struct Sides {
    card: Weight,
    host: Weight,
}

impl From<Pair<2>> for Sides {
    fn from(pair: Pair<2>) -> Self {
        let (card, host) = (pair.card.into(), pair.host.into());
        Self { card, host }
    }
}

fn maps(c: &mut Checker) {
    for (m, n, k) in [(1, 256, 512), (37, 384, 1152), (300, 512, 4096)] {
        let x = c.draw([m, k], 1.0);
        let w = c.draw([n, k], (k as f32).powf(-0.5));
        let w = Sides::from(w);
        let b = c.draw([1, n], 1.0);
        let (bias, host_bias) = (b.card.clone().reshape([n]), b.host.clone().reshape([n]));
        c.with_gradients(
            &format!("linear {m}x{k} to {n}"),
            [x.clone()],
            |[x]| kernels::linear(x, &w.card, Some(bias.clone()), None),
            |[x]| reference::linear(x, &w.host, Some(host_bias.clone()), None),
        );
        let trained = [c.draw([m, k], 1.0), c.draw([n, k], (k as f32).powf(-0.5))];
        c.with_gradients(
            &format!("linear, trained, {m}x{k} to {n}"),
            trained,
            |[x, w]| kernels::linear(x, &w.into(), Some(bias.clone()), None),
            |[x, w]| reference::linear(x, &w.into(), Some(host_bias.clone()), None),
        );
        c.with_gradients(
            &format!("linear, its bias trained, {m}x{k} to {n}"),
            [b],
            |[bias]| kernels::linear(x.card.clone(), &w.card, Some(bias.reshape([n])), None),
            |[bias]| reference::linear(x.host.clone(), &w.host, Some(bias.reshape([n])), None),
        );
        let (a, b) = (c.draw([16, k], (k as f32).powf(-0.5)), c.draw([n, 16], 0.5));
        let residual = c.draw([m, n], 4.0);
        for updated in [false, true] {
            let update = |a: &Tensor<2>, b: &Tensor<2>| updated.then(|| lora(a.clone(), b.clone(), 2.0));
            let onto = |residual: &Tensor<2>, x: &Tensor<2>, w: &Weight, bias: &Tensor<1>, update: Option<Lora>| {
                let (residual, x, bias) = (residual.clone(), x.clone(), Some(bias.clone()));
                kernels::linear_onto(residual, x, w, bias, update.as_ref())
            };
            let got = onto(&residual.card, &x.card, &w.card, &bias, update(&a.card, &b.card));
            let want = onto(&residual.host, &x.host, &w.host, &host_bias, update(&a.host, &b.host));
            c.compare(&format!("linear_onto {m}x{k} to {n}, updated {updated}"), got, want);
        }
        c.with_gradients(
            &format!("linear + LoRA {m}x{k} to {n}"),
            [x, a, b],
            |[x, a, b]| kernels::linear(x, &w.card, Some(bias.clone()), Some(&lora(a, b, 2.0))),
            |[x, a, b]| reference::linear(x, &w.host, Some(host_bias.clone()), Some(&lora(a, b, 2.0))),
        );
    }
}

/// An update whose second factor is zero, as every adapter begins, changes no bit of a map: dense and in four bits,
/// alone, onto a residual, and beside a bias.
fn zeros(c: &mut Checker) {
    for (m, n, k) in [(1, 256, 512), (40, 128, 1152), (300, 512, 4096), (700, 4096, 1024)] {
        let codes: Vec<u8> = (0..n * k / 2).map(|_| c.below(256) as u8).collect();
        let absmax: Vec<f32> = (0..n * k / 64).map(|_| c.below(90) as f32 * 1e-3 + 0.01).collect();
        let four = Nf4::new(codes, absmax, [n, k], &c.device).unwrap();
        let dense = c.draw([n, k], (k as f32).powf(-0.5)).card;
        let (x, residual) = (c.draw([m, k], 1.0).card, c.draw([m, n], 4.0).card);
        let bias = c.draw([1, n], 1.0).card.reshape([n]);
        let a = c.draw([16, k], (k as f32).powf(-0.5)).card;
        let none = lora(a, Tensor::zeros([n, 16], (&c.device, c.dtype)), 2.0);
        for (name, weight) in [("dense", Weight::from(dense)), ("four bits", four.into())] {
            for bias in [None, Some(bias.clone())] {
                let alone = |update| kernels::linear(x.clone(), &weight, bias.clone(), update);
                let onto = |update| kernels::linear_onto(residual.clone(), x.clone(), &weight, bias.clone(), update);
                let shown = format!("{name} {m}x{k} to {n}, biased {}", bias.is_some());
                c.same(&format!("alone, {shown}"), alone(Some(&none)), alone(None));
                c.same(&format!("onto, {shown}"), onto(Some(&none)), onto(None));
            }
        }
    }
}

fn four_bits(c: &mut Checker) {
    for (m, n, k) in [(3, 256, 512), (40, 128, 1152)] {
        let count = n * k;
        let codes: Vec<u8> = (0..count / 2).map(|_| c.below(256) as u8).collect();
        let absmax: Vec<f32> = (0..count / 64).map(|_| c.below(90) as f32 * 1e-3 + 0.01).collect();
        let build = |device: &Device| Nf4::new(codes.clone(), absmax.clone(), [n, k], device).unwrap().into();
        let (card, host): (Weight, Weight) = (build(&c.device), build(&Device::flex()));
        let (x, a, b) = (
            c.draw([m, k], 1.0),
            c.draw([16, k], (k as f32).powf(-0.5)),
            c.draw([n, 16], 0.1),
        );
        c.with_gradients(
            &format!("linear_nf4 {m}x{k} to {n}"),
            [x.clone()],
            |[x]| kernels::linear(x, &card, None, None),
            |[x]| reference::linear(x, &host, None, None),
        );
        c.with_gradients(
            &format!("linear_nf4 + LoRA {m}x{k} to {n}"),
            [x, a, b],
            |[x, a, b]| kernels::linear(x, &card, None, Some(&lora(a, b, 2.0))),
            |[x, a, b]| reference::linear(x, &host, None, Some(&lora(a, b, 2.0))),
        );
    }
}

fn pointwise(c: &mut Checker) {
    for (rows, width) in [(5, 72), (200, 128), (33, 1152), (7, 4096)] {
        let (x, w, b) = (
            c.draw([rows, width], 2.0),
            c.draw([1, width], 1.0),
            c.draw([1, width], 1.0),
        );
        let vector = |pair: &Pair<2>| (pair.card.clone().reshape([width]), pair.host.clone().reshape([width]));
        let (w2, b2) = (w.clone(), b.clone());
        let ((w, hw), (b, hb)) = (vector(&w), vector(&b));
        c.with_gradients(
            &format!("rms_norm {rows}x{width}"),
            [x.clone()],
            |[x]| kernels::rms_norm(x, w.clone(), 1e-6),
            |[x]| reference::rms_norm(x, hw.clone(), 1e-6),
        );
        c.with_gradients(
            &format!("layer_norm {rows}x{width}"),
            [x.clone()],
            |[x]| kernels::layer_norm(x, w.clone(), b.clone(), 1e-6),
            |[x]| reference::layer_norm(x, hw.clone(), hb.clone(), 1e-6),
        );
        let flat = |values: Tensor<2>| values.reshape([width]);
        let parts = [w2.clone(), b2.clone()];
        c.with_gradients(
            &format!("rms_norm, trained, {rows}x{width}"),
            [w2],
            |[w]| kernels::rms_norm(x.card.clone(), flat(w), 1e-6),
            |[w]| reference::rms_norm(x.host.clone(), flat(w), 1e-6),
        );
        c.with_gradients(
            &format!("layer_norm, trained, {rows}x{width}"),
            parts,
            |[w, b]| kernels::layer_norm(x.card.clone(), flat(w), flat(b), 1e-6),
            |[w, b]| reference::layer_norm(x.host.clone(), flat(w), flat(b), 1e-6),
        );
        // The gradient that goes past a norm, added by it or by the number beside its output.
        let carried = c.draw([rows, width], 1.0);
        let beside = |(normed, number): (Tensor<2>, Option<Tensor<1>>)| match number {
            None => normed,
            Some(number) => normed + number.unsqueeze::<2>(),
        };
        c.with_gradients(
            &format!("rms_norm_carrying {rows}x{width}"),
            [x.clone()],
            |[x]| beside(kernels::rms_norm_carrying(x, w.clone(), 1e-6, carried.card.clone())),
            |[x]| beside(kernels::rms_norm_carrying(x, hw.clone(), 1e-6, carried.host.clone())),
        );
        c.with_gradients(
            &format!("layer_norm_carrying {rows}x{width}"),
            [x.clone()],
            |[x]| {
                let (w, b, carried) = (w.clone(), b.clone(), carried.card.clone());
                beside(kernels::layer_norm_carrying(x, w, b, 1e-6, carried))
            },
            |[x]| {
                let (w, b, carried) = (hw.clone(), hb.clone(), carried.host.clone());
                beside(kernels::layer_norm_carrying(x, w, b, 1e-6, carried))
            },
        );
        let up = c.draw([rows, width], 1.0);
        c.with_gradients(
            &format!("swiglu {rows}x{width}"),
            [x.clone(), up],
            |[gate, up]| kernels::swiglu(gate, up),
            |[gate, up]| reference::swiglu(gate, up),
        );
        let name = format!("gelu_tanh {rows}x{width}");
        c.with_gradients(
            &name,
            [x.clone()],
            |[x]| kernels::gelu_tanh(x),
            |[x]| reference::gelu_tanh(x),
        );
        let name = format!("gelu_erf {rows}x{width}");
        c.with_gradients(&name, [x], |[x]| kernels::gelu_erf(x), |[x]| reference::gelu_erf(x));
    }
    let x = c.draw([2, 3, 17, 72], 1.0);
    let (cos, sin) = (c.draw([1, 1, 17, 36], 1.0), c.draw([1, 1, 17, 36], 1.0));
    let twice = |pair: &Tensor<4>| Tensor::cat(vec![pair.clone(), pair.clone()], 3);
    c.with_gradients(
        "rotate",
        [x],
        |[x]| kernels::rotate(x, twice(&cos.card), twice(&sin.card)),
        |[x]| reference::rotate(x, twice(&cos.host), twice(&sin.host)),
    );
}

/// The heads of a joined projection: normed and rotated, and attended to within frames.
fn joined_heads(c: &mut Checker) {
    let heads_of =
        |x: Tensor<2>, [batch, time, heads, width]: [usize; 4]| x.reshape([batch, time, heads, width]).swap_dims(1, 2);
    let twice = |pair: &Tensor<4>| Tensor::cat(vec![pair.clone(), pair.clone()], 3);
    for (batch, heads, time, width) in [(2, 3, 17, 128), (1, 32, 5, 64)] {
        let (rows, joined) = (batch * time, heads * width);
        let (x, w) = (c.draw([rows, joined], 2.0), c.draw([1, width], 1.0));
        let (w, host_w) = (w.card.reshape([width]), w.host.reshape([width]));
        let table = [batch, 1, time, width / 2];
        let (cos, sin) = (c.draw(table, 1.0), c.draw(table, 1.0));
        c.with_gradients(
            &format!("rms_norm_rotate {batch}x{time}x{heads}x{width}"),
            [x],
            |[x]| {
                let (cos, sin) = (twice(&cos.card), twice(&sin.card));
                let rotated = kernels::rms_norm_rotate(x, w.clone(), 1e-6, cos, sin);
                rotated.swap_dims(1, 2).reshape([rows, joined])
            },
            |[x]| {
                let normed = reference::rms_norm(x.reshape([rows * heads, width]), host_w.clone(), 1e-6);
                let normed = heads_of(normed.reshape([rows, joined]), [batch, time, heads, width]);
                let rotated = reference::rotate(normed, twice(&cos.host), twice(&sin.host));
                rotated.swap_dims(1, 2).reshape([rows, joined])
            },
        );
    }
    let (frames, patches, heads, width) = (2, 130, 4, 72);
    let (rows, joined) = (frames * patches, heads * width);
    let qkv = c.draw([rows, 3 * joined], 1.0);
    let table = [1, 1, patches, width / 2];
    let (cos, sin) = (c.draw(table, 0.7), c.draw(table, 0.7));
    c.with_gradients(
        "attention_packed",
        [qkv],
        |[qkv]| kernels::attention_packed(qkv, twice(&cos.card), twice(&sin.card)),
        |[qkv]| {
            let qkv = heads_of(qkv, [frames, patches, 3 * heads, width]);
            let part = |index: usize| qkv.clone().narrow(1, index * heads, heads);
            let rotate = |x| reference::rotate(x, twice(&cos.host), twice(&sin.host));
            let parts = vec![(rotate(part(1)), part(2))];
            let attended = reference::attention(rotate(part(0)), parts, &Mask::All);
            attended.swap_dims(1, 2).reshape([rows, joined])
        },
    );
}

fn attention(c: &mut Checker) {
    // Batch, query heads, key heads, tokens, head size, causal.
    for (batch, heads, kv_heads, time, width, causal) in [
        (2, 4, 2, 65, 128, true),
        (1, 8, 2, 300, 128, true),
        (3, 2, 2, 200, 72, false),
        (1, 4, 4, 129, 64, false),
    ] {
        let mask = match (causal, batch) {
            (false, _) => Mask::All,
            (true, 1) => Mask::Segments(vec![100, 7, 64, 64, 65]),
            (true, _) => Mask::Causal,
        };
        // As the model has them: heads beside each other, seen from the side.
        let mut seen = |heads: usize| {
            let pair = c.draw([batch, time, heads, width], 1.0);
            Pair {
                card: pair.card.swap_dims(1, 2),
                host: pair.host.swap_dims(1, 2),
            }
        };
        let (q, k, v) = (seen(heads), seen(kv_heads), seen(kv_heads));
        c.with_gradients(
            &format!("attention {batch}x{heads}/{kv_heads}x{time}x{width} {mask:?}"),
            [q, k, v],
            |[q, k, v]| kernels::attention(q, vec![(k, v)], &mask),
            |[q, k, v]| reference::attention(q, vec![(k, v)], &mask),
        );
    }
}

fn head(c: &mut Checker) {
    let (rows, width, vocab) = (37, 256, 5008);
    let (x, w) = (c.draw([rows, width], 1.0), c.draw([vocab, width], 0.2));
    let ids: Vec<i64> = (0..rows).map(|_| c.below(vocab) as i64).collect();
    let targets = |device: &Device| Tensor::<1, Int>::from_data(TensorData::new(ids.clone(), [rows]), device);
    let (card, host) = (targets(&c.device), targets(&Device::flex()));
    for temperature in [1.0, 0.7] {
        c.with_gradients(
            &format!("token_scores at temperature {temperature}"),
            [x.clone()],
            |[x]| {
                kernels::token_scores(x, w.card.clone(), card.clone(), temperature, 16)
                    .logprobs
                    .reshape([1, rows])
            },
            |[x]| {
                kernels::token_scores(x, w.host.clone(), host.clone(), temperature, 16)
                    .logprobs
                    .reshape([1, rows])
            },
        );
    }
}
