//! What can be asked of a card.

use super::error::CudaError;
use super::section::try_section;
use super::tensor::primitive;
use burn::tensor::{Device, Tensor};
use cudarc::driver::{result, sys};

/// Number of CUDA cards: 0 also where there is no driver.
pub fn cards() -> usize {
    // SAFETY: looks for the library of the driver, and loads it.
    let present = unsafe { sys::is_culib_present() };
    if !present || result::init().is_err() {
        return 0;
    }
    result::device::get_count().map_or(0, |count| count.max(0) as usize)
}

/// Free and total bytes of the card `device`.
///
/// # Errors
/// When `device` is no CUDA card.
pub fn memory(device: &Device) -> Result<(usize, usize), CudaError> {
    let probe = primitive(&Tensor::<1>::zeros([1], device))?;
    try_section(&probe.client, |_| {
        result::mem_get_info().map_err(|error| CudaError::new("cuMemGetInfo", error))
    })
}

/// Whether `device` is a card that runs our kernels, a [`super::Decoder`] among them: compute capability 8.0 and newer.
pub fn decodes(device: &Device) -> bool {
    let Ok(probe) = primitive(&Tensor::<1>::zeros([1], device)) else {
        return false;
    };
    try_section(&probe.client, |_| Ok(())).is_ok()
}
