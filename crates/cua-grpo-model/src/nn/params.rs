//! Named access to every tensor of the model, in checkpoint order and under checkpoint names.

use burn::tensor::Tensor;

/// A tensor of the model, to read. Every weight is a vector or a matrix (the patch convolution is stored flattened).
pub enum Param<'a> {
    /// A bias or a norm weight.
    Vector(&'a Tensor<1>),
    /// A weight `[out, in]` or an embedding `[rows, width]`.
    Matrix(&'a Tensor<2>),
}

impl Param<'_> {
    /// The shape of the tensor.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Self::Vector(tensor) => tensor.dims().to_vec(),
            Self::Matrix(tensor) => tensor.dims().to_vec(),
        }
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.dims().iter().product()
    }
}

/// A tensor of the model, to change.
pub enum ParamMut<'a> {
    /// A bias or a norm weight.
    Vector(&'a mut Tensor<1>),
    /// A weight `[out, in]` or an embedding `[rows, width]`.
    Matrix(&'a mut Tensor<2>),
}

impl ParamMut<'_> {
    /// The same tensor, to read.
    pub fn as_ref(&self) -> Param<'_> {
        match self {
            Self::Vector(tensor) => Param::Vector(tensor),
            Self::Matrix(tensor) => Param::Matrix(tensor),
        }
    }

    /// The shape of the tensor.
    pub fn dims(&self) -> Vec<usize> {
        self.as_ref().dims()
    }
}

/// Receives the name of each base tensor (adapters are not among them), and the tensor to read.
pub type ParamVisitor<'a> = dyn FnMut(&str, Param<'_>) + 'a;

/// The same, to change the tensor.
pub type ParamVisitorMut<'a> = dyn FnMut(&str, ParamMut<'_>) + 'a;

/// `path.name`, or `name` at the root.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
