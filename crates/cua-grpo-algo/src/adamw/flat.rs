//! One flat tensor for many small parameters, so that an update is one pass and not hundreds.
//!
//! The layout keeps names and shapes; element order is row-major within a parameter, parameters in the given order.

use crate::AlgoError;
use burn::tensor::{Device, Tensor};

/// Names, shapes and places of parameters in a flat tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatLayout {
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
}

impl FlatLayout {
    /// A layout of named shapes.
    ///
    /// # Errors
    /// [`AlgoError::Value`] when a name occurs twice or there is no parameter.
    pub fn new(parameters: Vec<(String, Vec<usize>)>) -> Result<Self, AlgoError> {
        let operation = "flat layout";
        let (names, shapes): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
        let mut sorted: Vec<_> = names.iter().collect();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(AlgoError::Value {
                operation,
                what: "every name once",
                got: format!("{} twice", pair[0]),
            });
        }
        if names.is_empty() {
            return Err(AlgoError::Value {
                operation,
                what: "at least one parameter",
                got: "none".to_owned(),
            });
        }
        Ok(Self { names, shapes })
    }

    /// The layout of named tensors of one rank.
    ///
    /// # Errors
    /// As [`FlatLayout::new`].
    pub fn of<const D: usize>(parameters: &[(String, Tensor<D>)]) -> Result<Self, AlgoError> {
        Self::new(
            parameters
                .iter()
                .map(|(name, tensor)| (name.clone(), tensor.dims().to_vec()))
                .collect(),
        )
    }

    /// Names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Shapes, in order.
    pub fn shapes(&self) -> &[Vec<usize>] {
        &self.shapes
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.sizes().sum()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of elements of each parameter, in order.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + '_ {
        self.shapes.iter().map(|shape| shape.iter().product())
    }

    /// The parameters as one tensor `[len]`, without gradient.
    ///
    /// # Errors
    /// [`AlgoError::Shape`] when `tensors` do not fit the layout.
    pub fn flatten<const D: usize>(&self, tensors: Vec<Tensor<D>>) -> Result<Tensor<1>, AlgoError> {
        self.check_count("flatten", tensors.len())?;
        let mut parts = Vec::with_capacity(tensors.len());
        for (index, tensor) in tensors.into_iter().enumerate() {
            let (expected, got) = (&self.shapes[index], tensor.dims());
            if expected[..] != got {
                let (what, expected) = (self.names[index].clone(), expected.clone());
                return Err(AlgoError::Shape {
                    operation: "flatten",
                    what,
                    expected,
                    got: got.to_vec(),
                });
            }
            let size: usize = got.iter().product();
            parts.push(tensor.inner().reshape([size]));
        }
        Ok(Tensor::cat(parts, 0))
    }

    /// Gradients as one tensor `[len]` on `device`; a parameter that got none has a gradient of 0.
    ///
    /// # Errors
    /// [`AlgoError::Shape`] when `gradients` do not fit the layout.
    pub fn flatten_gradients<const D: usize>(
        &self,
        gradients: Vec<Option<Tensor<D>>>,
        device: &Device,
    ) -> Result<Tensor<1>, AlgoError> {
        self.check_count("flatten gradients", gradients.len())?;
        let mut filled = Vec::with_capacity(gradients.len());
        for (index, gradient) in gradients.into_iter().enumerate() {
            let shape: [usize; D] = self.shapes[index]
                .as_slice()
                .try_into()
                .map_err(|_| self.rank_error(index, D))?;
            filled.push(gradient.unwrap_or_else(|| Tensor::zeros(shape, device)));
        }
        self.flatten(filled)
    }

    /// The parts of a flat tensor, in their shapes.
    ///
    /// # Errors
    /// [`AlgoError::Shape`] when `flat` has another length or a parameter has another rank than `D`.
    pub fn split<const D: usize>(&self, flat: Tensor<1>) -> Result<Vec<Tensor<D>>, AlgoError> {
        if flat.dims() != [self.len()] {
            let (what, got) = ("flat tensor".to_owned(), flat.dims().to_vec());
            return Err(AlgoError::Shape {
                operation: "split",
                what,
                expected: vec![self.len()],
                got,
            });
        }
        let mut start = 0;
        let mut parts = Vec::with_capacity(self.shapes.len());
        for (index, size) in self.sizes().enumerate() {
            let shape: [usize; D] = self.shapes[index]
                .as_slice()
                .try_into()
                .map_err(|_| self.rank_error(index, D))?;
            parts.push(flat.clone().narrow(0, start, size).reshape(shape));
            start += size;
        }
        Ok(parts)
    }

    fn check_count(&self, operation: &'static str, got: usize) -> Result<(), AlgoError> {
        if got == self.names.len() {
            return Ok(());
        }
        let what = "list of parameters".to_owned();
        Err(AlgoError::Shape {
            operation,
            what,
            expected: vec![self.names.len()],
            got: vec![got],
        })
    }

    fn rank_error(&self, index: usize, rank: usize) -> AlgoError {
        let (what, expected) = (self.names[index].clone(), self.shapes[index].clone());
        AlgoError::Shape {
            operation: "flat layout",
            what,
            expected,
            got: vec![0; rank],
        }
    }
}
