//! How an operation with a hand-written backward pass is recorded on burn's tape.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};

/// A backward pass on `B` with what it needs of the forward one.
pub(crate) trait Derivative<B: Backend, const N: usize>:
    Clone + Send + Sync + std::fmt::Debug + 'static
{
    /// Gradients of the inputs from that of the output; inputs that are not `wanted` may be left out.
    fn gradients(self, grad: FloatTensor<B>, wanted: [bool; N]) -> [Option<FloatTensor<B>>; N];
}

/// The step that burn's autodiff runs for any [`Derivative`].
#[derive(Debug)]
struct Step<D>(std::marker::PhantomData<D>);

impl<B: Backend, D: Derivative<B, N>, const N: usize> Backward<B, N> for Step<D> {
    type State = D;

    fn backward(self, ops: Ops<D, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = ops.state.gradients(grad, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// The backward pass of [`crate::seed`]: the gradient it was given.
#[derive(Clone, Debug)]
pub(crate) struct Seed<T>(pub T);

impl<B: Backend> Derivative<B, 1> for Seed<FloatTensor<B>> {
    fn gradients(self, _: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        [Some(self.0)]
    }
}

/// The number that a seed is.
pub(crate) fn nothing<B: Backend>(like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros([1].into(), &like.device(), like.dtype().into())
}

/// Records an operation: `forward` gives the output and its derivative, and runs at once.
pub(crate) fn record<B: Backend, C: CheckpointStrategy, D: Derivative<B, N>, const N: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; N],
    forward: impl FnOnce([FloatTensor<B>; N]) -> (FloatTensor<B>, D),
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let (output, derivative) = forward(inputs.map(|input| input.into_primitive()));
    match Step::<D>(std::marker::PhantomData)
        .prepare::<C>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish(derivative, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
