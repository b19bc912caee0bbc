//! The tower as a whole: pixels to rows for the text decoder.

use super::{PatchMerger, VisionBlock, frame_tables};
use crate::VisionConfig;
use crate::nn::{Initializer, Linear, LinearConfig, LinearVisitor, ParamVisitor, Slot, join};
use crate::processor::Pixels;
use burn::tensor::{Tensor, TensorData};
use cua_grpo_kernels as kernels;

/// What the tower gives for a list of images: one row per merged patch, images one after the other.
#[derive(Debug, Clone)]
pub struct VisionFeatures {
    /// Rows that replace the pad embeddings `[merged patches, hidden of the text decoder]`.
    pub merged: Tensor<2>,
    /// Rows added after decoder layers 0, 1, ..., shaped as `merged`.
    pub deepstack: Vec<Tensor<2>>,
}

/// The vision tower.
#[derive(Debug, Clone)]
pub struct VisionTower {
    /// The patch convolution, flattened to `[hidden, channels * frames * side * side]`.
    patch_embed: Linear,
    /// Learned positions `[side * side, hidden]`.
    pos_embed: Tensor<2>,
    blocks: Vec<VisionBlock>,
    merger: PatchMerger,
    deepstack_merger_list: Vec<PatchMerger>,
    config: VisionConfig,
}

impl VisionTower {
    pub(crate) fn init(config: &VisionConfig, init: &mut Initializer) -> Self {
        Self {
            patch_embed: LinearConfig::new(config.patch_values(), config.hidden_size, true).init(init),
            pos_embed: init.normal([config.num_position_embeddings, config.hidden_size], 0.1),
            blocks: (0..config.depth).map(|_| VisionBlock::init(config, init)).collect(),
            merger: PatchMerger::init(config, false, init),
            deepstack_merger_list: config
                .deepstack_visual_indexes
                .iter()
                .map(|_| PatchMerger::init(config, true, init))
                .collect(),
            config: config.clone(),
        }
    }

    /// Features of `images`, in order. Images of equal grid are run as one batch.
    pub fn forward(&self, images: &[&Pixels]) -> VisionFeatures {
        let mut groups: Vec<((usize, usize), Vec<usize>)> = Vec::new();
        for (number, image) in images.iter().enumerate() {
            let size = (image.grid.h, image.grid.w);
            match groups.iter_mut().find(|(key, _)| *key == size) {
                Some((_, members)) => members.push(number),
                None => groups.push((size, vec![number])),
            }
        }
        let features: Vec<VisionFeatures> = groups
            .iter()
            .map(|((height, width), members)| {
                let members: Vec<&Pixels> = members.iter().map(|&number| images[number]).collect();
                self.forward_equal(&members, *height, *width)
            })
            .collect();
        if groups.len() == 1 {
            return features
                .into_iter()
                .next()
                .unwrap_or_else(|| unreachable!("one group has one feature"));
        }
        // Back to the order of the images: each image is a run of rows in its group's output.
        let merge = self.config.spatial_merge_size.pow(2);
        let mut starts = vec![0i64; images.len()];
        let mut start = 0i64;
        for (_, members) in &groups {
            for &number in members {
                starts[number] = start;
                start += (images[number].grid.patches() / merge) as i64;
            }
        }
        let order = images.iter().zip(&starts);
        let order: Vec<i64> = order
            .flat_map(|(image, &start)| start..start + (image.grid.patches() / merge) as i64)
            .collect();
        let device = self.pos_embed.device();
        let count = order.len();
        let order = Tensor::<1, burn::tensor::Int>::from_data(TensorData::new(order, [count]), &device);
        let gather = |parts: Vec<Tensor<2>>| Tensor::cat(parts, 0).select(0, order.clone());
        VisionFeatures {
            merged: gather(features.iter().map(|feature| feature.merged.clone()).collect()),
            deepstack: (0..self.deepstack_merger_list.len())
                .map(|level| {
                    gather(
                        features
                            .iter()
                            .map(|feature| feature.deepstack[level].clone())
                            .collect(),
                    )
                })
                .collect(),
        }
    }

    /// Features of images whose frames all have `height * width` patches.
    fn forward_equal(&self, images: &[&Pixels], height: usize, width: usize) -> VisionFeatures {
        let device = self.pos_embed.device();
        let tables = frame_tables(&self.config, height, width, &device);
        let values: Vec<f32> = images.iter().flat_map(|image| image.values.iter().copied()).collect();
        let rows: usize = images.iter().map(|image| image.grid.patches()).sum();
        let pixels = Tensor::<2>::from_data(TensorData::new(values, [rows, self.config.patch_values()]), &device);
        let patches = self.patch_embed.forward(pixels);
        let mut positions: Option<Tensor<2>> = None;
        for (rows, weights) in tables.neighbours.iter().zip(&tables.weights) {
            let part = kernels::compute(self.pos_embed.clone().select(0, rows.clone())) * weights.clone();
            positions = Some(match positions {
                None => part,
                Some(sum) => sum + part,
            });
        }
        let mut x = match positions {
            None => patches,
            Some(positions) => {
                let [frame, hidden] = positions.dims();
                let shape = [rows / frame, frame, hidden];
                (patches.reshape(shape) + positions.unsqueeze::<3>()).reshape([rows, hidden])
            }
        };
        let mut deepstack = Vec::new();
        for (number, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, &tables);
            let level = self
                .config
                .deepstack_visual_indexes
                .iter()
                .position(|&index| index == number);
            if let Some(level) = level {
                deepstack.push((level, self.deepstack_merger_list[level].forward(x.clone())));
            }
        }
        deepstack.sort_by_key(|(level, _)| *level);
        let deepstack = deepstack.into_iter().map(|(_, feature)| feature).collect();
        VisionFeatures {
            merged: self.merger.forward(x),
            deepstack,
        }
    }

    pub(crate) fn visit(&mut self, path: &str, visitor: &mut ParamVisitor<'_>) {
        self.patch_embed.visit(&join(path, "patch_embed.proj"), visitor);
        visitor(&join(path, "pos_embed.weight"), Slot::Matrix(&mut self.pos_embed));
        for (number, block) in self.blocks.iter_mut().enumerate() {
            block.visit(&join(path, &format!("blocks.{number}")), visitor);
        }
        self.merger.visit(&join(path, "merger"), visitor);
        for (number, merger) in self.deepstack_merger_list.iter_mut().enumerate() {
            merger.visit(&join(path, &format!("deepstack_merger_list.{number}")), visitor);
        }
    }

    pub(crate) fn visit_linear(&mut self, path: &str, visitor: &mut LinearVisitor<'_>) {
        for (number, block) in self.blocks.iter_mut().enumerate() {
            block.visit_linear(&join(path, &format!("blocks.{number}")), visitor);
        }
        self.merger.visit_linear(&join(path, "merger"), visitor);
        for (number, merger) in self.deepstack_merger_list.iter_mut().enumerate() {
            merger.visit_linear(&join(path, &format!("deepstack_merger_list.{number}")), visitor);
        }
    }
}
