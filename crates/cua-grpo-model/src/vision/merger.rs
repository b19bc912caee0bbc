//! Mergers: four patches become one row of the text decoder's width.

use super::block::Norm;
use crate::VisionConfig;
use crate::nn::{Initializer, Linear, LinearConfig, LinearVisitorMut, ParamVisitorMut, join};
use burn::tensor::Tensor;
use cua_grpo_kernels as kernels;

/// Norm, concatenation of a block of patches, two linear maps with exact GELU between.
#[derive(Debug, Clone)]
pub struct PatchMerger {
    norm: Norm,
    linear_fc1: Linear,
    linear_fc2: Linear,
    /// Deepstack mergers concatenate first and norm the wide row; the final merger norms each patch.
    norm_after_concat: bool,
}

impl PatchMerger {
    pub(crate) fn init(config: &VisionConfig, norm_after_concat: bool, init: &mut Initializer) -> Self {
        let wide = config.hidden_size * config.spatial_merge_size.pow(2);
        Self {
            norm: Norm::init(if norm_after_concat { wide } else { config.hidden_size }, init),
            linear_fc1: LinearConfig::new(wide, wide, true).init(init),
            linear_fc2: LinearConfig::new(wide, config.out_hidden_size, true).init(init),
            norm_after_concat,
        }
    }

    /// # Shapes
    /// - x: `[patches, hidden]` in block-major order; output: `[patches / 4, out_hidden]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let wide = self.linear_fc1.dims()[1];
        let [patches, hidden] = x.dims();
        let shape = [patches * hidden / wide, wide];
        let x = if self.norm_after_concat {
            self.norm.forward(x.reshape(shape))
        } else {
            self.norm.forward(x).reshape(shape)
        };
        self.linear_fc2.forward(kernels::gelu_erf(self.linear_fc1.forward(x)))
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.norm.visit_mut(&join(path, "norm"), visitor);
        self.linear_fc1.visit_mut(&join(path, "linear_fc1"), visitor);
        self.linear_fc2.visit_mut(&join(path, "linear_fc2"), visitor);
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.linear_fc1.visit_linear_mut(&join(path, "linear_fc1"), visitor);
        self.linear_fc2.visit_linear_mut(&join(path, "linear_fc2"), visitor);
    }
}
