//! Tensors below burn's dispatch, and the layouts that launches read.

use super::blas::Element;
use super::error::CudaError;
use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;

/// The CUDA tensor inside a tensor, without its place in a graph.
pub(super) fn primitive<const D: usize>(tensor: &Tensor<D>) -> Result<CubeTensor, CudaError> {
    cube(tensor.clone().without_autodiff().into_dispatch())
}

/// The CUDA tensor inside a dispatched one.
pub(super) fn cube(tensor: DispatchTensor) -> Result<CubeTensor, CudaError> {
    match tensor.kind {
        DispatchTensorKind::Cube(BackendTensor::Float(tensor) | BackendTensor::Int(tensor)) => Ok(tensor),
        other => Err(CudaError::new("expected a tensor on a CUDA card", format!("{other:?}"))),
    }
}

/// `tensor` as burn's users see it, with the dispatch of `like`.
pub(super) fn dispatched<const D: usize>(like: Tensor<D>, tensor: CubeTensor) -> Tensor<D> {
    let mut dispatch = like.into_dispatch();
    dispatch.kind = DispatchTensorKind::Cube(BackendTensor::Float(tensor));
    Tensor::from_dispatch(dispatch)
}

/// A fresh contiguous tensor on the device of `like`, not filled.
pub(super) fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let shape = shape.into();
    let handle = like.client.empty(shape.num_elements() * dtype.size());
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, dtype)
}

/// The tensor in `dtype`, one row after the other: burn pads the rows of some tensors, also those that a cast makes.
pub(super) fn dense(tensor: CubeTensor, dtype: DType) -> CubeTensor {
    into_contiguous(cast(tensor, dtype))
}

/// A matrix as products read it: dense rows, whose starts may lie further apart than their width. Burn pads the rows of
/// many matrices; a weight would be copied at each use.
pub(super) fn matrix(tensor: CubeTensor) -> CubeTensor {
    let strides = tensor.meta.strides();
    let (row, step) = (strides[0], strides[1]);
    if step == 1 && row >= rows_of(&tensor)[1] && (row * tensor.dtype.size()).is_multiple_of(16) {
        tensor
    } else {
        into_contiguous(tensor)
    }
}

/// A weight that is read by address alone: burn must not have padded its rows.
pub(super) fn whole(weight: CubeTensor) -> Result<CubeTensor, CudaError> {
    let strides = weight.meta.strides();
    if strides[strides.len() - 1] == 1 && strides[0] == weight.meta.shape()[strides.len() - 1] {
        Ok(weight)
    } else {
        let found = format!("shape {:?} with strides {strides:?}", weight.meta.shape());
        Err(CudaError::new(
            "decoder: expected a weight without gaps between its rows",
            found,
        ))
    }
}

/// Elements from one row of a [`matrix`] to the next.
pub(super) fn row_stride(tensor: &CubeTensor) -> usize {
    tensor.meta.strides()[0]
}

/// Rows and width of a matrix.
pub(super) fn rows_of(tensor: &CubeTensor) -> [usize; 2] {
    let shape = tensor.meta.shape();
    [shape[0], shape[1]]
}

/// The format of a tensor that [`super::route`] lets in.
pub(super) fn element_of(dtype: DType) -> Element {
    if dtype == DType::F32 {
        Element::F32
    } else {
        Element::Bf16
    }
}
