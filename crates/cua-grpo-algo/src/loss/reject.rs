//! The tokens that a [`Rejection`] leaves.

use crate::tensor::{masked, row_lengths};
use crate::{Rejection, RejectionLevel, RejectionMetric};
use burn::tensor::Tensor;

impl Rejection {
    /// 1 where a token is kept, 0 where it is left out.
    ///
    /// # Shapes
    /// `old`, `sampler` and `mask` are `[rows, time]`, the result too.
    pub fn keep(&self, old: Tensor<2>, sampler: Tensor<2>, mask: &Tensor<2>) -> Tensor<2> {
        let shape = mask.dims();
        let difference = masked(old.detach() - sampler.detach(), mask);
        let lost = difference.clone().is_finite().bool_not();
        let d = difference.mask_fill(lost, 0.0).clamp(-20.0, 20.0);
        let metric = match self.metric {
            RejectionMetric::Ratio | RejectionMetric::K1 => d,
            RejectionMetric::K2 => d.square() * 0.5,
            RejectionMetric::K3 => d.clone().neg().exp() - 1.0 + d,
        };
        let metric = masked(metric, mask);
        let metric = match self.level {
            RejectionLevel::Token => metric,
            RejectionLevel::SequenceMean => metric.sum_dim(1) / row_lengths(mask),
            RejectionLevel::SequenceSum => metric.sum_dim(1),
            RejectionLevel::SequenceMax => metric
                .mask_fill(mask.clone().equal_scalar(0.0), f64::NEG_INFINITY)
                .max_dim(1),
        };
        let metric = match self.metric {
            RejectionMetric::Ratio => metric.clamp(-20.0, 20.0).exp(),
            _ => metric,
        };
        let high = metric.clone().greater_scalar(self.max);
        let outside = match self.min {
            Some(min) => high.bool_or(metric.clone().lower_scalar(min)),
            None => high,
        };
        metric.ones_like().mask_fill(outside, 0.0).expand(shape)
    }
}
