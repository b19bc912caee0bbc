//! The gated delta rule (Yang et al. 2024, "Gated Delta Networks") and the short convolution in front of it: attention whose
//! past is a matrix for each head, which every token decays, corrects and reads.

use crate::ops::Op;
use crate::route::is_fused;
use burn::tensor::{DType, Tensor};

/// Added to the sum of squares below the root, where queries and keys are brought to length 1.
pub(crate) const LENGTH_EPS: f64 = 1e-6;

/// What [`delta_rule`] reads.
#[derive(Debug, Clone)]
pub struct DeltaInput {
    /// Queries `[batch, time, key_heads, key_dim]`, of any length.
    pub q: Tensor<4>,
    /// Keys, as `q`.
    pub k: Tensor<4>,
    /// Values `[batch, time, value_heads, value_dim]`.
    pub v: Tensor<4>,
    /// Logarithms of the decays `[batch, time, value_heads]`, at most 0.
    pub g: Tensor<3>,
    /// How much of a value is written, as `g`.
    pub beta: Tensor<3>,
    /// What was there before `[batch, value_heads, key_dim, value_dim]`.
    pub state: Tensor<4>,
}

/// What every token reads after it has written, and the state after the last one.
///
/// Queries and keys are brought to length 1, queries then to `key_dim^-1/2`; value head `i` has the key head
/// `i / (value_heads / key_heads)`. For each token, in f32:
/// `S <- e^g S`, `S <- S + k (beta (v - S^T k))^T`, `o = S^T q`.
///
/// Row `i` has `lengths[i]` tokens: those behind are padding, which leaves the state alone and reads zeros.
///
/// # Shapes
/// - output: `[batch * time, value_heads * value_dim]` and the state `[batch, value_heads, key_dim, value_dim]`, in f32
///
/// # Panics
/// When the shapes do not fit each other.
pub fn delta_rule(input: DeltaInput, lengths: &[usize]) -> (Tensor<2>, Tensor<4>) {
    let wide = |tensor: Tensor<4>| tensor.cast(DType::F32);
    let input = DeltaInput {
        q: wide(input.q),
        k: wide(input.k),
        v: wide(input.v),
        g: input.g.cast(DType::F32),
        beta: input.beta.cast(DType::F32),
        state: wide(input.state),
    };
    let ([batch, time, key_heads, key_dim], [_, _, heads, width]) = (input.q.dims(), input.v.dims());
    assert!(
        input.k.dims() == input.q.dims()
            && input.v.dims() == [batch, time, heads, width]
            && input.g.dims() == [batch, time, heads]
            && input.beta.dims() == [batch, time, heads]
            && input.state.dims() == [batch, heads, key_dim, width]
            && heads.is_multiple_of(key_heads.max(1))
            && lengths.len() == batch
            && lengths.iter().all(|&length| length <= time),
        "delta rule: queries {:?}, keys {:?}, values {:?}, decays {:?}, state {:?} and lengths {lengths:?} do not fit",
        input.q.dims(),
        input.k.dims(),
        input.v.dims(),
        input.g.dims(),
        input.state.dims()
    );
    let tensors = [&input.q, &input.k, &input.v, &input.state];
    let joined: Tensor<4> = if tensors.into_iter().all(is_fused) && is_fused(&input.g) && is_fused(&input.beta) {
        Op::DeltaRule {
            q: input.q.into_dispatch(),
            k: input.k.into_dispatch(),
            v: input.v.into_dispatch(),
            g: input.g.into_dispatch(),
            beta: input.beta.into_dispatch(),
            state: input.state.into_dispatch(),
            lengths: lengths.to_vec(),
        }
        .run()
    } else {
        reference::delta_rule(input, lengths)
    };
    let read = joined.clone().narrow(2, 0, time).swap_dims(1, 2);
    let state = joined.narrow(2, time, key_dim);
    (read.reshape([batch * time, heads * width]), state)
}

/// `silu` of a causal convolution of each channel with taps of its own, the last of which is the token itself.
///
/// # Shapes
/// - x, output: `[batch, time, channels]`; window: the tokens before `[batch, taps - 1, channels]`; weight:
///   `[channels, taps]`
///
/// # Panics
/// When the window has another length.
pub fn causal_convolution(x: Tensor<3>, window: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let ([_, time, channels], [_, taps]) = (x.dims(), weight.dims());
    assert_eq!(
        window.dims()[1] + 1,
        taps,
        "causal convolution of {taps} taps: a window of {:?}",
        window.dims()
    );
    let dtype = x.dtype();
    let all = Tensor::cat(vec![window.cast(dtype), x], 1);
    let weight = weight.cast(dtype);
    let mut sum: Option<Tensor<3>> = None;
    for tap in 0..taps {
        let factor = weight.clone().narrow(1, tap, 1).reshape([1, 1, channels]);
        let part = all.clone().narrow(1, tap, time) * factor;
        sum = Some(match sum {
            None => part,
            Some(sum) => sum + part,
        });
    }
    let sum = sum.unwrap_or_else(|| all.narrow(1, 0, time));
    burn::tensor::activation::silu(sum)
}

/// The same in plain tensor operations, by chunks of tokens.
pub(crate) mod reference {
    use super::{DeltaInput, LENGTH_EPS};
    use crate::mask::HIDDEN;
    use burn::tensor::{Bool, Device, Tensor, TensorData};

    /// Tokens of a chunk.
    const CHUNK: usize = 64;

    /// Reference of [`crate::delta_rule`], as the operation gives it: what is read, then the state, on the axis of time.
    ///
    /// With `G` the sums of `g` within a chunk and `E[i, j] = exp(G_i - G_j)` for `i >= j`, else 0:
    /// `(I + strict_lower(diag(beta) K K^T * E)) U = diag(beta) V - diag(beta e^G) K S`, by substitution;
    /// `O = diag(e^G) Q S + (Q K^T * E) U`; `S <- e^{G_n} S + (diag(e^{G_n - G}) K)^T U`.
    ///
    /// # Shapes
    /// - output: `[batch, value_heads, time + key_dim, value_dim]`
    pub fn delta_rule(input: DeltaInput, lengths: &[usize]) -> Tensor<4> {
        let ([batch, time, key_heads, key_dim], [_, _, heads, _]) = (input.q.dims(), input.v.dims());
        let device = input.q.device();
        let real = real(lengths, time, &device);
        let by_head = |x: Tensor<4>, scale: f64| {
            let length = (x.clone() * x.clone()).sum_dim(3) + LENGTH_EPS;
            let x = x * length.sqrt().recip() * scale;
            let each = x.unsqueeze_dim::<5>(3).repeat_dim(3, heads / key_heads);
            each.reshape([batch, time, heads, key_dim]).swap_dims(1, 2)
        };
        let q = by_head(input.q, (key_dim as f64).powf(-0.5));
        let k = by_head(input.k, 1.0);
        let v = input.v.swap_dims(1, 2);
        // Padding decays nothing and writes nothing.
        let column = |x: Tensor<3>| (x * real.clone()).swap_dims(1, 2).unsqueeze_dim::<4>(3);
        let (g, beta) = (column(input.g), column(input.beta));
        let mut state = input.state;
        let mut parts = Vec::new();
        for start in (0..time).step_by(CHUNK) {
            let count = CHUNK.min(time - start);
            let part = |x: &Tensor<4>| x.clone().narrow(2, start, count);
            let (q, k, v, beta) = (part(&q), part(&k), part(&v), part(&beta));
            let sums = lower_ones(count, &device).matmul(part(&g)); // [batch, heads, count, 1]
            let apart = sums.clone() - sums.clone().swap_dims(2, 3);
            // Before the exponent: masked entries have the gradient 0, and none overflows.
            let decay = apart.mask_fill(later(count, &device), HIDDEN).exp();
            let grown = sums.clone().exp();
            let keys = k.clone().swap_dims(2, 3);
            let system = (beta.clone() * k.clone()).matmul(keys.clone()) * decay.clone();
            let wanted = beta.clone() * (v - (k.clone() * grown.clone()).matmul(state.clone()));
            let written = substitute(&system, wanted);
            let read = (q.clone() * grown).matmul(state.clone()) + (q.matmul(keys) * decay).matmul(written.clone());
            parts.push(read);
            let end = sums.clone().narrow(2, count - 1, 1);
            let kept = k * (end.clone() - sums).exp();
            state = state * end.exp() + kept.swap_dims(2, 3).matmul(written);
        }
        let real = real.unsqueeze_dim::<4>(1); // [batch, 1, time, 1]
        let read = Tensor::cat(parts, 2) * real;
        Tensor::cat(vec![read, state], 2)
    }

    /// `U` of `(I + strict_lower(system)) U = wanted`: forward substitution, by halves.
    ///
    /// # Shapes
    /// - system: `[batch, heads, n, n]`; wanted, output: `[batch, heads, n, width]`
    fn substitute(system: &Tensor<4>, wanted: Tensor<4>) -> Tensor<4> {
        let count = wanted.dims()[2];
        if count == 1 {
            return wanted;
        }
        let half = count / 2;
        let square = |row: usize, column: usize, rows: usize, columns: usize| {
            system.clone().narrow(2, row, rows).narrow(3, column, columns)
        };
        let first = substitute(&square(0, 0, half, half), wanted.clone().narrow(2, 0, half));
        let rest = count - half;
        let known = square(half, 0, rest, half).matmul(first.clone());
        let second = substitute(&square(half, half, rest, rest), wanted.narrow(2, half, rest) - known);
        Tensor::cat(vec![first, second], 2)
    }

    /// 1 where a row has a token, 0 where it is padded: `[batch, time, 1]`.
    fn real(lengths: &[usize], time: usize, device: &Device) -> Tensor<3> {
        let values = lengths
            .iter()
            .flat_map(|&length| (0..time).map(move |token| f32::from(u8::from(token < length))));
        let data = TensorData::new(values.collect::<Vec<f32>>(), [lengths.len(), time, 1]);
        Tensor::from_data(data, &device.clone().inner())
    }

    /// `[1, 1, n, n]` with ones on the diagonal and below.
    fn lower_ones(count: usize, device: &Device) -> Tensor<4> {
        let values = (0..count * count).map(|at| f32::from(u8::from(at % count <= at / count)));
        let data = TensorData::new(values.collect::<Vec<f32>>(), [1, 1, count, count]);
        Tensor::from_data(data, &device.clone().inner())
    }

    /// True above the diagonal: `[1, 1, n, n]`.
    fn later(count: usize, device: &Device) -> Tensor<4, Bool> {
        let values: Vec<bool> = (0..count * count).map(|at| at % count > at / count).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, count, count]), &device.clone().inner())
    }
}
