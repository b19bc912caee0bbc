//! Indices as tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Indices on `device`.
pub(crate) fn ints(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
