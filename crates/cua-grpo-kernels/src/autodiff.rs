//! Autodiff over any backend that has the bodies: what is recorded on burn's tape, once for all operations.

use crate::ops::{Bias, Bodies, FusedOps, Lora, Op, Weight};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend};
use std::marker::PhantomData;

impl<B: Bodies, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn fused(op: Op<Self>) -> FloatTensor<Self> {
        let (op, inputs) = op.lower();
        let (output, saved) = B::forward(op);
        match inputs.len() {
            0 => Self::from_inner(output),
            1 => record::<B, C, 1>(inputs, output, saved),
            2 => record::<B, C, 2>(inputs, output, saved),
            3 => record::<B, C, 3>(inputs, output, saved),
            4 => record::<B, C, 4>(inputs, output, saved),
            5 => record::<B, C, 5>(inputs, output, saved),
            6 => record::<B, C, 6>(inputs, output, saved),
            more => unreachable!("no operation has {more} inputs that take gradients"),
        }
    }
}

/// Puts an operation that was run on the tape.
fn record<B: Bodies, C: CheckpointStrategy, const N: usize>(
    inputs: Vec<NodeGuard>,
    output: FloatTensor<B>,
    saved: B::Saved,
) -> FloatTensor<Autodiff<B, C>> {
    let Ok(inputs) = <[NodeGuard; N]>::try_from(inputs) else {
        unreachable!("counted before")
    };
    match Step::<B>(PhantomData).prepare::<C>(inputs).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(saved, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// The step back of any operation.
#[derive(Debug)]
struct Step<B>(PhantomData<B>);

impl<B: Bodies, const N: usize> Backward<B, N> for Step<B> {
    type State = B::Saved;

    fn backward(self, ops: Ops<B::Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = B::backward(ops.state, grad, &wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: Backend, C: CheckpointStrategy> Op<Autodiff<B, C>> {
    /// The operation below autodiff, and the places in the graph of the operands that may have a gradient.
    fn lower(self) -> (Op<B>, Vec<NodeGuard>) {
        let mut inputs = Vec::with_capacity(6);
        let mut input = |tensor: FloatTensor<Autodiff<B, C>>| {
            let (tensor, node) = tensor.into_parts();
            inputs.push(node);
            tensor
        };
        let plain = |tensor: FloatTensor<Autodiff<B, C>>| tensor.into_primitive();
        let op = match self {
            Self::Swiglu { gate, up } => Op::Swiglu {
                gate: input(gate),
                up: input(up),
            },
            Self::Gelu { x, kind } => Op::Gelu { x: input(x), kind },
            Self::RmsNorm { x, weight, eps } => Op::RmsNorm {
                x: input(x),
                weight: input(weight),
                eps,
            },
            Self::LayerNorm { x, weight, bias, eps } => Op::LayerNorm {
                x: input(x),
                weight: input(weight),
                bias: input(bias),
                eps,
            },
            Self::Rotate { x, cos, sin } => Op::Rotate {
                x: input(x),
                cos: plain(cos),
                sin: plain(sin),
            },
            Self::Linear {
                x,
                weight,
                bias,
                lora,
                trained,
            } => Op::Linear {
                trained,
                x: input(x),
                weight: match weight {
                    Weight::Dense(weight) => Weight::Dense(input(weight)),
                    Weight::Nf4 { codes, absmax, shape } => Weight::Nf4 {
                        codes,
                        absmax: input(absmax),
                        shape,
                    },
                },
                bias: match bias {
                    Bias::Given(bias) => Bias::Given(input(bias)),
                    Bias::Absent => Bias::Absent,
                },
                lora: match lora {
                    Lora::Given { a, b, scaling } => Lora::Given {
                        a: input(a),
                        b: input(b),
                        scaling,
                    },
                    Lora::Absent => Lora::Absent,
                },
            },
            Self::Attention {
                q,
                k,
                v,
                causal,
                segments,
            } => Op::Attention {
                q: input(q),
                k: input(k),
                v: input(v),
                causal,
                segments,
            },
            Self::DeltaRule {
                q,
                k,
                v,
                g,
                beta,
                state,
                lengths,
            } => Op::DeltaRule {
                q: input(q),
                k: input(k),
                v: input(v),
                g: input(g),
                beta: input(beta),
                state: input(state),
                lengths,
            },
            Self::Cotangent { output, grad } => Op::Cotangent {
                output: input(output),
                grad: plain(grad),
            },
            #[cfg(feature = "cuda")]
            Self::RmsNormCarrying {
                x,
                weight,
                eps,
                carried,
            } => Op::RmsNormCarrying {
                x: input(x),
                weight: plain(weight),
                eps,
                carried: plain(carried),
            },
            #[cfg(feature = "cuda")]
            Self::LayerNormCarrying {
                x,
                weight,
                bias,
                eps,
                carried,
            } => Op::LayerNormCarrying {
                x: input(x),
                weight: plain(weight),
                bias: plain(bias),
                eps,
                carried: plain(carried),
            },
            #[cfg(feature = "cuda")]
            Self::RmsNormRotate {
                x,
                weight,
                eps,
                cos,
                sin,
            } => Op::RmsNormRotate {
                x: input(x),
                weight: plain(weight),
                eps,
                cos: plain(cos),
                sin: plain(sin),
            },
            #[cfg(feature = "cuda")]
            Self::AttentionPacked { qkv, cos, sin } => Op::AttentionPacked {
                qkv: input(qkv),
                cos: plain(cos),
                sin: plain(sin),
            },
            #[cfg(feature = "cuda")]
            Self::Logits { hidden, weight } => Op::Logits {
                hidden: plain(hidden),
                weight: plain(weight),
            },
            #[cfg(feature = "cuda")]
            Self::Matmul { a, b } => Op::Matmul {
                a: input(a),
                b: input(b),
            },
            Self::TokenScores {
                hidden,
                weight,
                targets,
                temperature,
                chunk_rows,
            } => Op::TokenScores {
                hidden: input(hidden),
                weight: input(weight),
                targets,
                temperature,
                chunk_rows,
            },
        };
        (op, inputs)
    }
}
