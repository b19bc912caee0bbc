//! The texts of the kernels, with the macros that choose a number format or a head size.

use burn::tensor::DType;
use std::hash::{Hash, Hasher};

/// A text of this crate with the macros it is compiled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// File name, for messages.
    pub name: &'static str,
    /// CUDA C++.
    pub text: &'static str,
    /// Options such as `-DT_BF16`.
    pub options: &'static [&'static str],
}

/// Each name belongs to one text, so that a lookup at every launch need not read it.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.options) == (other.name, other.options)
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.options).hash(state);
    }
}

const BF16: &[&str] = &["-DT_BF16=1"];
const F32: &[&str] = &["-DT_BF16=0"];

fn typed(dtype: DType) -> &'static [&'static str] {
    if dtype == DType::F32 { F32 } else { BF16 }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $function:ident, $file:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) fn $function(dtype: DType) -> Source {
                Source {
                    name: $file,
                    text: concat!(include_str!("prelude.cuh"), include_str!($file)),
                    options: typed(dtype),
                }
            }
        )*

        /// All of these, for `tests/nvrtc.rs`.
        #[cfg(test)]
        #[allow(dead_code)]
        pub(super) const OF_A_FORMAT: &[fn(DType) -> Source] = &[$($function),*];
    };
}

texts! {
    /// Norms.
    norm, "norm.cu";
    /// Activations, sums, casts, gather and scatter.
    pointwise, "pointwise.cu";
    /// Rotary embedding and the cache write of a decode step.
    rotary, "rotary.cu";
    /// Log-probs of given tokens.
    scores, "scores.cu";
    /// Drawing tokens.
    sample, "sample.cu";
    /// Four-bit weights.
    nf4, "nf4.cu";
    /// Four-bit products of a decode step with more than a few rows.
    product_wide, "product_wide.cu";
    /// Keys and values into the cache of a decoder.
    cache, "cache.cu";
}

/// Products of a decode step with few rows.
pub(super) fn product() -> Source {
    Source {
        name: "product.cu",
        text: concat!(
            include_str!("prelude.cuh"),
            include_str!("product_lines.cuh"),
            include_str!("product.cu")
        ),
        options: BF16,
    }
}

/// Adapters of a decode step, all operands in bf16.
pub(super) fn lora() -> Source {
    Source {
        name: "lora.cu",
        text: concat!(include_str!("prelude.cuh"), include_str!("lora.cu")),
        options: &["-DT_BF16=1", "-DAB_BF16=1"],
    }
}

macro_rules! heads {
    ($($(#[$doc:meta])* $function:ident, $file:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) fn $function(head_dim: usize) -> Option<Source> {
                // The sizes of tiles that the launches in attention.rs count on.
                let options: &'static [&'static str] = match head_dim {
                    64 => &["-DHEAD_DIM=64", "-DFORWARD_GROUPS=1", "-DFORWARD_KEYS=64", "-DBACKWARD_KEY_GROUPS=1", "-DBACKWARD_QUERY_GROUPS=1", "-DBACKWARD_KEYS=64"],
                    72 => &["-DHEAD_DIM=72", "-DFORWARD_GROUPS=1", "-DFORWARD_KEYS=64", "-DBACKWARD_KEY_GROUPS=1", "-DBACKWARD_QUERY_GROUPS=1", "-DBACKWARD_KEYS=64"],
                    80 => &["-DHEAD_DIM=80", "-DFORWARD_GROUPS=1", "-DFORWARD_KEYS=64", "-DBACKWARD_KEY_GROUPS=1", "-DBACKWARD_QUERY_GROUPS=1", "-DBACKWARD_KEYS=64"],
                    96 => &["-DHEAD_DIM=96", "-DFORWARD_GROUPS=1", "-DFORWARD_KEYS=64", "-DBACKWARD_KEY_GROUPS=1", "-DBACKWARD_QUERY_GROUPS=1", "-DBACKWARD_KEYS=64"],
                    128 => &["-DHEAD_DIM=128", "-DFORWARD_GROUPS=1", "-DFORWARD_KEYS=64", "-DBACKWARD_KEY_GROUPS=1", "-DBACKWARD_QUERY_GROUPS=1", "-DBACKWARD_KEYS=64"],
                    _ => return None,
                };
                let text = concat!(include_str!("attention_tiles.cuh"), include_str!($file));
                Some(Source { name: $file, text, options })
            }
        )*

        /// All of these, for `tests/nvrtc.rs`.
        #[cfg(test)]
        #[allow(dead_code)]
        pub(super) const OF_HEADS: &[fn(usize) -> Option<Source>] = &[$($function),*];
    };
}

heads! {
    /// Attention of many queries.
    attention_forward, "attention_forward.cu";
    /// Its gradients.
    attention_backward, "attention_backward.cu";
    /// Attention of one query a row over a cache; only for head sizes 64 and 128.
    attention_decode, "attention_decode.cu";
}
