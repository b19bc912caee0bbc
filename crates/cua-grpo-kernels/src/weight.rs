//! Weights of linear maps: a matrix or four bits a value (NF4, Dettmers et al. 2023), a low-rank update, and gradients.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Weight `[out, in]` of a linear map.
///
/// On the CPU, bf16 and four bits only save memory: arithmetic is in f32.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "handles of tensors: a model holds some hundred of them, and no list"
)]
pub enum Weight {
    /// In f32 or bf16.
    Dense(Tensor<2>),
    /// In four bits: a constant, which no gradient reaches.
    Nf4(Nf4),
}

impl Weight {
    /// `[out, in]`
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Dense(weight) => weight.dims(),
            Self::Nf4(weight) => weight.dims(),
        }
    }

    /// Whether it may get a gradient: it is dense and on a tape.
    pub(crate) fn is_tracked(&self) -> bool {
        matches!(self, Self::Dense(weight) if weight.is_tracked())
    }

    /// The matrix that the weight stands for: in f32 where it is in four bits, as it is stored otherwise.
    pub fn dense(&self) -> Tensor<2> {
        match self {
            Self::Dense(weight) => weight.clone(),
            Self::Nf4(weight) => weight.dequantise(),
        }
    }
}

impl From<Tensor<2>> for Weight {
    fn from(weight: Tensor<2>) -> Self {
        Self::Dense(weight)
    }
}

impl From<Nf4> for Weight {
    fn from(weight: Nf4) -> Self {
        Self::Nf4(weight)
    }
}

/// A low-rank update of a weight, `scaling B A` (LoRA, Hu et al. 2021).
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[r, in]`
    pub a: Tensor<2>,
    /// `[out, r]`
    pub b: Tensor<2>,
    /// Of the product.
    pub scaling: f64,
}

impl Lora {
    /// The update without a place in a graph.
    #[must_use]
    pub fn without_autodiff(self) -> Self {
        Self {
            a: self.a.without_autodiff(),
            b: self.b.without_autodiff(),
            scaling: self.scaling,
        }
    }

    /// The rank `r`.
    pub fn rank(&self) -> usize {
        self.a.dims()[0]
    }

    /// Whether the factors update a weight `[out, in]`.
    pub(crate) fn fits(&self, [out, width]: [usize; 2]) -> bool {
        self.a.dims()[1] == width && self.b.dims() == [out, self.rank()]
    }
}

/// Gradients of a linear map; see [`crate::linear_gradients`].
#[derive(Debug)]
pub struct LinearGradients {
    /// Of its input, `[rows, in]`.
    pub x: Tensor<2>,
    /// Of A `[r, in]` and B `[out, r]`, where there is an update.
    pub factors: Option<[Tensor<2>; 2]>,
}

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
