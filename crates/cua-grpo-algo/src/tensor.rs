//! Helpers that keep what lies under the mask, so that padding can hold anything, even NaN.

use crate::AlgoError;
use burn::tensor::Tensor;

/// `values` where `mask` is not 0, else 0; no gradient flows from what is left out.
///
/// # Shapes
/// Both `[rows, time]`.
pub(crate) fn masked(values: Tensor<2>, mask: &Tensor<2>) -> Tensor<2> {
    values.mask_fill(mask.clone().equal_scalar(0.0), 0.0)
}

/// Number of masked-in tokens a row, at least 1. Shape `[rows, 1]`.
pub(crate) fn row_lengths(mask: &Tensor<2>) -> Tensor<2> {
    mask.clone().sum_dim(1).clamp_min(1.0)
}

/// Reads a small tensor.
pub(crate) fn read<const D: usize>(operation: &'static str, tensor: Tensor<D>) -> Result<Vec<f32>, AlgoError> {
    tensor.try_into_vec_as::<f32>().map_err(|error| AlgoError::Read {
        operation,
        message: error.to_string(),
    })
}

/// Checks a shape.
pub(crate) fn expect_shape<const D: usize>(
    operation: &'static str,
    what: &str,
    tensor: &Tensor<D>,
    expected: [usize; D],
) -> Result<(), AlgoError> {
    let got = tensor.dims();
    if got == expected {
        return Ok(());
    }
    Err(AlgoError::Shape {
        operation,
        what: what.to_owned(),
        expected: expected.to_vec(),
        got: got.to_vec(),
    })
}
