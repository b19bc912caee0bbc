//! The operations on the CPU backend.

use super::{activation, attention, delta, linear, norm, rotary, score};
use crate::ops::{Bodies, Gelu, Op};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};

/// What is kept of an operation for its gradients.
#[derive(Debug, Clone)]
pub(crate) enum Saved {
    Swiglu(FlexTensor, FlexTensor),
    Gelu(FlexTensor, Gelu),
    RmsNorm(norm::Saved<f32>),
    LayerNorm(norm::Saved<[f32; 2]>),
    /// The tables.
    Rotate(FlexTensor, FlexTensor),
    Linear(linear::Saved),
    Attention(attention::Saved),
    Delta(delta::Saved),
    TokenScores(score::Saved),
    Cotangent(FlexTensor),
}

impl Bodies for Flex {
    type Saved = Saved;

    fn forward(op: Op<Self>) -> (FlexTensor, Saved) {
        match op {
            Op::Swiglu { gate, up } => {
                let output = activation::swiglu(gate.clone(), up.clone());
                (output, Saved::Swiglu(gate, up))
            }
            Op::Gelu { x, kind } => {
                let output = match kind {
                    Gelu::Tanh => activation::gelu_tanh(x.clone()),
                    Gelu::Erf => activation::gelu_erf(x.clone()),
                };
                (output, Saved::Gelu(x, kind))
            }
            Op::RmsNorm { x, weight, eps } => {
                let (output, saved) = norm::rms(x, weight, eps);
                (output, Saved::RmsNorm(saved))
            }
            Op::LayerNorm { x, weight, bias, eps } => {
                let (output, saved) = norm::layer(x, weight, bias, eps);
                (output, Saved::LayerNorm(saved))
            }
            Op::Rotate { x, cos, sin } => {
                let output = rotary::rotate(x, cos.clone(), sin.clone(), 1.0);
                (output, Saved::Rotate(cos, sin))
            }
            Op::Linear {
                x, weight, bias, lora, ..
            } => {
                let (output, saved) = linear::linear(x, weight, bias.into_option(), lora);
                (output, Saved::Linear(saved))
            }
            Op::Attention { q, k, v, causal, .. } => {
                let (output, saved) = attention::attention(q, k, v, causal);
                (output, Saved::Attention(saved))
            }
            Op::DeltaRule {
                q,
                k,
                v,
                g,
                beta,
                state,
                lengths,
            } => {
                let (output, saved) = delta::delta_rule(delta::Operands {
                    q,
                    k,
                    v,
                    g,
                    beta,
                    state,
                    lengths,
                });
                (output, Saved::Delta(saved))
            }
            Op::TokenScores {
                hidden,
                weight,
                targets,
                temperature,
                chunk_rows,
            } => {
                let (output, saved) = score::scores(hidden, weight, targets, temperature, chunk_rows);
                (output, Saved::TokenScores(saved))
            }
            Op::Cotangent { output, grad } => {
                let nothing = Self::float_zeros([1].into(), &output.device(), output.dtype().into());
                (nothing, Saved::Cotangent(grad))
            }
            #[cfg(feature = "cuda")]
            _ => unreachable!("on the CPU the function of this operation is made of others"),
        }
    }

    fn backward(saved: Saved, grad: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        match saved {
            Saved::Swiglu(gate, up) => {
                let (d_gate, d_up) = activation::swiglu_backward(grad, gate, up);
                vec![Some(d_gate), Some(d_up)]
            }
            Saved::Gelu(x, Gelu::Tanh) => vec![Some(activation::gelu_tanh_backward(grad, x))],
            Saved::Gelu(x, Gelu::Erf) => vec![Some(activation::gelu_erf_backward(grad, x))],
            Saved::RmsNorm(saved) => {
                let (d_x, vectors) = norm::rms_backward(grad, &saved, wanted[1]);
                [d_x].into_iter().chain(vectors).map(Some).collect()
            }
            Saved::LayerNorm(saved) => {
                let (d_x, vectors) = norm::layer_backward(grad, &saved, wanted[1] || wanted[2]);
                [d_x].into_iter().chain(vectors).map(Some).collect()
            }
            Saved::Rotate(cos, sin) => vec![Some(rotary::rotate(grad, cos, sin, -1.0))],
            Saved::Linear(saved) => linear::linear_backward(grad, &saved, wanted),
            Saved::Attention(saved) => attention::attention_backward(grad, &saved).map(Some).into(),
            Saved::Delta(saved) => delta::delta_rule_backward(grad, &saved),
            Saved::TokenScores(saved) => score::backward(grad, &saved, wanted),
            Saved::Cotangent(grad) => vec![Some(grad)],
        }
    }
}
