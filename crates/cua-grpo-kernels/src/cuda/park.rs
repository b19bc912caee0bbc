//! Matrices in pinned memory of the host: copied there and back on the stream of the sections, in order with all else.

use super::error::{CudaError, Named};
use super::section::{Address, section};
use super::tensor::{dispatched, empty};
use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;
use cubecl_common::device::DeviceId;
use cudarc::driver::sys as cu;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Pinned memory is allocated in multiples of this.
const GRAIN: usize = 1 << 20;

/// Memory of the host that the card copies to and from by itself.
struct Pinned {
    at: *mut c_void,
    bytes: usize,
    /// The card on whose stream it was used.
    device: DeviceId,
}

// SAFETY: the memory belongs to this value alone, and is touched by copies of the card's stream only.
unsafe impl Send for Pinned {}

/// What is not in use. Pinning takes long, and a training step needs what the one before it has needed. A piece is taken
/// again by the same card only: the copies of its stream happen in order, so the last one out is over before the next in.
static FREE: Mutex<Vec<Pinned>> = Mutex::new(Vec::new());

impl Pinned {
    /// Memory for `bytes`: the smallest free piece that does, and is not more than twice as large.
    fn take(bytes: usize, device: DeviceId) -> Result<Self, CudaError> {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |piece: &Pinned| piece.device == device && (bytes..=2 * bytes.max(GRAIN)).contains(&piece.bytes);
        let pieces = free.iter().enumerate().filter(|(_, piece)| fits(piece));
        if let Some((index, _)) = pieces.min_by_key(|(_, piece)| piece.bytes) {
            return Ok(free.swap_remove(index));
        }
        drop(free);
        let (mut at, bytes) = (std::ptr::null_mut(), bytes.next_multiple_of(GRAIN));
        // SAFETY: the pointer is valid, and a context is current on the device thread.
        unsafe { cu::cuMemHostAlloc(&mut at, bytes, cu::CU_MEMHOSTALLOC_PORTABLE) }
            .result()
            .named(&format!(
                "pin {bytes} bytes of the host's memory (activation_offloading)"
            ))?;
        Ok(Self { at, bytes, device })
    }
}

/// A piece that goes back to the free ones.
struct Piece(Option<Pinned>);

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(pinned) = self.0.take() {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(pinned);
        }
    }
}

/// A matrix in pinned memory.
pub(crate) struct Parked {
    /// Filled by the device thread, when it is told to copy.
    piece: Arc<OnceLock<Mutex<Piece>>>,
    /// Where it comes back to: nothing is kept of its values.
    like: Tensor<2>,
    shape: [usize; 2],
    dtype: burn::tensor::DType,
}

/// Copies the dense matrix `x` out; `like` is any tensor of its card.
pub(super) fn park(x: &CubeTensor, shape: [usize; 2], like: Tensor<2>) -> Parked {
    let (dtype, bytes) = (x.dtype, shape.iter().product::<usize>() * x.dtype.size());
    let device = x.client.service_id().device;
    let piece = Arc::new(OnceLock::new());
    let filled = piece.clone();
    section([x], move |cx, [from]| {
        let pinned = Pinned::take(bytes, device)?;
        let to = pinned.at;
        // It is in its place before the copy is asked for, so that it is never lost to an error.
        let _ = filled.set(Mutex::new(Piece(Some(pinned))));
        // SAFETY: the memory is pinned and as large; it is read only by copies that the same stream orders behind this one.
        unsafe { cu::cuMemcpyDtoHAsync_v2(to, from, bytes, cx.gpu.stream) }
            .result()
            .named("copy to the host")
    });
    Parked {
        piece,
        like,
        shape,
        dtype,
    }
}

impl Parked {
    /// Brings it back.
    pub fn restore(self) -> Tensor<2> {
        let Self {
            piece,
            like,
            shape,
            dtype,
        } = self;
        let Ok(card) = super::tensor::primitive(&like) else {
            return like;
        };
        let output = empty(&card, shape, dtype);
        let bytes = shape.iter().product::<usize>() * dtype.size();
        section([&output], move |cx, [to]| back(&piece, to, bytes, cx.gpu.stream));
        dispatched(like, output)
    }
}

fn back(piece: &OnceLock<Mutex<Piece>>, to: Address, bytes: usize, stream: cu::CUstream) -> Result<(), CudaError> {
    let lost = || CudaError::new("a matrix that was to wait in the host's memory", "was not copied there");
    let piece = piece.get().ok_or_else(lost)?;
    let piece = piece.lock().unwrap_or_else(PoisonError::into_inner);
    let pinned = piece.0.as_ref().ok_or_else(lost)?;
    // SAFETY: the piece holds as many bytes; later copies into it are ordered behind this one.
    unsafe { cu::cuMemcpyHtoDAsync_v2(to, pinned.at, bytes, stream) }
        .result()
        .named("copy from the host")
}
