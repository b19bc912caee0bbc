//! The fused operations with their operands, and the one extension of burn's backends that runs them.
//!
//! An operation is declared once, as a variant of [`Op`]. A backend takes part by [`Bodies`]: what an operation gives, and
//! how its gradients follow. Autodiff over any such backend is one implementation for all operations, in `autodiff.rs`.
//! The functions at the root of the crate decide which tensors come here and check their shapes.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::Tensor;

/// Which GELU: by tanh (the vision blocks) or by erf (the mergers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`
    Tanh,
    /// `0.5 x (1 + erf(x / sqrt 2))`
    Erf,
}

/// [`crate::Weight`] below burn's dispatch.
#[derive(Debug, Clone, ExtensionType)]
pub enum Weight<B: Backend> {
    /// `[out, in]`
    Dense(FloatTensor<B>),
    /// As [`crate::Nf4`].
    Nf4 {
        /// Two a byte.
        codes: IntTensor<B>,
        /// Scales of the blocks.
        absmax: FloatTensor<B>,
        /// `[out, in]`
        shape: [usize; 2],
    },
}

/// A bias, where there is one.
#[derive(Debug, Clone, ExtensionType)]
pub enum Bias<B: Backend> {
    /// `[out]`
    Given(FloatTensor<B>),
    /// No bias.
    Absent,
}

/// [`crate::Lora`] below burn's dispatch, where there is one.
#[derive(Debug, Clone, ExtensionType)]
pub enum Lora<B: Backend> {
    /// The factors A `[r, in]` and B `[out, r]`, and the scale of their product.
    Given {
        /// `[r, in]`
        a: FloatTensor<B>,
        /// `[out, r]`
        b: FloatTensor<B>,
        /// Of `B A`.
        scaling: f64,
    },
    /// No update.
    Absent,
}

/// An operation with its operands; shapes are those of the function that it is named after.
#[derive(Debug, Clone, ExtensionType)]
#[allow(missing_docs, reason = "the operands are those of the functions")]
pub enum Op<B: Backend> {
    /// [`crate::swiglu`]
    Swiglu { gate: FloatTensor<B>, up: FloatTensor<B> },
    /// [`crate::gelu_tanh`] and [`crate::gelu_erf`]
    Gelu { x: FloatTensor<B>, kind: Gelu },
    /// [`crate::rms_norm`]
    RmsNorm {
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        eps: f64,
    },
    /// [`crate::layer_norm`]
    LayerNorm {
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        eps: f64,
    },
    /// [`crate::rotate`]; no gradient reaches the tables
    Rotate {
        x: FloatTensor<B>,
        cos: FloatTensor<B>,
        sin: FloatTensor<B>,
    },
    /// [`crate::linear()`]; four bits have no gradient of the weight, nor has a card one beside an update
    Linear {
        x: FloatTensor<B>,
        #[extension_type]
        weight: Weight<B>,
        #[extension_type]
        bias: Bias<B>,
        #[extension_type]
        lora: Lora<B>,
        /// The weight may get a gradient: a card keeps the input for that alone.
        trained: bool,
    },
    /// [`crate::attention()`] over one part, with the mask `Causal` or `All`; on a card `Segments`, where there are some
    Attention {
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        causal: bool,
        segments: Vec<usize>,
    },
    /// [`crate::delta_rule`], what is read and the state on the axis of time: `[batch, heads, time + key_dim, width]`; on
    /// the CPU alone
    DeltaRule {
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        g: FloatTensor<B>,
        beta: FloatTensor<B>,
        state: FloatTensor<B>,
        lengths: Vec<usize>,
    },
    /// [`crate::cotangent()`]
    Cotangent {
        output: FloatTensor<B>,
        grad: FloatTensor<B>,
    },
    /// [`crate::rms_norm_carrying`], which adds nothing where no gradient flows
    #[cfg(feature = "cuda")]
    RmsNormCarrying {
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        eps: f64,
        carried: FloatTensor<B>,
    },
    /// [`crate::layer_norm_carrying`], which adds nothing where no gradient flows
    #[cfg(feature = "cuda")]
    LayerNormCarrying {
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        eps: f64,
        carried: FloatTensor<B>,
    },
    /// [`crate::rms_norm_rotate`]
    #[cfg(feature = "cuda")]
    RmsNormRotate {
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        eps: f64,
        cos: FloatTensor<B>,
        sin: FloatTensor<B>,
    },
    /// [`crate::attention_packed`]
    #[cfg(feature = "cuda")]
    AttentionPacked {
        qkv: FloatTensor<B>,
        cos: FloatTensor<B>,
        sin: FloatTensor<B>,
    },
    /// [`crate::head`]: no gradient is recorded
    #[cfg(feature = "cuda")]
    Logits {
        hidden: FloatTensor<B>,
        weight: FloatTensor<B>,
    },
    /// Product of the last two axes of `[batch, heads, m, k]` and `[batch, heads, k, n]` in f32
    #[cfg(feature = "cuda")]
    Matmul { a: FloatTensor<B>, b: FloatTensor<B> },
    /// [`crate::token_scores`], as log-probs and entropies `[2, rows]` in f32; a gradient flows from the log-probs alone, on
    /// a card to `hidden` alone
    TokenScores {
        hidden: FloatTensor<B>,
        weight: FloatTensor<B>,
        targets: IntTensor<B>,
        temperature: f64,
        chunk_rows: usize,
    },
}

/// Runs operations. [`Op::run`] calls it.
#[backend_extension(Flex, Cube: cfg(feature = "cuda"), Autodiff)]
pub trait FusedOps: Backend {
    /// What the operation gives.
    fn fused(#[extension_type] op: Op<Self>) -> FloatTensor<Self>;
}

/// The bodies of the operations on a backend.
pub(crate) trait Bodies: Backend {
    /// What the backward pass of an operation needs of the forward one.
    type Saved: Clone + Send + std::fmt::Debug + 'static;

    /// What an operation gives, and what is kept for its gradients.
    fn forward(op: Op<Self>) -> (FloatTensor<Self>, Self::Saved);

    /// Gradients of the operands that take one, in the order of their declaration (`Op::lower` names them), from that of
    /// the output. Those that are not `wanted`, and those that a backend never has, may be left out.
    fn backward(saved: Self::Saved, grad: FloatTensor<Self>, wanted: &[bool]) -> Vec<Option<FloatTensor<Self>>>;
}

impl FusedOps for Flex {
    fn fused(op: Op<Self>) -> FloatTensor<Self> {
        Self::forward(op).0
    }
}

#[cfg(feature = "cuda")]
impl FusedOps for burn::backend::Cube {
    fn fused(op: Op<Self>) -> FloatTensor<Self> {
        Self::forward(op).0
    }
}

impl Op<Dispatch> {
    /// The result, as users of burn see it.
    pub(crate) fn run<const D: usize>(self) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as FusedOps>::fused(self))
    }
}

impl<B: Backend> Bias<B> {
    pub(crate) fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Given(bias) => Some(bias),
            Self::Absent => None,
        }
    }
}
