//! The tower by blocks: a forward pass that keeps the inputs of the halves of each block, and its backward pass.

use super::FrameTables;
use super::tower::{RowOrder, VisionFeatures, VisionTower};
use crate::blocks::{AdapterGradients, pull};
use crate::nn::join;
use crate::processor::Pixels;
use burn::tensor::Tensor;
use cua_grpo_kernels::Kept;

/// What the backward pass of the tower reads.
pub struct TowerTape {
    order: RowOrder,
    groups: Vec<GroupTape>,
}

/// One group of images of equal grid.
struct GroupTape {
    tables: FrameTables,
    /// The input of each block, followed by what its first half gave, and last the output of the last one.
    states: Vec<Kept>,
}

impl VisionTower {
    /// As [`VisionTower::forward`], keeping by `keep` what [`VisionTower::backward_blocks`] needs.
    pub(crate) fn forward_blocks(
        &self,
        images: &[&Pixels],
        keep: fn(&Tensor<2>) -> Kept,
    ) -> (VisionFeatures, TowerTape) {
        let groups = self.group(images);
        let mut tapes = Vec::new();
        let mut features = Vec::new();
        for members in &groups.members {
            let mut states = Vec::with_capacity(2 * self.blocks.len() + 1);
            let (found, tables) = self.run(members, |x| states.push(keep(x)));
            features.push(found);
            tapes.push(GroupTape { tables, states });
        }
        let features = groups.order.join(features);
        let order = groups.order;
        (features, TowerTape { order, groups: tapes })
    }

    /// Pulls the gradients of the features back to the adapters of the tower. `self` holds them as leaves.
    pub(crate) fn backward_blocks(
        &mut self,
        path: &str,
        tape: TowerTape,
        features: VisionFeatures,
        gradients: &mut AdapterGradients,
    ) {
        let merged = tape.order.split(features.merged);
        let deepstack: Vec<Vec<Tensor<2>>> = features
            .deepstack
            .into_iter()
            .map(|rows| tape.order.split(rows))
            .collect();
        for (number, (mut group, merged)) in tape.groups.into_iter().zip(merged).enumerate() {
            let Some(output) = group.states.pop() else { continue };
            let mut output = output.restore();
            let (mut grad, found) = pull(&output, merged, |x| self.merger.forward(x));
            let merger = join(path, "merger");
            self.merger
                .visit_linear_mut(&merger, &mut |path, linear| gradients.collect(path, linear, &found));
            for block in (0..self.blocks.len()).rev() {
                if let Some(level) = self.level(block) {
                    let merger = &mut self.deepstack_merger_list[level];
                    let (part, found) = pull(&output, deepstack[level][number].clone(), |x| merger.forward(x));
                    grad = grad + part;
                    let path = join(path, &format!("deepstack_merger_list.{level}"));
                    merger.visit_linear_mut(&path, &mut |path, linear| gradients.collect(path, linear, &found));
                }
                let (Some(middle), Some(input)) = (group.states.pop(), group.states.pop()) else {
                    break;
                };
                let (middle, input) = (middle.restore(), input.restore());
                let path = join(path, &format!("blocks.{block}"));
                grad = self.blocks[block].pull(&path, [&input, &middle], grad, &group.tables, gradients);
                output = input;
            }
        }
    }
}
