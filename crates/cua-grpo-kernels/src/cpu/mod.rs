//! The fused bodies over slices of f32, and of narrower weights that are widened on the way.

mod activation;
mod attention;
mod bodies;
mod buffer;
mod columns;
mod delta;
mod gemm;
mod linear;
mod norm;
mod packed;
mod rotary;
mod score;
pub(crate) mod sequence;
mod simd;
