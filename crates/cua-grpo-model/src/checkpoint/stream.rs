//! Writing safetensors files: from tensors in memory, or one tensor after another.

use super::WeightDtype;
use super::dtype::write_floats;
use crate::ModelError;
use burn::tensor::TensorData;
use half::bf16;
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A tensor as bytes, ready to be written.
pub struct TensorBytes {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl TensorBytes {
    /// f32 values.
    pub fn f32(shape: Vec<usize>, values: &[f32]) -> Self {
        Self {
            dtype: Dtype::F32,
            shape,
            bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    /// Values rounded to bf16.
    pub fn bf16(shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values
            .iter()
            .flat_map(|&value| bf16::from_f32(value).to_le_bytes())
            .collect();
        Self {
            dtype: Dtype::BF16,
            shape,
            bytes,
        }
    }
}

impl View for &TensorBytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes tensors, with the `format: pt` mark that Python readers look for. Written beside and renamed when whole.
///
/// # Errors
/// When the file cannot be written.
pub fn write_safetensors(path: &Path, tensors: &[(String, TensorBytes)]) -> Result<(), ModelError> {
    let views = tensors.iter().map(|(name, tensor)| (name.clone(), tensor));
    let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
    let bytes = safetensors::serialize(views, metadata).map_err(|error| ModelError::format(path, error))?;
    let partial = path.with_extension("safetensors.partial");
    std::fs::write(&partial, bytes).map_err(ModelError::io("write", &partial))?;
    std::fs::rename(&partial, path).map_err(ModelError::io("write", path))
}

/// A file under a temporary name, removed when it is dropped before it got its own.
struct Partial {
    partial: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = std::fs::remove_file(&self.partial)
        {
            tracing::debug!(file = %self.partial.display(), %error, "cannot remove an unfinished file");
        }
    }
}

/// A safetensors file that is written tensor by tensor, in the order of its header, under another name until it is whole.
pub(super) struct TensorWriter {
    file: Partial,
    sink: BufWriter<File>,
}

/// Name, shape and format of a tensor that is to be written.
pub(super) type Planned = (String, Vec<usize>, WeightDtype);

impl TensorWriter {
    /// Begins the file `path` with those tensors.
    pub(super) fn create(path: &Path, tensors: &[Planned]) -> Result<Self, ModelError> {
        let mut start = 0;
        let infos = tensors.iter().map(|(name, shape, dtype)| {
            let end = start + shape.iter().product::<usize>() * dtype.size();
            let info = TensorInfo {
                dtype: dtype.safetensors(),
                shape: shape.clone(),
                data_offsets: (start, end),
            };
            start = end;
            (name.clone(), info)
        });
        let mark = Some([("format".to_owned(), "pt".to_owned())].into());
        let metadata = Metadata::new(mark, infos.collect()).map_err(|error| ModelError::format(path, error))?;
        let mut header = serde_json::to_vec(&metadata).map_err(|error| ModelError::format(path, error))?;
        // Values begin at a multiple of 8, as the format asks.
        header.resize(header.len().next_multiple_of(8), b' ');
        let file = Partial {
            partial: path.with_extension("safetensors.partial"),
            path: path.to_owned(),
            renamed: false,
        };
        let sink = File::create(&file.partial).map_err(ModelError::io("write", &file.partial))?;
        let mut sink = BufWriter::with_capacity(1 << 20, sink);
        sink.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| sink.write_all(&header))
            .map_err(ModelError::io("write", &file.partial))?;
        Ok(Self { file, sink })
    }

    /// Appends the values of the next tensor (or the next part of one), whose format is `dtype`.
    pub(super) fn append(&mut self, data: &TensorData, dtype: WeightDtype) -> Result<(), ModelError> {
        write_floats(&mut self.sink, data, dtype).map_err(ModelError::io("write", &self.file.partial))
    }

    /// Flushes what is buffered; the file keeps its temporary name until [`Finished::rename`].
    pub(super) fn finish(mut self) -> Result<Finished, ModelError> {
        self.sink.flush().map_err(ModelError::io("write", &self.file.partial))?;
        Ok(Finished(self.file))
    }
}

/// A whole file that waits for its name.
pub(super) struct Finished(Partial);

impl Finished {
    /// Gives the file its name.
    pub(super) fn rename(mut self) -> Result<(), ModelError> {
        std::fs::rename(&self.0.partial, &self.0.path).map_err(ModelError::io("write", &self.0.path))?;
        self.0.renamed = true;
        Ok(())
    }
}
