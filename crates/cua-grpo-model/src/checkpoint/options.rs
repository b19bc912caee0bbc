//! How a checkpoint is loaded.

use super::{Nf4Options, WeightDtype};
use crate::nn::Param;

/// How the weights of a checkpoint are held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Format of the matrices: weights of linear maps, embedding, head. Norms, biases, the position table of the vision
    /// tower, routers and convolutions stay f32: they are small, and enter sums.
    pub dtype: WeightDtype,
    /// Round the linear maps to four bits. A checkpoint of bitsandbytes in four bits is held so in any case.
    pub nf4: Option<Nf4Options>,
}

/// Matrices that stay f32.
const SMALL: [&str; 3] = [".pos_embed.weight", ".mlp.gate.weight", ".conv1d.weight"];

impl LoadOptions {
    /// Matrices in the format `dtype`.
    pub fn new(dtype: WeightDtype) -> Self {
        Self { dtype, nf4: None }
    }

    /// Linear maps in four bits, the other matrices in the format `dtype`.
    pub fn quantised(dtype: WeightDtype, nf4: Nf4Options) -> Self {
        Self { dtype, nf4: Some(nf4) }
    }

    /// The format of the tensor of that name and kind.
    pub(crate) fn dtype_of(&self, name: &str, param: &Param<'_>) -> WeightDtype {
        match param {
            Param::Vector(_) => WeightDtype::F32,
            Param::Matrix(_) if SMALL.iter().any(|end| name.ends_with(end)) => WeightDtype::F32,
            Param::Matrix(_) => self.dtype,
        }
    }
}
