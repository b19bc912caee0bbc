//! Four-bit weights (NF4, Dettmers et al. 2023): the type, and linear maps with them.

use crate::extension::{Bias, FusedOps};
use crate::route::{is_fused, like};
use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Elements that share a scale.
pub const BLOCK: usize = 64;

/// What the sixteen codes stand for: quantiles of a normal distribution, with 0 and both ends among them.
pub const CODE: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// A frozen matrix `[out, in]` in four bits a value: `CODE[code] * absmax` of the block.
///
/// The matrix is flattened row after row and cut into blocks of [`BLOCK`]; a block may begin in the middle of a row.
/// Only the layout is fixed here: where scales were quantised themselves (double quantisation), `absmax` holds what
/// they mean.
#[derive(Debug, Clone)]
pub struct Nf4 {
    /// Two codes a byte `[ceil(out * in / 2)]` in u8; the first of each pair is in the high nibble.
    pub codes: Tensor<1, Int>,
    /// Scale of each block `[ceil(out * in / 64)]` in f32.
    pub absmax: Tensor<1>,
    /// `[out, in]`
    pub shape: [usize; 2],
}

/// Why numbers make no four-bit matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nf4Error {
    /// Too few or too many of them.
    #[error("NF4 weight of shape {shape:?}: expected {expected} {what}, got {got}")]
    Count {
        /// `[out, in]`
        shape: [usize; 2],
        /// What there is a wrong number of.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// An infinity or NaN, which no scale fits.
    #[error("quantise weight of shape {shape:?}: expected finite values, element {index} is not; is the file damaged?")]
    NotFinite {
        /// `[out, in]`
        shape: [usize; 2],
        /// Number of the element in the flattened matrix.
        index: usize,
    },
}

impl Nf4 {
    /// A matrix from codes and scales on the host.
    ///
    /// # Errors
    /// When there are not as many as the shape needs.
    pub fn new(codes: Vec<u8>, absmax: Vec<f32>, shape: [usize; 2], device: &Device) -> Result<Self, Nf4Error> {
        let count = shape[0] * shape[1];
        let check = |what, expected, got| {
            let error = Nf4Error::Count {
                shape,
                what,
                expected,
                got,
            };
            if expected == got { Ok(()) } else { Err(error) }
        };
        check("bytes of codes", count.div_ceil(2), codes.len())?;
        check("scales", count.div_ceil(BLOCK), absmax.len())?;
        let (bytes, blocks) = (codes.len(), absmax.len());
        Ok(Self {
            codes: Tensor::from_data(TensorData::new(codes, [bytes]), (device, DType::U8)),
            absmax: Tensor::from_data(TensorData::new(absmax, [blocks]), (device, DType::F32)),
            shape,
        })
    }

    /// A shape without values, for a weight that is about to be read.
    pub fn placeholder(shape: [usize; 2], device: &Device) -> Self {
        Self {
            codes: Tensor::zeros([1], (device, DType::U8)),
            absmax: Tensor::zeros([1], (device, DType::F32)),
            shape,
        }
    }

    /// `[out, in]`
    pub fn dims(&self) -> [usize; 2] {
        self.shape
    }

    /// The matrix in f32, in plain tensor operations.
    pub fn dequantise(&self) -> Tensor<2> {
        let count = self.shape[0] * self.shape[1];
        let codes = self.codes.clone().cast(DType::I64);
        let (high, low) = (
            codes.clone().bitwise_right_shift_scalar(4),
            codes.bitwise_and_scalar(15),
        );
        let codes: Tensor<1, Int> = Tensor::stack::<2>(vec![high, low], 1).flatten(0, 1);
        let device = self.absmax.device();
        let table = Tensor::<1>::from_data(TensorData::new(CODE.to_vec(), [16]), (&device, DType::F32));
        let scales = self.absmax.clone().unsqueeze_dim::<2>(1).repeat_dim(1, BLOCK);
        let scales: Tensor<1> = scales.flatten(0, 1);
        (table.select(0, codes.narrow(0, 0, count)) * scales.narrow(0, 0, count)).reshape(self.shape)
    }
}

/// `x W^T + b`, and `+ scaling * (x A^T) B^T` with `lora` as `((A, B), scaling)`: a linear map with four-bit weights
/// (QLoRA, Dettmers et al. 2023).
///
/// The weight gets no gradient; x, bias and the low-rank factors do. Arithmetic is in the type of `x`.
///
/// # Shapes
/// - x: `[rows, in]`; weight: `[out, in]`; bias: `[out]`; A: `[r, in]`; B: `[out, r]`; output: `[rows, out]`
pub fn linear_nf4(
    x: Tensor<2>,
    weight: &Nf4,
    bias: Option<Tensor<1>>,
    lora: Option<((Tensor<2>, Tensor<2>), f64)>,
) -> Tensor<2> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::linear_nf4(&x, weight, &bias, &lora) {
        return output;
    }
    let bias = bias.map(|bias| like(bias, &x));
    let [out, width] = weight.shape;
    let stored =
        is_fused(&weight.absmax) && weight.codes.dtype() == DType::U8 && weight.codes.device() == Device::flex();
    let fits = x.dims()[1] == width && bias.as_ref().is_none_or(|bias| is_fused(bias) && bias.dims() == [out]);
    let low = lora.as_ref().is_none_or(|((a, b), _)| {
        let rank = a.dims()[0];
        is_fused(a) && is_fused(b) && a.dims() == [rank, width] && b.dims() == [out, rank]
    });
    if !(is_fused(&x) && stored && fits && low) {
        return reference::linear_nf4(x, weight, bias, lora);
    }
    let (x, bias) = (x.into_dispatch(), Bias::from(bias));
    let (codes, absmax) = (
        weight.codes.clone().into_dispatch(),
        weight.absmax.clone().into_dispatch(),
    );
    Tensor::from_dispatch(match lora {
        None => <Dispatch as FusedOps>::linear_nf4(x, codes, absmax, out, bias),
        Some(((a, b), scaling)) => {
            let (a, b) = (a.into_dispatch(), b.into_dispatch());
            <Dispatch as FusedOps>::linear_nf4_lora(x, codes, absmax, out, bias, a, b, scaling)
        }
    })
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use super::Nf4;
    use crate::route::like;
    use burn::tensor::Tensor;

    /// Reference of [`crate::linear_nf4`].
    pub fn linear_nf4(
        x: Tensor<2>,
        weight: &Nf4,
        bias: Option<Tensor<1>>,
        lora: Option<((Tensor<2>, Tensor<2>), f64)>,
    ) -> Tensor<2> {
        let weight = like(weight.dequantise(), &x);
        match lora {
            None => crate::linear::reference::linear(x, weight, bias),
            Some((factors, scaling)) => crate::linear::reference::linear_lora(x, weight, bias, factors, scaling),
        }
    }
}
