//! Where patches are: interpolated learned positions and rotary angles of a frame, in block-major order.

use crate::VisionConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Position tables of one frame of `height * width` patches.
#[derive(Debug, Clone)]
pub struct FrameTables {
    /// For each of the four neighbours: rows of the position table `[patches]`.
    pub neighbours: [Tensor<1, Int>; 4],
    /// Their bilinear weights `[patches, 1]`.
    pub weights: [Tensor<2>; 4],
    /// Rotary cosines `[1, 1, patches, head_dim]`.
    pub cos: Tensor<4>,
    /// Rotary sines, as `cos`.
    pub sin: Tensor<4>,
}

/// The patches of a frame in block-major order: each run of `merge * merge` patches becomes one token.
pub fn block_major(height: usize, width: usize, merge: usize) -> Vec<(usize, usize)> {
    let mut order = Vec::with_capacity(height * width);
    for block_row in 0..height / merge {
        for block_column in 0..width / merge {
            for row in 0..merge {
                for column in 0..merge {
                    order.push((block_row * merge + row, block_column * merge + column));
                }
            }
        }
    }
    order
}

/// Tables for a frame of `height` by `width` patches (specification section 6, items 2 and 3).
pub fn frame_tables(config: &VisionConfig, height: usize, width: usize, device: &Device) -> FrameTables {
    let order = block_major(height, width, config.spatial_merge_size);
    let side = config.position_side();
    let mut rows: [Vec<i64>; 4] = Default::default();
    let mut weights: [Vec<f32>; 4] = Default::default();
    for &(row, column) in &order {
        // align_corners: the first and last patch sit on the first and last row of the table.
        let (y, x) = (align(row, height, side), align(column, width, side));
        let (y0, x0) = (y.floor() as usize, x.floor() as usize);
        let (y1, x1) = ((y0 + 1).min(side - 1), (x0 + 1).min(side - 1));
        let (dy, dx) = (y - y0 as f32, x - x0 as f32);
        let corners = [
            (y0, x0, (1.0 - dy) * (1.0 - dx)),
            (y0, x1, (1.0 - dy) * dx),
            (y1, x0, dy * (1.0 - dx)),
            (y1, x1, dy * dx),
        ];
        for (corner, (cy, cx, weight)) in corners.into_iter().enumerate() {
            rows[corner].push((cy * side + cx) as i64);
            weights[corner].push(weight);
        }
    }
    let head_dim = config.hidden_size / config.num_heads;
    let quarter = head_dim / 4;
    let inverse = config.frequencies();
    let mut cos: Vec<f32> = Vec::with_capacity(order.len() * head_dim);
    let mut sin: Vec<f32> = Vec::with_capacity(order.len() * head_dim);
    let turns: Vec<[f32; 2]> = (0..height.max(width))
        .flat_map(|place| inverse.iter().map(move |f| place as f32 * f))
        .map(|angle| [angle.cos(), angle.sin()])
        .collect();
    for &(row, column) in &order {
        for place in [row, column, row, column] {
            let turns = &turns[place * quarter..(place + 1) * quarter];
            cos.extend(turns.iter().map(|[cosine, _]| cosine));
            sin.extend(turns.iter().map(|[_, sine]| sine));
        }
    }
    let count = order.len();
    FrameTables {
        neighbours: rows.map(|rows| Tensor::from_data(TensorData::new(rows, [count]), device)),
        weights: weights.map(|weights| Tensor::from_data(TensorData::new(weights, [count, 1]), device)),
        cos: Tensor::from_data(TensorData::new(cos, [1, 1, count, head_dim]), device),
        sin: Tensor::from_data(TensorData::new(sin, [1, 1, count, head_dim]), device),
    }
}

fn align(index: usize, size: usize, side: usize) -> f32 {
    if size <= 1 {
        0.0
    } else {
        index as f32 * (side - 1) as f32 / (size - 1) as f32
    }
}
