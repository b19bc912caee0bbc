//! The fused bodies over slices of f32, and of narrower weights that are widened on the way.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod buffer;
mod columns;
mod gemm;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod packed;
pub(crate) mod rotary;
mod simd;
