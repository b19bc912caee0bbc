//! Between tensors of the CPU backend and slices of f32.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Element, TensorData};
use bytemuck::Pod;
use rayon::iter::plumbing::{Producer, ProducerCallback};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Elements of one piece of parallel work: large against the cost of a hand-over, small enough to stay in a core's cache.
pub(super) const CHUNK: usize = 16 * 1024;

/// Pieces of this many rows of `width` elements.
pub(super) fn chunk_rows(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

/// Memory for a result that is written in pieces.
///
/// A piece is zeroed by the thread that fills it, just before: zeroing all of a large result at once would send it
/// through memory one time more.
pub(super) struct Fresh {
    data: Vec<f32>,
    length: usize,
    written: AtomicUsize,
}

impl Fresh {
    /// Room for `length` elements.
    pub(super) fn new(length: usize) -> Self {
        Self {
            data: Vec::with_capacity(length),
            length,
            written: AtomicUsize::new(0),
        }
    }

    /// Pieces of `size` elements, the last one possibly shorter; each holds zeros.
    #[allow(unsafe_code)]
    pub(super) fn pieces(&mut self, size: usize) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        let Self { data, length, written } = self;
        *written.get_mut() = 0;
        let written = &*written;
        let pieces = data.spare_capacity_mut()[..*length].par_chunks_mut(size.max(1));
        pieces.map(move |piece| {
            piece.fill(MaybeUninit::new(0.0));
            written.fetch_add(piece.len(), Ordering::Relaxed);
            // SAFETY: every element was set in the line before last.
            unsafe { piece.assume_init_mut() }
        })
    }

    /// The result.
    ///
    /// # Panics
    /// When not all pieces were taken.
    #[allow(unsafe_code)]
    pub(super) fn finish(mut self) -> Vec<f32> {
        assert_eq!(
            self.written.into_inner(),
            self.length,
            "result in pieces: expected all of them to be written"
        );
        // SAFETY: the pieces do not overlap and their lengths add up to `length`, which is within the capacity, so
        // all elements up to there are set.
        unsafe { self.data.set_len(self.length) };
        self.data
    }
}

/// Runs `f` on every piece: on the pool, or right here where there is one piece only (handing it over costs more than
/// most of them do).
pub(super) fn each<I: IndexedParallelIterator>(pieces: I, f: impl Fn(I::Item) + Sync + Send) {
    struct Inline<F>(F);
    impl<T, F: Fn(T)> ProducerCallback<T> for Inline<F> {
        type Output = ();

        fn callback<P: Producer<Item = T>>(self, producer: P) {
            producer.into_iter().for_each(self.0);
        }
    }
    if pieces.len() <= 1 {
        pieces.with_producer(Inline(f));
    } else {
        pieces.for_each(f);
    }
}

/// `tensor` with its elements in order.
pub(super) fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The elements of a [`dense`] tensor.
pub(super) fn elements(tensor: &FlexTensor) -> &[f32] {
    values(tensor)
}

/// The elements of a [`dense`] tensor of another type.
pub(super) fn values<E: Element + Pod>(tensor: &FlexTensor) -> &[E] {
    let start = tensor.layout().start_offset();
    &tensor.storage::<E>()[start..start + tensor.layout().num_elements()]
}

/// A tensor of `shape` over `data`.
pub(super) fn tensor(data: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape.to_vec()))
}

/// The sizes of a tensor of four axes.
pub(super) fn sizes(tensor: &FlexTensor) -> [usize; 4] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// `[batch, heads, time, head_dim]` over data that lies as `[batch, time, heads, head_dim]`.
///
/// The model joins heads right after attention and splits them right before: this way neither copies.
pub(super) fn time_major(data: Vec<f32>, [batch, heads, time, dim]: [usize; 4]) -> FlexTensor {
    let strides = [time * heads * dim, dim, heads * dim, 1].map(|stride| stride as isize);
    let flat = tensor(data, &[batch * heads * time * dim]);
    flat.with_layout(Layout::new(vec![batch, heads, time, dim].into(), strides.to_vec(), 0))
}

/// A view of four axes whose last one is contiguous.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    tensor: FlexTensor,
    /// `[batch, heads, time, head_dim]`
    pub(super) sizes: [usize; 4],
    /// Distance between neighbours on the first three axes.
    pub(super) strides: [usize; 3],
}

impl Heads {
    /// A view of `tensor`, which is copied where its last axis is not contiguous.
    pub(super) fn new(tensor: FlexTensor) -> Self {
        let sizes = sizes(&tensor);
        let strides = tensor.layout().strides();
        let plain = strides.iter().all(|&stride| stride >= 0) && (strides[3] == 1 || sizes[3] == 1);
        let tensor = if plain { tensor } else { tensor.to_contiguous() };
        let strides = tensor.layout().strides();
        let strides = [0, 1, 2].map(|axis| strides[axis].unsigned_abs());
        Self { tensor, sizes, strides }
    }

    /// What lies at and after head `head` of row `row`; neighbours in time are `strides[2]` apart.
    pub(super) fn from(&self, row: usize, head: usize) -> &[f32] {
        let offset = self.tensor.layout().start_offset() + row * self.strides[0] + head * self.strides[1];
        &self.tensor.storage::<f32>()[offset..]
    }
}
