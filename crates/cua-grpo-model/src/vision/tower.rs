//! The tower as a whole: pixels to rows for the text decoder.

use super::{FrameTables, PatchMerger, VisionBlock, frame_tables};
use crate::VisionConfig;
use crate::nn::{Initializer, Linear, LinearConfig, LinearVisitorMut, ParamMut, ParamVisitorMut, join};
use crate::processor::Pixels;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
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
    pub(super) blocks: Vec<VisionBlock>,
    pub(super) merger: PatchMerger,
    pub(super) deepstack_merger_list: Vec<PatchMerger>,
    pub(super) config: VisionConfig,
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
        let groups = self.group(images);
        let features = groups.members.iter().map(|members| self.run(members, |_| {}).0);
        groups.order.join(features.collect())
    }

    /// Features of images of equal grid, and the tables of their frames; `keep` sees the input of each block and what
    /// its first half gives, and last the output of the last one.
    pub(super) fn run(&self, images: &[&Pixels], mut keep: impl FnMut(&Tensor<2>)) -> (VisionFeatures, FrameTables) {
        let (mut x, tables) = self.patches(images);
        let mut deepstack = vec![None; self.deepstack_merger_list.len()];
        keep(&x);
        for (number, block) in self.blocks.iter().enumerate() {
            let middle = block.attend(x, &tables);
            keep(&middle);
            x = block.feed(middle);
            keep(&x);
            if let Some(level) = self.level(number) {
                deepstack[level] = Some(self.deepstack_merger_list[level].forward(x.clone()));
            }
        }
        let features = VisionFeatures {
            merged: self.merger.forward(x),
            deepstack: deepstack.into_iter().flatten().collect(),
        };
        (features, tables)
    }

    /// Groups of equal grid, and how to bring their rows back to the order of `images`.
    pub(super) fn group<'a>(&self, images: &[&'a Pixels]) -> Groups<'a> {
        let mut keys: Vec<(usize, usize)> = Vec::new();
        let mut members: Vec<Vec<&'a Pixels>> = Vec::new();
        let mut places = Vec::with_capacity(images.len());
        for image in images {
            let key = (image.grid.h, image.grid.w);
            let group = keys.iter().position(|other| *other == key).unwrap_or_else(|| {
                keys.push(key);
                members.push(Vec::new());
                keys.len() - 1
            });
            places.push((group, members[group].len()));
            members[group].push(image);
        }
        let merge = self.config.spatial_merge_size.pow(2);
        let rows = |image: &Pixels| image.grid.patches() / merge;
        let counts: Vec<usize> = members
            .iter()
            .map(|members| members.iter().map(|image| rows(image)).sum())
            .collect();
        if members.len() <= 1 {
            let order = RowOrder { counts, order: None };
            return Groups { members, order };
        }
        // Each image is a run of rows in its group's output, and the groups stand one after the other.
        let mut start = 0;
        let starts: Vec<Vec<usize>> = members
            .iter()
            .map(|members| {
                let starts = members.iter().map(|image| {
                    start += rows(image);
                    start - rows(image)
                });
                starts.collect()
            })
            .collect();
        let order = images.iter().zip(places).flat_map(|(image, (group, place))| {
            let first = starts[group][place];
            (first..first + rows(image)).map(|row| row as i64)
        });
        let order = Some(order.collect());
        Groups {
            members,
            order: RowOrder { counts, order },
        }
    }

    /// Patch embeddings with their learned positions, and the tables of a frame. The images have equal grids.
    fn patches(&self, images: &[&Pixels]) -> (Tensor<2>, FrameTables) {
        let device = self.pos_embed.device();
        let (height, width) = images.first().map_or((0, 0), |image| (image.grid.h, image.grid.w));
        let tables = frame_tables(&self.config, height, width, &device);
        let rows: usize = images.iter().map(|image| image.grid.patches()).sum();
        let dtype = kernels::compute_dtype(&self.pos_embed);
        let pixels = if device.clone().inner() == Device::flex() {
            let values: Vec<f32> = images.iter().flat_map(|image| image.values.iter().copied()).collect();
            let data = TensorData::new(values, [rows, self.config.patch_values()]);
            Tensor::<2>::from_data(data, &device).cast(dtype)
        } else {
            Tensor::cat(images.iter().map(|image| image.on_card(&device, dtype)).collect(), 0)
        };
        let patches = self.patch_embed.forward(pixels);
        let mut positions: Option<Tensor<2>> = None;
        let table = self.pos_embed.clone().cast(DType::F32);
        for (rows, weights) in tables.neighbours.iter().zip(&tables.weights) {
            let part = table.clone().select(0, rows.clone()) * weights.clone();
            positions = Some(match positions {
                None => part,
                Some(sum) => sum + part,
            });
        }
        let x = match positions {
            None => patches,
            Some(positions) => {
                let [frame, hidden] = positions.dims();
                let shape = [rows / frame, frame, hidden];
                let positions = positions.cast(patches.dtype());
                (patches.reshape(shape) + positions.unsqueeze::<3>()).reshape([rows, hidden])
            }
        };
        (x, tables)
    }

    /// Which deepstack merger reads the output of block `number`.
    pub(super) fn level(&self, number: usize) -> Option<usize> {
        let indexes = &self.config.deepstack_visual_indexes;
        indexes.iter().position(|&index| index == number)
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.patch_embed.visit_mut(&join(path, "patch_embed.proj"), visitor);
        visitor(&join(path, "pos_embed.weight"), ParamMut::Matrix(&mut self.pos_embed));
        for (number, block) in self.blocks.iter_mut().enumerate() {
            block.visit_mut(&join(path, &format!("blocks.{number}")), visitor);
        }
        self.merger.visit_mut(&join(path, "merger"), visitor);
        for (number, merger) in self.deepstack_merger_list.iter_mut().enumerate() {
            merger.visit_mut(&join(path, &format!("deepstack_merger_list.{number}")), visitor);
        }
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        for (number, block) in self.blocks.iter_mut().enumerate() {
            block.visit_linear_mut(&join(path, &format!("blocks.{number}")), visitor);
        }
        self.merger.visit_linear_mut(&join(path, "merger"), visitor);
        for (number, merger) in self.deepstack_merger_list.iter_mut().enumerate() {
            merger.visit_linear_mut(&join(path, &format!("deepstack_merger_list.{number}")), visitor);
        }
    }
}

/// Images of equal grid, which run as one batch.
pub(super) struct Groups<'a> {
    pub(super) members: Vec<Vec<&'a Pixels>>,
    pub(super) order: RowOrder,
}

/// Where the rows of the images are in the joined output of the groups.
pub(super) struct RowOrder {
    /// Rows of each group.
    counts: Vec<usize>,
    /// Row numbers in the joined output, in the order of the images; `None` where that order is theirs.
    order: Option<Vec<i64>>,
}

impl RowOrder {
    /// Features in the order of the images, from those of each group.
    pub(super) fn join(&self, features: Vec<VisionFeatures>) -> VisionFeatures {
        let levels = features.first().map_or(0, |feature| feature.deepstack.len());
        let gather = |parts: Vec<Tensor<2>>| {
            let joined = Tensor::cat(parts, 0);
            match &self.order {
                None => joined,
                Some(order) => {
                    let device = joined.device();
                    joined.select(0, indices(order.clone(), &device))
                }
            }
        };
        VisionFeatures {
            merged: gather(features.iter().map(|feature| feature.merged.clone()).collect()),
            deepstack: (0..levels)
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

    /// The inverse of [`RowOrder::join`] for one list of rows: what belongs to each group.
    pub(super) fn split(&self, rows: Tensor<2>) -> Vec<Tensor<2>> {
        let rows = match &self.order {
            None => rows,
            Some(order) => {
                let mut inverse = vec![0i64; order.len()];
                for (place, &row) in order.iter().enumerate() {
                    inverse[row as usize] = place as i64;
                }
                let device = rows.device();
                rows.select(0, indices(inverse, &device))
            }
        };
        let mut start = 0;
        let parts = self.counts.iter().map(|&count| {
            start += count;
            rows.clone().narrow(0, start - count, count)
        });
        parts.collect()
    }
}

fn indices(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
