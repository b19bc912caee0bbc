//! The decoder by blocks: a forward pass that keeps the inputs of the halves of each layer, and its backward pass.

use super::DecoderInput;
use super::decoder::TextDecoder;
use crate::blocks::AdapterGradients;
use crate::nn::join;
use crate::vision::VisionFeatures;
use burn::tensor::Tensor;
use cua_grpo_kernels::Kept;

/// What the backward pass of the decoder reads.
pub struct DecoderTape {
    input: DecoderInput,
    /// The input of each layer, followed by what its first half gave.
    states: Vec<Kept>,
}

impl TextDecoder {
    /// The output of the last layer, before the final norm, keeping by `keep` what
    /// [`TextDecoder::backward_blocks`] needs.
    pub(crate) fn forward_blocks(&self, input: DecoderInput, keep: fn(&Tensor<2>) -> Kept) -> (Tensor<2>, DecoderTape) {
        let mut states = Vec::with_capacity(2 * self.num_layers());
        let x = self.run(&input, None, |x| states.push(keep(x)));
        (x, DecoderTape { input, states })
    }

    /// Pulls the gradient of the last layer's output back to the adapters of the decoder, which `self` holds as leaves,
    /// and to the vision features where there are some.
    pub(crate) fn backward_blocks(
        &mut self,
        path: &str,
        tape: DecoderTape,
        mut grad: Tensor<2>,
        gradients: &mut AdapterGradients,
    ) -> Option<VisionFeatures> {
        let DecoderTape { input, mut states } = tape;
        let mut deepstack = Vec::new();
        for number in (0..self.num_layers()).rev() {
            let (Some(middle), Some(state)) = (states.pop(), states.pop()) else {
                break;
            };
            let (middle, state) = (middle.restore(), state.restore());
            if let Some((features, index)) = &input.vision
                && number < features.deepstack.len()
            {
                // The feature is added: its gradient is the layer's, at the visual tokens.
                deepstack.push(grad.clone().select(0, index.places.clone()));
            }
            let path = join(path, &format!("layers.{number}"));
            let layer = self.layer_mut(number);
            grad = layer.pull(&path, [&state, &middle], grad, &input, gradients);
        }
        // Merged rows stand in the places of embeddings, which are frozen.
        let (_, index) = input.vision?;
        let merged = grad.select(0, index.places);
        deepstack.reverse();
        Some(VisionFeatures { merged, deepstack })
    }
}
