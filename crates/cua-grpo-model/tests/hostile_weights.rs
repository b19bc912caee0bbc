//! Safetensors files, indexes and adapters as an attacker or a broken disk would write them.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::{device, folder, make_pipe};
use cua_grpo_model::checkpoint::{LoadOptions, TensorFiles, load_model};
use std::path::Path;

/// A file with the header `header` and `values` bytes behind it.
fn file(header: &str, values: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; values]);
    bytes
}

fn open(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
    match TensorFiles::open(dir.path()) {
        Ok(files) => panic!("opened with {:?}", files.names().collect::<Vec<_>>()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn headers_are_held_against_the_format() {
    let tensor = |name: &str, dtype: &str, shape: &str, from: u64, to: u64| {
        format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}")
    };
    let both = |first: String, second: String| format!("{{{first},{second}}}");
    for (name, header, values) in [
        ("no JSON", "{".to_owned(), 0),
        ("a list", "[]".to_owned(), 0),
        (
            "an unknown format",
            format!("{{{}}}", tensor("a", "F99", "[1]", 0, 4)),
            4,
        ),
        (
            "a shape of another size",
            format!("{{{}}}", tensor("a", "F32", "[2]", 0, 4)),
            4,
        ),
        (
            "sizes that overflow",
            format!("{{{}}}", tensor("a", "F32", "[4294967296,4294967296,16]", 0, 4)),
            4,
        ),
        (
            "a negative side",
            format!("{{{}}}", tensor("a", "F32", "[-1]", 0, 4)),
            4,
        ),
        (
            "an end before its start",
            format!("{{{}}}", tensor("a", "F32", "[1]", 4, 0)),
            4,
        ),
        (
            "a hole",
            both(tensor("a", "F32", "[1]", 0, 4), tensor("b", "F32", "[1]", 8, 12)),
            12,
        ),
        (
            "an overlap",
            both(tensor("a", "F32", "[2]", 0, 8), tensor("b", "F32", "[1]", 4, 8)),
            8,
        ),
        (
            "one name twice",
            both(tensor("a", "F32", "[2,1]", 0, 8), tensor("a", "F32", "[1,2]", 0, 8)),
            8,
        ),
        (
            "a place beyond the file",
            format!("{{{}}}", tensor("a", "F32", "[4]", 0, 16)),
            4,
        ),
        (
            "more than the header says",
            format!("{{{}}}", tensor("a", "F32", "[1]", 0, 4)),
            9,
        ),
        (
            "a place at the end of numbers",
            format!(
                "{{{}}}",
                tensor("a", "U8", "[18446744073709551608]", 0, 18_446_744_073_709_551_608)
            ),
            0,
        ),
        ("deep nesting", "[".repeat(100_000), 0),
    ] {
        let error = open(&file(&header, values));
        assert!(
            error.contains("model.safetensors") && error.len() < 1000,
            "{name}: {error}"
        );
    }
    let error = open(&file(
        &both(tensor("a", "F32", "[2,1]", 0, 8), tensor("a", "F32", "[1,2]", 0, 8)),
        8,
    ));
    assert!(error.contains("a stands there twice"), "{error}");
    let many: Vec<String> = (0..=400_000)
        .map(|index| tensor(&index.to_string(), "F32", "[0]", 0, 0))
        .collect();
    let error = open(&file(&format!("{{{}}}", many.join(",")), 0));
    assert!(error.contains("at most 400000 tensors"), "{error}");
}

#[test]
fn lengths_of_headers_are_bounded() {
    for length in [u64::MAX, u64::MAX - 7, 1 << 62, 1000] {
        let error = open(&length.to_le_bytes());
        assert!(error.contains("not a safetensors file, or cut short"), "{error}");
    }
    assert!(open(b"abc").contains("expected 8 bytes"));
    // A header of 8 GB in a file that has them, as a hole.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    std::fs::write(&path, (8_u64 << 30).to_le_bytes()).unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(9 << 30)
        .unwrap();
    let error = TensorFiles::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("a header of at most 100000000 bytes"), "{error}");
}

/// The sharded fixture with another index.
fn with_index(index: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("model");
    std::fs::create_dir(&inner).unwrap();
    for entry in std::fs::read_dir(folder("b")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "config.json" || name.starts_with("model-") {
            std::fs::copy(&path, inner.join(name)).unwrap();
            std::fs::copy(&path, dir.path().join(name)).unwrap();
        }
    }
    std::fs::write(inner.join("model.safetensors.index.json"), index).unwrap();
    load_model(&inner, &LoadOptions::default(), &device())
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[test]
fn an_index_names_files_beside_it_and_nothing_else() {
    let path = folder("b").join("model.safetensors.index.json");
    let index = std::fs::read_to_string(path).unwrap();
    with_index(&index).unwrap();
    let shard = "model-00002-of-00003.safetensors";
    assert!(index.contains(shard));
    for other in [
        format!("../{shard}"),
        format!("/tmp/{shard}"),
        format!("./{shard}"),
        format!("{shard}#x"),
        format!("{shard}?x=.safetensors"),
        "/dev/zero".to_owned(),
        "..".to_owned(),
        String::new(),
    ] {
        let error = with_index(&index.replace(shard, &other)).unwrap_err();
        assert!(
            error.contains("weight_map: expected names of files"),
            "{other}: {error}"
        );
    }
    for (index, expected) in [
        ("[]", "expected an object"),
        ("{}", "weight_map"),
        (r#"{"weight_map": {"a": 1}}"#, "weight_map"),
        (
            r#"{"weight_map": {}, "weight_map": {}}"#,
            "weight_map stands there twice",
        ),
    ] {
        let error = with_index(index).unwrap_err();
        assert!(error.contains(expected), "{index}: {error}");
    }
}

#[test]
fn one_name_in_two_files_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    let paths = ["one.safetensors", "two.safetensors"].map(|name| dir.path().join(name));
    for path in &paths {
        std::fs::write(path, file(header, 4)).unwrap();
    }
    let error = TensorFiles::open_files(paths.to_vec()).err().unwrap().to_string();
    assert!(
        error.contains("a: stored in ") && error.contains("two.safetensors; keep one"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    let refused = |name: &str, place: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(folder("a")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().unwrap() != name {
                std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        place(&dir.path().join(name));
        load_model(dir.path(), &LoadOptions::default(), &device())
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let zero = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    let directory = |path: &Path| std::fs::create_dir(path).unwrap();
    for name in ["config.json", "model.safetensors"] {
        let places: [&dyn Fn(&Path); 3] = [&make_pipe, &zero, &directory];
        for place in places {
            let error = refused(name, place);
            assert!(
                error.contains(name) && error.contains("expected a file, found a"),
                "{error}"
            );
        }
    }
}
