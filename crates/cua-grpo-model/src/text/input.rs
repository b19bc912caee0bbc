//! What a forward pass of the decoder reads.

use super::RopeTables;
use crate::vision::VisionFeatures;
use burn::tensor::{Int, Tensor};
use cua_grpo_kernels::Mask;

/// What the decoder reads.
#[derive(Debug, Clone)]
pub struct DecoderInput {
    /// Token ids `[batch * time]`.
    pub tokens: Tensor<1, Int>,
    /// Rotary tables `[batch, 1, time, turned width of a head]`.
    pub rope: RopeTables,
    /// Which columns each token sees: without a cache those of its row, with one as the [`super::KvCache`] says.
    pub mask: Mask,
    /// Tokens of each row. Behind them a row is padded to the longest; in a packed batch the next one follows.
    pub lengths: Vec<usize>,
    /// Vision features and where they go.
    pub vision: Option<(VisionFeatures, VisualIndex)>,
    /// Numbers of the tokens whose states are wanted, in the flattened batch; all where there is none.
    pub wanted: Option<Tensor<1, Int>>,
}

/// Places of visual tokens in the flattened batch.
#[derive(Debug, Clone)]
pub struct VisualIndex {
    /// For each of the `batch * time` tokens: its own number where it is text, `batch * time + j` where visual row `j`
    /// stands in its place.
    pub splice: Tensor<1, Int>,
    /// For each token: 0 where it is text, `1 + j` where it is visual row `j`.
    pub add: Tensor<1, Int>,
    /// For each visual row, the number of the token in whose place it stands.
    pub places: Tensor<1, Int>,
}
