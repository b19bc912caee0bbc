//! Tensors that wait for the backward pass: where they are, or in the memory of the host.

#[cfg(feature = "cuda")]
use crate::cuda::Parked;
use burn::tensor::Tensor;

/// A matrix that is kept until it is read once more.
pub struct Kept(Place);

enum Place {
    Here(Tensor<2>),
    #[cfg(feature = "cuda")]
    Host(Parked),
}

impl Kept {
    /// Keeps `x` where it is.
    pub fn here(x: &Tensor<2>) -> Self {
        Self(Place::Here(x.clone()))
    }

    /// Copies `x` from a card to pinned memory of the host, and lets go of it on the card. Its bits stay the same. A tensor
    /// of the CPU is in that memory already: it is kept as by [`Kept::here`].
    pub fn offloaded(x: &Tensor<2>) -> Self {
        #[cfg(feature = "cuda")]
        if let Some(parked) = crate::cuda::route::park(x) {
            return Self(Place::Host(parked));
        }
        Self::here(x)
    }

    /// The matrix, on the device where it was.
    pub fn restore(self) -> Tensor<2> {
        match self.0 {
            Place::Here(x) => x,
            #[cfg(feature = "cuda")]
            Place::Host(parked) => parked.restore(),
        }
    }
}
