//! The proximal policy of a micro-batch, by [`Proximal::between`] on tensors.

use crate::Proximal;
use burn::tensor::Tensor;

impl Proximal {
    /// Log-probs between those of the sampler and those of the policy now, at `share` of the way.
    ///
    /// # Shapes
    /// All `[rows, time]`.
    pub fn tensor(self, sampler: Tensor<2>, now: Tensor<2>, share: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Recompute => now,
            Self::Loglinear => sampler.clone() + share * (now - sampler),
            Self::Linear => {
                let rest = share.clone().neg() + 1.0;
                (rest * sampler.exp() + share * now.exp() + 1e-10).log()
            }
        }
    }
}
