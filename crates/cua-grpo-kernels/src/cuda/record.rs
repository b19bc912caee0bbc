//! How an operation with a hand-written backward pass is recorded on burn's tape.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Cube};
use burn_cubecl::tensor::CubeTensor;

/// A backward pass with what it needs of the forward one.
pub(super) trait Derivative<const N: usize>: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// Gradients of the inputs from that of the output; inputs that are not `wanted` may be left out.
    fn gradients(self, grad: CubeTensor, wanted: [bool; N]) -> [Option<CubeTensor>; N];
}

/// The step that burn's autodiff runs for any [`Derivative`].
#[derive(Debug)]
struct Step<D>(std::marker::PhantomData<D>);

impl<D: Derivative<N>, const N: usize> Backward<Cube, N> for Step<D> {
    type State = D;

    fn backward(self, ops: Ops<D, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Cube>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = ops.state.gradients(grad, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Cube>(parent.id, gradient);
            }
        }
    }
}

/// Records an operation: `forward` gives the output and its derivative, and runs at once.
pub(super) fn record<C: CheckpointStrategy, D: Derivative<N>, const N: usize>(
    inputs: [FloatTensor<Autodiff<Cube, C>>; N],
    forward: impl FnOnce([CubeTensor; N]) -> (CubeTensor, D),
) -> FloatTensor<Autodiff<Cube, C>> {
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
