//! Memory-mapped safetensors files of one folder, found through the index where there is one.

use crate::ModelError;
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Shape and values of a tensor on the host.
pub type HostTensor = (Vec<usize>, Vec<f32>);

/// The tensors of a checkpoint folder, memory-mapped: opening reads only the headers.
pub struct TensorFiles {
    files: Vec<(PathBuf, Mmap)>,
    /// Tensor name to file number.
    places: HashMap<String, usize>,
}

impl TensorFiles {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// When neither file is there, or one of them cannot be read or is cut short.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let index = dir.join("model.safetensors.index.json");
        if !index.exists() {
            return Self::open_files(vec![dir.join("model.safetensors")]);
        }
        let text = std::fs::read_to_string(&index).map_err(ModelError::io("read", &index))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| ModelError::format(&index, error))?;
        let map = value.get("weight_map").and_then(serde_json::Value::as_object);
        let map = map.ok_or_else(|| ModelError::format(&index, "expected a key weight_map, found none"))?;
        let mut names: Vec<&str> = map.values().filter_map(serde_json::Value::as_str).collect();
        names.sort_unstable();
        names.dedup();
        Self::open_files(names.into_iter().map(|name| dir.join(name)).collect())
    }

    /// Opens the given files.
    ///
    /// # Errors
    /// When one cannot be read or is not a safetensors file.
    pub fn open_files(paths: Vec<PathBuf>) -> Result<Self, ModelError> {
        let mut files = Vec::new();
        let mut places = HashMap::new();
        for path in paths {
            let file = std::fs::File::open(&path).map_err(ModelError::io("read", &path))?;
            // SAFETY: the mapping is read-only. Another process that shortens the file meanwhile would raise SIGBUS,
            // as with every memory-mapped checkpoint.
            #[allow(unsafe_code)]
            let map = unsafe { Mmap::map(&file) }.map_err(ModelError::io("map", &path))?;
            let tensors = SafeTensors::deserialize(&map).map_err(|error| ModelError::format(&path, error))?;
            for name in tensors.names() {
                places.insert(name.to_owned(), files.len());
            }
            drop(tensors);
            files.push((path, map));
        }
        Ok(Self { files, places })
    }

    /// All tensor names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Shape and values of a tensor as f32; `None` when there is none of that name.
    ///
    /// # Errors
    /// When its dtype is not a float.
    pub fn get(&self, name: &str) -> Result<Option<HostTensor>, ModelError> {
        let Some(&place) = self.places.get(name) else {
            return Ok(None);
        };
        let (path, map) = &self.files[place];
        let tensors = SafeTensors::deserialize(map).map_err(|error| ModelError::format(path, error))?;
        let view = tensors.tensor(name).map_err(|error| ModelError::format(path, error))?;
        let values = read_f32(view.dtype(), view.data()).ok_or_else(|| {
            ModelError::format(
                path,
                format!("{name}: expected f32, f16 or bf16, found {:?}", view.dtype()),
            )
        })?;
        Ok(Some((view.shape().to_vec(), values)))
    }
}

/// The values of a float tensor as f32; `None` for other dtypes.
pub fn read_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F32 => Some(
            bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        ),
        Dtype::BF16 => Some(
            bytes
                .chunks_exact(2)
                .map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
        ),
        Dtype::F16 => Some(
            bytes
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
        ),
        _ => None,
    }
}
