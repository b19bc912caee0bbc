//! The policy: a model with its adapter and its images, as it is trained and scored.

use crate::batch::ImageCache;
use crate::model::Trainable;
use crate::score::{RowScores, ScoreTape, score_rows_by_blocks_with, score_rows_with};
use crate::{ModelError, Qwen3Vl};
use burn::tensor::Tensor;
use cua_grpo_core::Row;
use cua_grpo_kernels::Kept;
use std::sync::Arc;

/// The policy and its reference, which is the same weights without the adapter.
#[derive(Clone)]
pub struct Policy {
    model: Qwen3Vl,
    images: Arc<ImageCache>,
    entropy_gradient: bool,
    keep: fn(&Tensor<2>) -> Kept,
}

impl Policy {
    /// A policy over `model`, whose adapter (if any) is attached.
    pub fn new(model: Qwen3Vl, images: Arc<ImageCache>) -> Self {
        Self {
            model,
            images,
            entropy_gradient: false,
            keep: Kept::here,
        }
    }

    /// Where the inputs of blocks wait for the backward pass of [`Policy::score_by_blocks`]: in the memory of the host, or
    /// on the card. No bit of a result depends on it.
    pub fn offload_activations(&mut self, wanted: bool) {
        self.keep = if wanted { Kept::offloaded } else { Kept::here };
    }

    /// A copy whose scores have a gradient of the entropies too, where `wanted`; it costs the memory of the logits.
    #[must_use]
    pub fn with_entropy_gradient(&self, wanted: bool) -> Self {
        Self {
            entropy_gradient: wanted,
            ..self.clone()
        }
    }

    /// The model.
    pub fn model(&self) -> &Qwen3Vl {
        &self.model
    }

    /// The model, to change its weights.
    pub fn model_mut(&mut self) -> &mut Qwen3Vl {
        &mut self.model
    }

    /// The images read so far.
    pub fn images(&self) -> &Arc<ImageCache> {
        &self.images
    }

    /// A copy whose trainable tensors collect gradients.
    #[must_use]
    pub fn trainable(&self, which: Trainable) -> Self {
        Self {
            model: self.model.trainable(which),
            ..self.clone()
        }
    }

    /// A copy whose adapter drops `rate` of its inputs, as [`Qwen3Vl::with_dropout`] says.
    #[must_use]
    pub fn with_dropout(&self, rate: f64, seed: u64) -> Self {
        Self {
            model: self.model.with_dropout(rate, seed),
            ..self.clone()
        }
    }
}

impl Policy {
    /// Log-prob of every trained token given all before it, at `temperature`, under the policy (`adapter` on) or the
    /// reference (`adapter` off): the trained tokens of each row in order, 0 beyond the last. A policy that is
    /// [`trainable`](Self::trainable) gives them with a gradient.
    ///
    /// # Errors
    /// As [`score_rows_with`].
    pub fn score(&self, rows: &[&Row], temperature: f32, adapter: bool) -> Result<RowScores, ModelError> {
        let gradient = self.entropy_gradient;
        if adapter {
            score_rows_with(&self.model, &self.images, rows, temperature, gradient)
        } else {
            score_rows_with(&self.model.without_adapter(), &self.images, rows, temperature, gradient)
        }
    }

    /// As [`Policy::score`] with the adapter on, by blocks: without autodiff, with what the backward pass needs.
    ///
    /// # Errors
    /// As [`score_rows_with`].
    pub fn score_by_blocks(&self, rows: &[&Row], temperature: f32) -> Result<(RowScores, ScoreTape), ModelError> {
        let gradient = self.entropy_gradient;
        score_rows_by_blocks_with(&self.model, &self.images, rows, temperature, gradient, self.keep)
    }
}
