//! The operations on a CUDA card. The weight of the head, and tables, are frozen: they have no gradient here.

use super::{attention, attention_packed, head, linear, matmul, norm, pointwise, rotary};
use crate::ops::{Bias, Bodies, Gelu, Lora, Op};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;

/// What is kept of an operation for its gradients.
#[derive(Debug, Clone)]
pub(crate) enum Saved {
    Swiglu(CubeTensor, CubeTensor),
    Gelu(CubeTensor, Gelu),
    /// A norm, and what is added to the gradient of its input.
    Norm(norm::Saved, Option<CubeTensor>),
    /// The tables.
    Rotate(CubeTensor, CubeTensor),
    NormRotate(rotary::Saved),
    Linear {
        saved: linear::Saved,
        has_bias: bool,
        updated: bool,
    },
    Attention(attention::Saved),
    AttentionPacked(attention_packed::Saved),
    Matmul(CubeTensor, CubeTensor),
    TokenScores(head::Saved),
    Cotangent(CubeTensor),
    /// An operation without gradients.
    Nothing,
}

impl Bodies for Cube {
    type Saved = Saved;

    fn forward(op: Op<Self>) -> (CubeTensor, Saved) {
        match op {
            Op::Swiglu { gate, up } => (pointwise::swiglu(&gate, &up), Saved::Swiglu(gate, up)),
            Op::Gelu { x, kind } => (pointwise::gelu(&x, kind), Saved::Gelu(x, kind)),
            Op::RmsNorm { x, weight, eps } => {
                let (output, saved) = norm::rms(x, weight, eps);
                (output, Saved::Norm(saved, None))
            }
            Op::RmsNormCarrying {
                x,
                weight,
                eps,
                carried,
            } => {
                let (output, saved) = norm::rms(x, weight, eps);
                (output, Saved::Norm(saved, Some(carried)))
            }
            Op::LayerNorm { x, weight, bias, eps } => {
                let (output, saved) = norm::layer(x, weight, bias, eps);
                (output, Saved::Norm(saved, None))
            }
            Op::LayerNormCarrying {
                x,
                weight,
                bias,
                eps,
                carried,
            } => {
                let (output, saved) = norm::layer(x, weight, bias, eps);
                (output, Saved::Norm(saved, Some(carried)))
            }
            Op::Rotate { x, cos, sin } => (rotary::rotate(&x, &cos, &sin, 1.0), Saved::Rotate(cos, sin)),
            Op::RmsNormRotate {
                x,
                weight,
                eps,
                cos,
                sin,
            } => {
                let (output, saved) = rotary::norm_rotate(x, weight, eps, cos, sin);
                (output, Saved::NormRotate(saved))
            }
            Op::Linear {
                x,
                weight,
                bias,
                lora,
                trained,
            } => {
                let has_bias = matches!(bias, Bias::Given(_));
                let updated = matches!(lora, Lora::Given { .. });
                let (output, saved) = linear::linear(x, weight, bias.into_option(), lora, trained);
                let saved = Saved::Linear {
                    saved,
                    has_bias,
                    updated,
                };
                (output, saved)
            }
            Op::Attention {
                q,
                k,
                v,
                causal,
                segments,
            } => {
                let (output, saved) = attention::attention(q, k, v, causal, &segments);
                (output, Saved::Attention(saved))
            }
            Op::AttentionPacked { qkv, cos, sin } => {
                let (output, saved) = attention_packed::attention(qkv, cos, sin);
                (output, Saved::AttentionPacked(saved))
            }
            Op::Matmul { a, b } => (matmul::matmul(&a, false, &b, false), Saved::Matmul(a, b)),
            Op::Logits { hidden, weight } => (linear::wide(hidden, weight), Saved::Nothing),
            Op::TokenScores {
                hidden,
                weight,
                targets,
                temperature,
                chunk_rows,
            } => {
                let (output, saved) = head::scores(hidden, weight, targets, temperature, chunk_rows);
                (output, Saved::TokenScores(saved))
            }
            Op::DeltaRule { .. } => unreachable!("on a card the delta rule is made of other operations"),
            Op::Cotangent { output, grad } => {
                let nothing = Self::float_zeros([1].into(), &output.device(), output.dtype().into());
                (nothing, Saved::Cotangent(grad))
            }
        }
    }

    fn backward(saved: Saved, grad: CubeTensor, wanted: &[bool]) -> Vec<Option<CubeTensor>> {
        match saved {
            Saved::Swiglu(gate, up) => pointwise::swiglu_backward(grad, &gate, &up).map(Some).into(),
            Saved::Gelu(x, kind) => vec![Some(pointwise::gelu_backward(grad, &x, kind))],
            Saved::Norm(saved, carried) => {
                let mut wanted = wanted.iter().skip(1);
                let weight = wanted
                    .next()
                    .map(|&wanted| wanted.then(|| norm::weight_gradient(&grad, &saved)));
                let bias = wanted.next().map(|&wanted| wanted.then(|| linear::column_sums(&grad)));
                let mut gradients = vec![Some(norm::backward(grad, &saved, carried))];
                gradients.extend(weight);
                gradients.extend(bias);
                gradients
            }
            Saved::Rotate(cos, sin) => vec![Some(rotary::rotate(&grad, &cos, &sin, -1.0))],
            Saved::NormRotate(saved) => vec![Some(rotary::norm_rotate_backward(grad, &saved))],
            Saved::Linear {
                saved,
                has_bias,
                updated,
            } => {
                let [dx, da, db] = linear::linear_backward(grad.clone(), &saved, wanted[0]);
                let bias = has_bias.then(|| wanted[2].then(|| linear::column_sums(&grad)));
                let weight = wanted[1].then(|| linear::weight_gradient(grad, &saved));
                let mut gradients = vec![dx, weight.flatten()];
                gradients.extend(bias);
                if updated {
                    gradients.extend([da, db]);
                }
                gradients
            }
            Saved::Attention(saved) => attention::backward(grad, &saved).map(Some).into(),
            Saved::AttentionPacked(saved) => vec![Some(attention_packed::backward(grad, &saved))],
            Saved::Matmul(a, b) => {
                let d_a = wanted[0].then(|| matmul::matmul(&grad, false, &b, true));
                let d_b = wanted[1].then(|| matmul::matmul(&a, true, &grad, false));
                vec![d_a, d_b]
            }
            Saved::TokenScores(saved) => vec![Some(head::backward(grad, &saved))],
            Saved::Cotangent(grad) => vec![Some(grad)],
            Saved::Nothing => Vec::new(),
        }
    }
}
