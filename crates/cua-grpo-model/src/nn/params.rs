//! Named access to every tensor of the model, in checkpoint order and under checkpoint names.

use super::Linear;
use burn::tensor::Tensor;

/// A tensor of the model. Every weight is a vector or a matrix (the patch convolution is stored flattened).
pub enum Slot<'a> {
    /// A bias or a norm weight.
    Vector(&'a mut Tensor<1>),
    /// A weight `[out, in]` or an embedding `[rows, width]`.
    Matrix(&'a mut Tensor<2>),
}

impl Slot<'_> {
    /// The shape of the tensor.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Self::Vector(tensor) => tensor.dims().to_vec(),
            Self::Matrix(tensor) => tensor.dims().to_vec(),
        }
    }
}

/// Receives the name and the place of each base tensor (adapters are not among them).
pub type ParamVisitor<'a> = dyn FnMut(&str, Slot<'_>) + 'a;

/// Receives the module path of each linear map that an adapter may attach to.
pub type LinearVisitor<'a> = dyn FnMut(&str, &mut Linear) + 'a;

/// `path.name`, or `name` at the root.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
