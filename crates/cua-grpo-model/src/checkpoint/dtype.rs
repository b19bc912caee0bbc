//! The float formats of weights, and conversion of a stream of bytes from one to another.

use burn::tensor::{DType, TensorData};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::vec::HalfBitsVecExt;
use half::{bf16, f16};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

// Values are read and written as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little"), "safetensors files are little-endian");

/// Values that are converted at a time.
const CHUNK: usize = 1 << 18;

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum WeightDtype {
    /// 4 bytes a weight.
    #[default]
    #[serde(rename = "float32")]
    F32,
    /// 2 bytes a weight.
    #[serde(rename = "bfloat16")]
    Bf16,
}

impl WeightDtype {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::F32, Self::Bf16];

    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// As Burn names it.
    pub fn burn(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// As safetensors names it.
    pub fn safetensors(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Bf16 => Dtype::BF16,
        }
    }

    /// As `config.json` names it.
    pub fn config_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
        }
    }
}

/// Reads a tensor of `shape` whose file format is `from`, converting a chunk at a time. The only large allocation is the
/// result. `None` when `from` is no float format of checkpoints (f32, f16, bf16, f64).
pub(super) fn read_floats(
    source: &mut impl Read,
    from: Dtype,
    to: WeightDtype,
    shape: &[usize],
) -> Option<std::io::Result<TensorData>> {
    let count = shape.iter().product();
    let data = match (from, to) {
        (Dtype::F32, WeightDtype::F32) => {
            let mut values = vec![0f32; count];
            let read = source.read_exact(bytemuck::cast_slice_mut(&mut values));
            read.map(|()| TensorData::new(values, shape.to_vec()))
        }
        (Dtype::BF16, WeightDtype::Bf16) => {
            let mut bits = vec![0u16; count];
            let read = source.read_exact(bytemuck::cast_slice_mut(&mut bits));
            read.map(|()| TensorData::new(bits.reinterpret_into::<bf16>(), shape.to_vec()))
        }
        (Dtype::BF16, WeightDtype::F32) => read_chunks(source, count, |bits: &[u16], out: &mut [f32]| {
            bits.reinterpret_cast::<bf16>().convert_to_f32_slice(out);
        })
        .map(|values| TensorData::new(values, shape.to_vec())),
        (Dtype::F16, WeightDtype::F32) => read_chunks(source, count, |bits: &[u16], out: &mut [f32]| {
            bits.reinterpret_cast::<f16>().convert_to_f32_slice(out);
        })
        .map(|values| TensorData::new(values, shape.to_vec())),
        (Dtype::F32, WeightDtype::Bf16) => read_chunks(source, count, |values: &[f32], out: &mut [bf16]| {
            out.convert_from_f32_slice(values);
        })
        .map(|values| TensorData::new(values, shape.to_vec())),
        (Dtype::F16, WeightDtype::Bf16) => read_chunks(source, count, |bits: &[u16], out: &mut [bf16]| {
            for (bits, out) in bits.iter().zip(out) {
                *out = bf16::from_f32(f16::from_bits(*bits).to_f32());
            }
        })
        .map(|values| TensorData::new(values, shape.to_vec())),
        (Dtype::F64, WeightDtype::F32) => read_chunks(source, count, |values: &[f64], out: &mut [f32]| {
            for (value, out) in values.iter().zip(out) {
                *out = *value as f32;
            }
        })
        .map(|values| TensorData::new(values, shape.to_vec())),
        (Dtype::F64, WeightDtype::Bf16) => read_chunks(source, count, |values: &[f64], out: &mut [bf16]| {
            for (value, out) in values.iter().zip(out) {
                *out = bf16::from_f64(*value);
            }
        })
        .map(|values| TensorData::new(values, shape.to_vec())),
        _ => return None,
    };
    Some(data)
}

/// Reads `count` values of `S` and converts them to `T`, a chunk at a time.
fn read_chunks<S: bytemuck::Pod, T: Clone + Default>(
    source: &mut impl Read,
    count: usize,
    convert: impl Fn(&[S], &mut [T]),
) -> std::io::Result<Vec<T>> {
    let mut values = vec![T::default(); count];
    let mut buffer = vec![S::zeroed(); CHUNK.min(count)];
    for chunk in values.chunks_mut(CHUNK) {
        let buffer = &mut buffer[..chunk.len()];
        source.read_exact(bytemuck::cast_slice_mut(buffer))?;
        convert(buffer, chunk);
    }
    Ok(values)
}

/// Writes the float values of `data` in the format `to`, a chunk at a time.
///
/// # Errors
/// When writing fails, or `data` is of another kind than f32 or bf16.
pub(super) fn write_floats(sink: &mut impl Write, data: &TensorData, to: WeightDtype) -> std::io::Result<()> {
    let kind = |error| {
        std::io::Error::other(format!(
            "expected f32 or bf16 values, got {:?}: {error:?}",
            data.dtype()
        ))
    };
    match (data.dtype(), to) {
        (DType::F32, WeightDtype::F32) | (DType::BF16, WeightDtype::Bf16) => sink.write_all(data.as_bytes()),
        (DType::BF16, WeightDtype::F32) => {
            let values = data.as_slice::<bf16>().map_err(kind)?;
            let mut buffer = vec![0f32; CHUNK.min(values.len())];
            values.chunks(CHUNK).try_for_each(|chunk| {
                let buffer = &mut buffer[..chunk.len()];
                chunk.convert_to_f32_slice(buffer);
                sink.write_all(bytemuck::cast_slice(buffer))
            })
        }
        _ => {
            let values = data.as_slice::<f32>().map_err(kind)?;
            let mut buffer = vec![bf16::ZERO; CHUNK.min(values.len())];
            values.chunks(CHUNK).try_for_each(|chunk| {
                let buffer = &mut buffer[..chunk.len()];
                buffer.convert_from_f32_slice(chunk);
                sink.write_all(bytemuck::cast_slice(buffer.reinterpret_cast()))
            })
        }
    }
}
