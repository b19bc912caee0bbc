//! Experts in files: one tensor holds a matrix of every expert of a layer, in one of two layouts.
//!
//! transformers 4.57 (and the released checkpoints) store `experts.gate_up_proj` as `[experts, hidden, 2 * width]` and
//! `experts.down_proj` as `[experts, width, hidden]`; 5.x writes the transposed matrices, as every other weight is, and so are
//! those of Qwen3.5 in any version.

use super::TensorFiles;
use crate::Family;
use burn::tensor::{DType, TensorData};
use half::bf16;

/// A matrix of one expert, by the name that the model visits it under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExpertPart {
    /// The tensor of the checkpoint that holds it.
    pub tensor: String,
    /// Number of the expert.
    pub index: usize,
}

impl ExpertPart {
    /// The part that `name` names; `None` for other weights.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (tensor, index) = name.strip_suffix(".weight")?.rsplit_once('.')?;
        if !tensor.ends_with(".experts.gate_up_proj") && !tensor.ends_with(".experts.down_proj") {
            return None;
        }
        Some(Self {
            tensor: tensor.to_owned(),
            index: index.parse().ok()?,
        })
    }
}

/// How the matrices of an expert tensor lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpertLayout {
    /// `[experts, in, out]`: 4.57.
    InOut,
    /// `[experts, out, in]`: 5.x.
    OutIn,
}

impl ExpertLayout {
    /// The layout of the released checkpoints of a family, which every version of transformers reads.
    pub(super) fn released(family: Family) -> Self {
        match family {
            Family::Qwen3Vl => Self::InOut,
            Family::Qwen35 => Self::OutIn,
        }
    }

    /// The layout of the tensor `stored`, whose experts are `[out, in]` in the model; `None` when its shape fits neither.
    ///
    /// Where the matrix is square the other tensor of the layer tells, which is not square then.
    pub(super) fn find(
        files: &TensorFiles,
        stored: &str,
        experts: usize,
        [out, input]: [usize; 2],
        family: Family,
    ) -> Option<Self> {
        let shape = files.info(stored)?.1;
        if Self::released(family) == Self::OutIn {
            return (shape == [experts, out, input]).then_some(Self::OutIn);
        }
        if shape == [experts, out, input] && out != input {
            return Some(Self::OutIn);
        }
        if shape != [experts, input, out] {
            return None;
        }
        if out != input {
            return Some(Self::InOut);
        }
        let (sibling, [out, input]) = match stored.strip_suffix("gate_up_proj") {
            Some(layer) => (format!("{layer}down_proj"), [input, out / 2]),
            None => (stored.replace("down_proj", "gate_up_proj"), [2 * input, out]),
        };
        let shape = files.info(&sibling)?.1;
        if shape == [experts, out, input] {
            Some(Self::OutIn)
        } else {
            (shape == [experts, input, out]).then_some(Self::InOut)
        }
    }
}

/// The transposed matrix, for f32 and bf16 values; other values are returned as they are, and fail later by their type.
pub(super) fn transposed(data: TensorData) -> TensorData {
    let &[rows, columns] = data.shape().as_slice() else {
        return data;
    };
    match data.dtype() {
        DType::BF16 => match data.as_slice::<bf16>() {
            Ok(values) => TensorData::new(transpose(values, rows, columns), [columns, rows]),
            Err(_) => data,
        },
        _ => match data.as_slice::<f32>() {
            Ok(values) => TensorData::new(transpose(values, rows, columns), [columns, rows]),
            Err(_) => data,
        },
    }
}

/// Transposes in tiles that stay in the cache.
fn transpose<T: Copy + Default>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    const TILE: usize = 32;
    let mut out = vec![T::default(); values.len()];
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for column in left..(left + TILE).min(columns) {
                for row in top..(top + TILE).min(rows) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts() {
        let part = ExpertPart::of("m.layers.0.mlp.experts.down_proj.17.weight").unwrap();
        assert_eq!(part.tensor, "m.layers.0.mlp.experts.down_proj");
        assert_eq!(part.index, 17);
        assert_eq!(ExpertPart::of("m.layers.0.mlp.down_proj.weight"), None);
        assert_eq!(ExpertPart::of("m.layers.0.mlp.gate.weight"), None);
    }

    #[test]
    fn tiles_cover_the_matrix() {
        let (rows, columns) = (37, 70);
        let values: Vec<f32> = (0..rows * columns).map(|value| value as f32).collect();
        let out = transpose(&values, rows, columns);
        for row in 0..rows {
            for column in 0..columns {
                assert_eq!(out[column * rows + row], values[row * columns + column]);
            }
        }
    }
}
