//! What a recurrent layer knows of the tokens that it has seen.

use crate::nn::ints;
use burn::tensor::Tensor;

/// The states of one layer, a row for each conversation. They cannot be taken back: whoever needs an earlier one keeps a copy,
/// or computes it again.
#[derive(Debug, Clone)]
pub struct DeltaState {
    /// What the convolution reads of the tokens before, as the projection gives it: `[batch, taps - 1, channels]`.
    pub window: Tensor<3>,
    /// What the delta rule has written `[batch, value_heads, key_dim, value_dim]`, in f32.
    pub memory: Tensor<4>,
}

impl DeltaState {
    /// The rows `rows`, in that order; where there is none a row that has seen nothing.
    #[must_use]
    pub(crate) fn rows(self, rows: &[Option<usize>]) -> Self {
        let count = self.window.dims()[0];
        let device = self.window.device();
        let index = rows.iter().map(|row| row.unwrap_or(count) as i64).collect();
        let index = ints(index, &device);
        let all = if rows.contains(&None) {
            let nothing = self.nothing(1);
            self.followed_by(nothing)
        } else {
            self
        };
        Self {
            window: all.window.select(0, index.clone()),
            memory: all.memory.select(0, index),
        }
    }

    /// The rows `from..to`.
    #[must_use]
    pub(crate) fn between(&self, from: usize, to: usize) -> Self {
        Self {
            window: self.window.clone().narrow(0, from, to - from),
            memory: self.memory.clone().narrow(0, from, to - from),
        }
    }

    /// Rows of this shape that have seen nothing.
    pub(crate) fn nothing(&self, rows: usize) -> Self {
        let device = self.window.device();
        let ([_, taps, channels], [_, heads, keys, width]) = (self.window.dims(), self.memory.dims());
        Self {
            window: Tensor::zeros([rows, taps, channels], (&device, self.window.dtype())),
            memory: Tensor::zeros([rows, heads, keys, width], (&device, self.memory.dtype())),
        }
    }

    /// These rows, then those of `other`.
    #[must_use]
    pub(crate) fn followed_by(self, other: Self) -> Self {
        Self {
            window: Tensor::cat(vec![self.window, other.window], 0),
            memory: Tensor::cat(vec![self.memory, other.memory], 0),
        }
    }
}
