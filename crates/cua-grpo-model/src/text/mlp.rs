//! The gated MLP of a decoder layer.

use crate::TextConfig;
use crate::nn::{Activation, Initializer, Linear, LinearConfig, LinearVisitorMut, ParamVisitorMut, join};
use burn::tensor::Tensor;

/// `residual + down(act(gate x) * up x)`.
#[derive(Debug, Clone)]
pub struct TextMlp {
    pub(crate) gate_proj: Linear,
    pub(crate) up_proj: Linear,
    pub(crate) down_proj: Linear,
    act: Activation,
}

impl TextMlp {
    pub(crate) fn init(config: &TextConfig, width: usize, init: &mut Initializer) -> Self {
        let hidden = config.hidden_size;
        Self {
            gate_proj: LinearConfig::new(hidden, width, false).init(init),
            up_proj: LinearConfig::new(hidden, width, false).init(init),
            down_proj: LinearConfig::new(width, hidden, false).init(init),
            act: config.hidden_act,
        }
    }

    /// # Shapes
    /// - residual, x, output: `[tokens, hidden]`
    pub fn forward(&self, residual: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        self.down_proj.forward_onto(residual, self.inner(x))
    }

    /// What the last map is applied to.
    ///
    /// # Shapes
    /// - x: `[tokens, hidden]`; output: `[tokens, width]`
    pub(crate) fn inner(&self, x: Tensor<2>) -> Tensor<2> {
        let gate = self.gate_proj.forward(x.clone());
        self.act.gated(gate, self.up_proj.forward(x))
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.gate_proj.visit_mut(&join(path, "gate_proj"), visitor);
        self.up_proj.visit_mut(&join(path, "up_proj"), visitor);
        self.down_proj.visit_mut(&join(path, "down_proj"), visitor);
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.gate_proj.visit_linear_mut(&join(path, "gate_proj"), visitor);
        self.up_proj.visit_linear_mut(&join(path, "up_proj"), visitor);
        self.down_proj.visit_linear_mut(&join(path, "down_proj"), visitor);
    }
}
