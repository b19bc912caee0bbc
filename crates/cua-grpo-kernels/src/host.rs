//! Values on the host: the one place where the host waits for what it computed.

use burn::tensor::Tensor;

/// The values of a float tensor in f32, row-major, whatever the device and the format.
///
/// # Panics
/// When an operation on a card failed before: what it was computed from cannot be trusted.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.without_autodiff().into_data().convert::<f32>();
    #[cfg(feature = "cuda")]
    crate::cuda::raise();
    data.try_to_vec::<f32>()
        .unwrap_or_else(|error| unreachable!("data was converted to f32: {error:?}"))
}
