//! The mixer of a recurrent layer: a short convolution, the gated delta rule, and a gated norm (Qwen3.5, specification
//! section 4).

use super::{CacheOfLayer, DecoderInput, DeltaState};
use crate::config::HybridConfig;
use crate::nn::{Initializer, Linear, LinearConfig, LinearVisitorMut, ParamMut, ParamVisitorMut, join};
use crate::{TextConfig, nn::ints};
use burn::tensor::{DType, Device, Tensor, activation};
use cua_grpo_kernels::{self as kernels, DeltaInput, Mask};

/// Gated DeltaNet: what a layer knows of the past is a matrix for each head.
#[derive(Debug, Clone)]
pub struct GatedDeltaNet {
    /// Queries, keys and values, one after the other.
    in_proj_qkv: Linear,
    /// What the output is gated by.
    in_proj_z: Linear,
    /// How much is written.
    in_proj_b: Linear,
    /// How much is forgotten.
    in_proj_a: Linear,
    /// `[channels, taps]`
    conv1d: Tensor<2>,
    /// `[value_heads]`
    dt_bias: Tensor<1>,
    /// `[value_heads]`
    a_log: Tensor<1>,
    /// `[value_dim]`, one for all heads; no 1 is added.
    norm: Tensor<1>,
    pub(crate) out_proj: Linear,
    sizes: HybridConfig,
    eps: f64,
}

/// What the projections give for some rows of tokens.
struct Projected {
    /// `[batch, time, channels]`
    qkv: Tensor<3>,
    /// `[batch, time, value_heads]`
    g: Tensor<3>,
    /// As `g`.
    beta: Tensor<3>,
}

impl GatedDeltaNet {
    pub(crate) fn init(config: &TextConfig, sizes: &HybridConfig, init: &mut Initializer) -> Self {
        let (hidden, heads) = (config.hidden_size, sizes.value_heads);
        let map = |width, init: &mut Initializer| LinearConfig::new(hidden, width, false).init(init);
        let taps = sizes.conv_kernel;
        Self {
            in_proj_qkv: map(sizes.channels(), init),
            in_proj_z: map(sizes.value_width(), init),
            in_proj_b: map(heads, init),
            in_proj_a: map(heads, init),
            conv1d: init.normal([sizes.channels(), taps], (taps as f32).powf(-0.5)),
            dt_bias: init.constant(heads, 1.0),
            a_log: init.constant(heads, 0.0),
            norm: init.constant(sizes.value_head_dim, 1.0),
            out_proj: LinearConfig::new(sizes.value_width(), hidden, false).init(init),
            sizes: sizes.clone(),
            eps: config.rms_norm_eps,
        }
    }

    /// What the last map is applied to. A cache has the state before the tokens, and gets the one after them: padding of
    /// short rows does not change it.
    ///
    /// # Shapes
    /// - x: `[batch * time, hidden]`; output: `[batch * time, value_heads * value_dim]`
    pub(crate) fn inner(&self, x: Tensor<2>, input: &DecoderInput, cache: Option<CacheOfLayer<'_>>) -> Tensor<2> {
        let [batch, _, time, _] = input.rope.cos.dims();
        let by_token = |rows: Tensor<2>| -> Tensor<3> {
            let width = rows.dims()[1];
            rows.reshape([batch, time, width])
        };
        let projected = Projected {
            qkv: by_token(self.in_proj_qkv.forward(x.clone())),
            g: by_token(self.decay(self.in_proj_a.forward(x.clone()))),
            beta: by_token(activation::sigmoid(self.in_proj_b.forward(x.clone()))),
        };
        let z = self.in_proj_z.forward(x);
        let read = match (&input.mask, cache) {
            (Mask::Segments(lengths), None) => self.segments(&projected, lengths),
            (_, None) => self.mix(projected, &input.lengths, None).0,
            (_, Some((cache, layer))) => {
                let state = cache.state(layer);
                let (read, after) = self.mix(projected, &input.lengths, state.take());
                *state = Some(after);
                read
            }
        };
        self.gate(read, z)
    }

    /// Logarithms of the decays.
    fn decay(&self, a: Tensor<2>) -> Tensor<2> {
        let a = a.cast(DType::F32) + self.dt_bias.clone().cast(DType::F32).unsqueeze();
        // softplus; linear where the exponential grows large.
        let large = a.clone().greater_elem(20.0);
        let soft = a.clone().mask_fill(large.clone(), 0.0).exp().log1p();
        let soft = soft.mask_where(large, a);
        soft * self.a_log.clone().cast(DType::F32).exp().neg().unsqueeze()
    }

    /// Norm of each head, gated: `norm(read) * silu(z)`.
    fn gate(&self, read: Tensor<2>, z: Tensor<2>) -> Tensor<2> {
        let ([rows, width], dtype) = (z.dims(), z.dtype());
        let heads = [rows * self.sizes.value_heads, self.sizes.value_head_dim];
        let normed = kernels::rms_norm(read.cast(dtype).reshape(heads), self.norm.clone(), self.eps);
        kernels::swiglu(z, normed.reshape([rows, width]))
    }

    /// Sequences that stand one after the other, each from its own beginning.
    fn segments(&self, all: &Projected, lengths: &[usize]) -> Tensor<2> {
        let mut start = 0;
        let mut outputs = Vec::with_capacity(lengths.len());
        for &length in lengths.iter().filter(|&&length| length > 0) {
            let part = |tensor: &Tensor<3>| tensor.clone().narrow(1, start, length);
            let part = Projected {
                qkv: part(&all.qkv),
                g: part(&all.g),
                beta: part(&all.beta),
            };
            outputs.push(self.mix(part, &[length], None).0);
            start += length;
        }
        if outputs.is_empty() {
            return Tensor::zeros([0, self.sizes.value_width()], &all.qkv.device());
        }
        Tensor::cat(outputs, 0)
    }

    /// What the tokens read, and the state behind the last token of each row.
    fn mix(&self, rows: Projected, lengths: &[usize], state: Option<DeltaState>) -> (Tensor<2>, DeltaState) {
        let Projected { qkv, g, beta } = rows;
        let [batch, time, _] = qkv.dims();
        let sizes = &self.sizes;
        let state = state.unwrap_or_else(|| sizes.beginning(batch, &qkv.device(), qkv.dtype()));
        let window = self.slide(&state.window, &qkv, lengths);
        let mixed = kernels::causal_convolution(qkv, state.window, self.conv1d.clone());
        let (keys, key_dim) = (sizes.key_heads * sizes.key_head_dim, sizes.key_head_dim);
        let part = |start: usize, width: usize, dim: usize| {
            let part = mixed.clone().narrow(2, start, width);
            part.reshape([batch, time, width / dim, dim])
        };
        let input = DeltaInput {
            q: part(0, keys, key_dim),
            k: part(keys, keys, key_dim),
            v: part(2 * keys, sizes.value_width(), sizes.value_head_dim),
            g,
            beta,
            state: state.memory,
        };
        let (read, memory) = kernels::delta_rule(input, lengths);
        (read, DeltaState { window, memory })
    }

    /// What the convolution reads before the token behind the last one of each row.
    fn slide(&self, window: &Tensor<3>, qkv: &Tensor<3>, lengths: &[usize]) -> Tensor<3> {
        let ([batch, before, channels], [_, time, _]) = (window.dims(), qkv.dims());
        let all = Tensor::cat(vec![window.clone(), qkv.clone()], 1);
        if lengths.iter().all(|&length| length == time) {
            return all.narrow(1, time, before);
        }
        let columns = before + time;
        let places = lengths
            .iter()
            .enumerate()
            .flat_map(|(row, &length)| (0..before).map(move |tap| (row * columns + length + tap) as i64));
        let places = ints(places.collect(), &all.device().without_autodiff());
        let flat = all.reshape([batch * columns, channels]).select(0, places);
        flat.reshape([batch, before, channels])
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        visitor(&join(path, "dt_bias"), ParamMut::Vector(&mut self.dt_bias));
        visitor(&join(path, "A_log"), ParamMut::Vector(&mut self.a_log));
        visitor(&join(path, "conv1d.weight"), ParamMut::Matrix(&mut self.conv1d));
        self.in_proj_qkv.visit_mut(&join(path, "in_proj_qkv"), visitor);
        self.in_proj_z.visit_mut(&join(path, "in_proj_z"), visitor);
        self.in_proj_b.visit_mut(&join(path, "in_proj_b"), visitor);
        self.in_proj_a.visit_mut(&join(path, "in_proj_a"), visitor);
        visitor(&join(path, "norm.weight"), ParamMut::Vector(&mut self.norm));
        self.out_proj.visit_mut(&join(path, "out_proj"), visitor);
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.in_proj_qkv.visit_linear_mut(&join(path, "in_proj_qkv"), visitor);
        self.in_proj_z.visit_linear_mut(&join(path, "in_proj_z"), visitor);
        self.in_proj_b.visit_linear_mut(&join(path, "in_proj_b"), visitor);
        self.in_proj_a.visit_linear_mut(&join(path, "in_proj_a"), visitor);
        self.out_proj.visit_linear_mut(&join(path, "out_proj"), visitor);
    }
}

impl HybridConfig {
    /// The state of rows that have seen nothing.
    fn beginning(&self, rows: usize, device: &Device, dtype: DType) -> DeltaState {
        let device = &device.clone().without_autodiff();
        DeltaState {
            window: Tensor::zeros([rows, self.conv_kernel - 1, self.channels()], (device, dtype)),
            memory: Tensor::zeros(
                [rows, self.value_heads, self.key_head_dim, self.value_head_dim],
                (device, DType::F32),
            ),
        }
    }
}
