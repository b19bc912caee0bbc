//! The weight of a linear map: a matrix in f32 or bf16, or frozen in four bits.

use super::LoraPair;
use burn::tensor::Tensor;
use cua_grpo_kernels::{self as kernels, Frozen, Nf4};

/// Weight `[out, in]` of a linear map.
///
/// On the CPU, bf16 and four bits only save memory: arithmetic is in f32.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // A model holds some hundred of them, and no list of them.
pub enum Weight {
    /// In f32 or bf16.
    Dense(Tensor<2>),
    /// In four bits: a constant, which no gradient reaches.
    Nf4(Nf4),
}

impl Weight {
    /// `[out, in]`
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Dense(weight) => weight.dims(),
            Self::Nf4(weight) => weight.dims(),
        }
    }

    /// Applies the map, with its bias and low-rank update where there are.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub fn forward(&self, x: Tensor<2>, bias: Option<Tensor<1>>, lora: Option<&LoraPair>) -> Tensor<2> {
        kernels::linear_of(x, self.frozen(), bias, lora.map(LoraPair::update))
    }

    /// The weight as the kernels take it.
    pub(super) fn frozen(&self) -> Frozen<'_> {
        match self {
            Self::Dense(weight) => Frozen::Dense(weight),
            Self::Nf4(weight) => Frozen::Nf4(weight),
        }
    }

    /// The matrix that the weight stands for: in f32 where it is in four bits, as it is stored otherwise.
    pub fn dense(&self) -> Tensor<2> {
        match self {
            Self::Dense(weight) => weight.clone(),
            Self::Nf4(weight) => weight.dequantise(),
        }
    }
}
