//! The fused bodies over slices of f32.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod buffer;
mod gemm;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod rotary;
mod simd;
