//! The safetensors files of one folder, found through the index where there is one, read one tensor at a time.

use super::WeightDtype;
use super::dtype::read_floats;
use super::header::{self, read_index};
use super::which::{self, INDEX_FILE, SINGLE_FILE};
use crate::{ModelError, plain_text};
use burn::tensor::TensorData;
use safetensors::Dtype;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Shape and values of a tensor on the host.
pub type HostTensor = (Vec<usize>, Vec<f32>);

/// The tensors of a checkpoint folder: opening reads only the headers.
pub struct TensorFiles {
    files: Vec<(PathBuf, Mutex<File>)>,
    places: BTreeMap<String, Place>,
}

/// Where a tensor lies.
#[derive(Clone)]
struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// From the start of the file, in bytes.
    start: u64,
    /// In bytes.
    length: usize,
}

impl TensorFiles {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names where there is no such file: the
    /// order of transformers. Other weights in the folder are logged as a warning.
    ///
    /// # Errors
    /// When neither file is there, a shard is missing or cut short, or the index names a tensor that its shard does not
    /// hold. A wrong `total_size` is no error: nothing depends on it.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let (index, single) = (dir.join(INDEX_FILE), dir.join(SINGLE_FILE));
        if plain_text::is_there(&single) {
            if index.exists() {
                which::warn_of_index(dir, &index);
            }
            which::warn_of_others(dir, &[SINGLE_FILE]);
            return Self::open_files(vec![single]);
        }
        if !index.exists() {
            return Err(which::no_weights(dir));
        }
        let map = read_index(&index)?;
        let shards: BTreeSet<&str> = map.values().map(String::as_str).collect();
        let missing: Vec<&str> = shards
            .iter()
            .copied()
            .filter(|shard| !dir.join(shard).exists())
            .collect();
        if !missing.is_empty() {
            return Err(ModelError::format(
                &index,
                format!(
                    "names {} shards, of which the folder lacks {}: fetch them again",
                    shards.len(),
                    missing.join(", ")
                ),
            ));
        }
        which::warn_of_others(dir, &shards.iter().copied().collect::<Vec<_>>());
        let files = Self::collect(shards.iter().map(|shard| dir.join(shard)).collect(), &map)?;
        let astray: Vec<String> = map
            .iter()
            .filter(|(name, shard)| {
                let place = files.places.get(*name);
                place.is_none_or(|place| files.files[place.file].0 != dir.join(shard.as_str()))
            })
            .map(|(name, shard)| format!("{name}: expected in {shard} by {INDEX_FILE}, found no such tensor there"))
            .collect();
        if astray.is_empty() {
            Ok(files)
        } else {
            Err(ModelError::Tensors(astray))
        }
    }

    /// Opens the given files.
    ///
    /// # Errors
    /// When one cannot be read or is not a safetensors file, or two hold a tensor of one name.
    pub fn open_files(paths: Vec<PathBuf>) -> Result<Self, ModelError> {
        Self::collect(paths, &BTreeMap::new())
    }

    /// The tensors of the files; one that `map` places in another file is left.
    fn collect(paths: Vec<PathBuf>, map: &BTreeMap<String, String>) -> Result<Self, ModelError> {
        let mut files = Vec::new();
        let mut places = BTreeMap::new();
        for path in paths {
            let mut file = plain_text::open(&path).map_err(ModelError::io("read", &path))?;
            let (metadata, start) = header::read(&mut file, &path)?;
            let own = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
                .to_owned();
            for (name, info) in metadata.tensors() {
                if map.get(&name).is_some_and(|shard| *shard != own) {
                    continue;
                }
                let (from, to) = info.data_offsets;
                let place = Place {
                    file: files.len(),
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    start: start + from as u64,
                    length: to - from,
                };
                if let Some(other) = places.insert(name.clone(), place) {
                    let (first, _): &(PathBuf, _) = &files[other.file];
                    return Err(ModelError::Tensors(vec![format!(
                        "{name}: stored in {} and in {}; keep one of them",
                        first.display(),
                        path.display()
                    )]));
                }
            }
            files.push((path, Mutex::new(file)));
        }
        Ok(Self { files, places })
    }

    /// All tensor names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The tensor names that start with `prefix`, in alphabetical order.
    pub(super) fn names_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.places.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map(|(name, _)| name.as_str())
            .take_while(move |name| name.starts_with(prefix))
    }

    /// Format and shape of a tensor; `None` when there is none of that name.
    pub fn info(&self, name: &str) -> Option<(Dtype, &[usize])> {
        self.places.get(name).map(|place| (place.dtype, &place.shape[..]))
    }

    /// Shape and values of a tensor as f32; `None` when there is none of that name.
    ///
    /// # Errors
    /// When it cannot be read, or its format is not a float.
    pub fn get(&self, name: &str) -> Result<Option<HostTensor>, ModelError> {
        let Some(place) = self.places.get(name) else {
            return Ok(None);
        };
        let data = self.read(name, WeightDtype::F32, &place.shape)?;
        let values = data
            .try_into_vec::<f32>()
            .map_err(|error| ModelError::format(&self.files[place.file].0, format!("{name}: {error:?}")))?;
        Ok(Some((place.shape.clone(), values)))
    }

    /// The tensor `name` in the format `dtype`, given the shape `shape` of as many values.
    ///
    /// Beside the result only a small buffer is held on the host.
    ///
    /// # Errors
    /// When there is no such tensor, it holds another number of values, cannot be read, or its format is not a float.
    pub fn read(&self, name: &str, dtype: WeightDtype, shape: &[usize]) -> Result<TensorData, ModelError> {
        let place = self.place(name)?;
        let (held, wanted): (usize, usize) = (place.shape.iter().product(), shape.iter().product());
        if held != wanted {
            return Err(ModelError::Tensors(vec![format!(
                "{name}: expected shape {shape:?}, found {:?}",
                place.shape
            )]));
        }
        self.read_floats(name, place, 0, dtype, shape)
    }

    /// Part `index` of the tensor `name` along its first axis, in the format `dtype`.
    ///
    /// # Errors
    /// As [`TensorFiles::read`]; also when the tensor has no part of that number.
    pub fn read_part(&self, name: &str, index: usize, dtype: WeightDtype) -> Result<TensorData, ModelError> {
        let place = self.place(name)?;
        match place.shape.split_first() {
            Some((&parts, shape)) if index < parts => {
                let start = (place.length / parts * index) as u64;
                self.read_floats(name, place, start, dtype, shape)
            }
            _ => Err(ModelError::Tensors(vec![format!(
                "{name}: expected at least {} parts along the first axis, found shape {:?}",
                index + 1,
                place.shape
            )])),
        }
    }

    /// The bytes of the tensor `name` as they are in the file, whatever its format.
    ///
    /// # Errors
    /// When there is no such tensor or it cannot be read.
    pub fn read_bytes(&self, name: &str) -> Result<Vec<u8>, ModelError> {
        let place = self.place(name)?;
        let mut bytes = vec![0; place.length];
        self.read_at(place, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Gives the tensor `name` a second name.
    pub(super) fn alias(&mut self, name: &str, second: &str) {
        if let Some(place) = self.places.get(name) {
            self.places.insert(second.to_owned(), place.clone());
        }
    }

    /// Whether two tensors have the same shape and values. They are compared in pieces.
    ///
    /// # Errors
    /// When one is missing or cannot be read, or they are of different formats, one of which is no float.
    pub(super) fn equal(&self, one: &str, other: &str) -> Result<bool, ModelError> {
        let (first, second) = (self.place(one)?, self.place(other)?);
        if first.shape != second.shape {
            return Ok(false);
        }
        if first.dtype != second.dtype {
            return Ok(self.get(one)? == self.get(other)?);
        }
        const PIECE: usize = 1 << 22;
        let (mut left, mut right) = (vec![0; PIECE.min(first.length)], vec![0; PIECE.min(first.length)]);
        for start in (0..first.length).step_by(PIECE) {
            let count = PIECE.min(first.length - start);
            for (place, buffer) in [(first, &mut left), (second, &mut right)] {
                self.read_at(place, start as u64, &mut buffer[..count])?;
            }
            if left[..count] != right[..count] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_at(&self, place: &Place, skip: u64, buffer: &mut [u8]) -> Result<(), ModelError> {
        let (path, file) = &self.files[place.file];
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place.start + skip))
            .and_then(|_| file.read_exact(buffer))
            .map_err(ModelError::io("read", path))
    }

    /// At most `most` bytes of the tensor `name`: all of it, or pieces from its first to its last.
    ///
    /// # Errors
    /// As [`TensorFiles::read_bytes`].
    pub(super) fn excerpt(&self, name: &str, most: usize) -> Result<Vec<u8>, ModelError> {
        /// Bytes of a piece.
        const PIECE: usize = 4096;
        let place = self.place(name)?;
        if place.length <= most.max(PIECE) {
            return self.read_bytes(name);
        }
        let pieces = (most / PIECE).max(2);
        let last = place.length - PIECE;
        let (path, file) = &self.files[place.file];
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; pieces * PIECE];
        for (number, piece) in bytes.chunks_exact_mut(PIECE).enumerate() {
            let offset = (last as u128 * number as u128 / (pieces - 1) as u128) as u64;
            file.seek(SeekFrom::Start(place.start + offset))
                .and_then(|_| file.read_exact(piece))
                .map_err(ModelError::io("read", path))?;
        }
        Ok(bytes)
    }

    fn place(&self, name: &str) -> Result<&Place, ModelError> {
        self.places
            .get(name)
            .ok_or_else(|| ModelError::Tensors(vec![format!("{name}: found no such tensor")]))
    }

    fn read_floats(
        &self,
        name: &str,
        place: &Place,
        skip: u64,
        dtype: WeightDtype,
        shape: &[usize],
    ) -> Result<TensorData, ModelError> {
        let (path, file) = &self.files[place.file];
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place.start + skip))
            .map_err(ModelError::io("read", path))?;
        match read_floats(&mut *file, place.dtype, dtype, shape) {
            Some(data) => data.map_err(ModelError::io("read", path)),
            None => Err(ModelError::format(
                path,
                format!("{name}: expected f32, f16, bf16 or f64, found {:?}", place.dtype),
            )),
        }
    }
}

/// The name in the files of the model's tensor `name`: the released one or an older one.
pub(super) fn find(files: &TensorFiles, name: &str) -> Option<String> {
    let candidates = [
        name.to_owned(),
        name.replacen("model.language_model.", "model.", 1),
        name.replacen("model.visual.", "visual.", 1),
        name.replacen("model.language_model.", "language_model.model.", 1),
        format!("language_model.{name}"),
    ];
    candidates.into_iter().find(|candidate| files.info(candidate).is_some())
}
