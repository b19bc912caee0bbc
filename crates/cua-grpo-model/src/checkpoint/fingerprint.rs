//! A short text that two checkpoints share when they hold the same weights, however they are cut into files.

use super::TensorFiles;
use crate::ModelError;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Bytes of weights that enter; of larger checkpoints, pieces of every tensor.
const BYTES: usize = 128 << 20;

/// The fingerprint of the weights in `dir`: names, formats, shapes and values of all tensors, as 32 hexadecimal digits.
///
/// Of a checkpoint above 128 MiB, pieces of every tensor stand for its values, so that a large one takes a moment.
///
/// # Errors
/// When the files cannot be opened or read.
pub fn fingerprint(dir: &Path) -> Result<String, ModelError> {
    let files = TensorFiles::open(dir)?;
    let share = BYTES / files.names().count().max(1);
    let mut hash = Sha256::new();
    for name in files.names() {
        hash.update(format!("{name} {:?}\n", files.info(name)));
        hash.update(files.excerpt(name, share)?);
    }
    let mut text = format!("{:x}", hash.finalize());
    text.truncate(32);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{TensorBytes, write_safetensors};

    fn folder(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let tensors: Vec<_> = tensors
            .iter()
            .map(|(name, shape, values)| ((*name).to_owned(), TensorBytes::f32(shape.clone(), values)))
            .collect();
        write_safetensors(&folder.path().join("model.safetensors"), &tensors).unwrap();
        folder
    }

    #[test]
    fn one_value_a_name_and_a_shape_make_another_fingerprint() {
        let of = |tensors: &[(&str, Vec<usize>, Vec<f32>)]| fingerprint(folder(tensors).path()).unwrap();
        let base = of(&[("a", vec![2, 3], vec![0.5; 6]), ("b", vec![4], vec![1.0; 4])]);
        assert_eq!(base.len(), 32);
        assert_eq!(
            base,
            of(&[("b", vec![4], vec![1.0; 4]), ("a", vec![2, 3], vec![0.5; 6])])
        );
        for other in [
            of(&[
                ("a", vec![2, 3], vec![0.5; 6]),
                ("b", vec![4], vec![1.0, 1.0, 1.0, 1.0000001]),
            ]),
            of(&[("a", vec![3, 2], vec![0.5; 6]), ("b", vec![4], vec![1.0; 4])]),
            of(&[("a", vec![2, 3], vec![0.5; 6]), ("c", vec![4], vec![1.0; 4])]),
            of(&[("a", vec![2, 3], vec![0.5; 6])]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn pieces_of_a_long_tensor_reach_from_its_first_to_its_last_value() {
        let values: Vec<f32> = (0..10_000).map(|value| value as f32).collect();
        let folder = folder(&[("a", vec![10_000], values.clone())]);
        let files = TensorFiles::open(folder.path()).unwrap();
        let pieces = files.excerpt("a", 3 * 4096).unwrap();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(pieces.len(), 3 * 4096);
        assert_eq!(pieces[..4096], bytes[..4096]);
        assert_eq!(pieces[8192..], bytes[40_000 - 4096..]);
        assert_eq!(files.excerpt("a", 40_000).unwrap(), bytes);
    }
}
