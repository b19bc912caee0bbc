//! Checkpoint files: float formats, shards and their index, what a broken download looks like.
//!
//! Mutations tried: reading from the start of the file instead of the start of the tensor; a chunk converted twice;
//! norms held in the matrices' format; shards cut after the limit instead of before; the index left when a single file
//! is saved over shards. Each fails a test here.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use burn::tensor::DType;
use common::*;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::checkpoint::{LoadOptions, SaveOptions, TensorFiles, WeightDtype, load_model, save_model};
use cua_grpo_model::nn::ParamMut;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::BTreeSet;
use std::path::Path;

fn error(dir: &Path) -> String {
    let error = load_model(dir, &LoadOptions::default(), &device()).unwrap_err();
    error.to_string()
}

/// A copy of the sharded fixture.
fn copy_of_b() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder("b")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == "config.json" || name.starts_with("model") {
            std::fs::copy(entry.path(), dir.path().join(name)).unwrap();
        }
    }
    dir
}

/// Name, format and values of every tensor.
fn held(model: &mut Qwen3Vl) -> Vec<(String, DType, Vec<f32>)> {
    let mut all = Vec::new();
    model.visit_mut(&mut |name, slot| {
        let (dtype, values) = match slot {
            ParamMut::Vector(tensor) => (tensor.dtype(), tensor.clone().into_data().convert::<f32>()),
            ParamMut::Matrix(tensor) => (tensor.dtype(), tensor.clone().into_data().convert::<f32>()),
        };
        all.push((name.to_owned(), dtype, values.try_to_vec().unwrap()));
    });
    all
}

#[test]
fn every_float_format_is_read_in_either_format() {
    // More values than are converted at a time, an odd number of them, behind another tensor.
    let count = (1 << 18) + 3;
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
    let single: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let brain: Vec<u8> = values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
    let short: Vec<u8> = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
    let whole = vec![7u8; 5];
    let tensors = [
        ("single", TensorView::new(Dtype::F32, vec![count], &single).unwrap()),
        ("brain", TensorView::new(Dtype::BF16, vec![count], &brain).unwrap()),
        ("short", TensorView::new(Dtype::F16, vec![count], &short).unwrap()),
        ("whole", TensorView::new(Dtype::U8, vec![5], &whole).unwrap()),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let files = TensorFiles::open(dir.path()).unwrap();
    let stored = |name: &str, value: f32| match name {
        "single" => value,
        "brain" => bf16::from_f32(value).to_f32(),
        _ => f16::from_f32(value).to_f32(),
    };
    for name in ["single", "brain", "short"] {
        let want: Vec<f32> = values.iter().map(|&value| stored(name, value)).collect();
        assert_eq!(files.get(name).unwrap().unwrap(), (vec![count], want.clone()), "{name}");
        let data = files.read(name, WeightDtype::Bf16, &[1, count]).unwrap();
        let got: Vec<bf16> = data.try_to_vec().unwrap();
        let want: Vec<bf16> = want.into_iter().map(bf16::from_f32).collect();
        assert!(got == want, "{name}");
    }
    assert_eq!(files.read_bytes("whole").unwrap(), whole);
    let error = files.get("whole").unwrap_err().to_string();
    assert!(
        error.contains("whole: expected f32, f16, bf16 or f64, found U8"),
        "{error}"
    );
    let error = files.read("single", WeightDtype::F32, &[2, 2]).unwrap_err().to_string();
    assert!(
        error.contains("single: expected shape [2, 2], found [262147]"),
        "{error}"
    );
    assert!(files.get("none").unwrap().is_none());
}

#[test]
fn matrices_are_held_in_bf16_and_the_rest_in_f32() {
    let mut exact = model("b");
    let options = LoadOptions::new(WeightDtype::Bf16);
    let mut rounded = load_model(&folder("b"), &options, &device()).unwrap();
    for ((name, _, exact), (_, dtype, got)) in held(&mut exact).into_iter().zip(held(&mut rounded)) {
        let small = name.contains("norm") || name.ends_with("bias") || name.ends_with("pos_embed.weight");
        assert_eq!(dtype, if small { DType::F32 } else { DType::BF16 }, "{name}");
        let want = exact.into_iter();
        let want: Vec<f32> = match dtype {
            DType::BF16 => want.map(|value| bf16::from_f32(value).to_f32()).collect(),
            _ => want.collect(),
        };
        assert!(got == want, "{name}");
    }
}

#[test]
fn an_index_that_lies_is_an_error_and_its_total_is_not() {
    let dir = copy_of_b();
    let path = dir.path().join("model.safetensors.index.json");
    let good: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut index = good.clone();
        change(&mut index);
        std::fs::write(&path, index.to_string()).unwrap();
    };
    with(&|index| index["metadata"]["total_size"] = 1.into());
    load_model(dir.path(), &LoadOptions::default(), &device()).unwrap();

    with(&|index| index["weight_map"]["model.visual.extra.weight"] = "model-00001-of-00003.safetensors".into());
    assert!(
        error(dir.path()).contains(
            "model.visual.extra.weight: expected in model-00001-of-00003.safetensors by model.safetensors.index.json"
        ),
        "{}",
        error(dir.path())
    );
    with(&|index| index["weight_map"] = serde_json::json!({"x": 3}));
    assert!(error(dir.path()).contains("weight_map: expected tensor names and files"));
    with(&|index| {
        index.as_object_mut().unwrap().remove("weight_map");
    });
    assert!(error(dir.path()).contains("expected a key weight_map"));

    with(&|_| ());
    for shard in ["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"] {
        std::fs::remove_file(dir.path().join(shard)).unwrap();
    }
    let error = error(dir.path());
    assert!(
        error.contains("lacks model-00001-of-00003.safetensors, model-00003-of-00003.safetensors"),
        "{error}"
    );
}

#[test]
fn broken_files_are_told_from_missing_ones() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(folder("a").join("config.json"), dir.path().join("config.json")).unwrap();
    assert!(error(dir.path()).contains("found neither"), "{}", error(dir.path()));
    let path = dir.path().join("model.safetensors");
    let bytes = std::fs::read(folder("a").join("model.safetensors")).unwrap();
    for (content, expected) in [
        (&bytes[..3], "expected 8 bytes, found 3"),
        (&bytes[..100], "cut short"),
        (&bytes[..bytes.len() - 1], "cut short"),
        (&b"\x02\0\0\0\0\0\0\0[]"[..], "model.safetensors"),
    ] {
        std::fs::write(&path, content).unwrap();
        assert!(error(dir.path()).contains(expected), "{}", error(dir.path()));
    }
}

#[test]
fn shards_stay_below_the_limit_and_load_again() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 40_000;
    let options = SaveOptions {
        dtype: None,
        max_shard_bytes: limit,
    };
    save_model(&model("b"), dir.path(), &options, 480, 482).unwrap();
    let text = std::fs::read_to_string(dir.path().join("model.safetensors.index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&text).unwrap();
    let map = index["weight_map"].as_object().unwrap();
    let shards: BTreeSet<&str> = map.values().map(|file| file.as_str().unwrap()).collect();
    let mut total = 0;
    for (number, shard) in shards.iter().enumerate() {
        assert_eq!(
            *shard,
            format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len())
        );
        let bytes = std::fs::read(dir.path().join(shard)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let sizes: Vec<usize> = tensors.tensors().iter().map(|(_, view)| view.data().len()).collect();
        let size: usize = sizes.iter().sum();
        assert!(size as u64 <= limit || sizes.len() == 1, "{shard}: {size} bytes");
        total += size;
    }
    assert_eq!(index["metadata"]["total_size"].as_u64().unwrap() as usize, total);
    let mut original = held(&mut model("b"));
    let mut loaded = load_model(dir.path(), &LoadOptions::default(), &device()).unwrap();
    assert!(original == held(&mut loaded));

    // A single file takes the place of the shards, and its format is the one that the weights are held in.
    let rounded = load_model(dir.path(), &LoadOptions::new(WeightDtype::Bf16), &device()).unwrap();
    save_model(&rounded, dir.path(), &SaveOptions::default(), 480, 482).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    let files = TensorFiles::open(dir.path()).unwrap();
    assert!(files.names().all(|name| files.info(name).unwrap().0 == Dtype::BF16));
    for (_, _, values) in &mut original {
        values
            .iter_mut()
            .for_each(|value| *value = bf16::from_f32(*value).to_f32());
    }
    let mut loaded = load_model(dir.path(), &LoadOptions::default(), &device()).unwrap();
    assert!(original == held(&mut loaded));
}

#[test]
fn a_save_that_fails_leaves_the_folder_as_it_was() {
    let dir = copy_of_b();
    let before = held(&mut load_model(dir.path(), &LoadOptions::default(), &device()).unwrap());
    // The second file of the new save cannot be created: a folder has its temporary name.
    let options = SaveOptions {
        dtype: Some(WeightDtype::F32),
        max_shard_bytes: 100_000_000,
    };
    std::fs::create_dir(dir.path().join("model.safetensors.partial")).unwrap();
    assert!(save_model(&model("a"), dir.path(), &options, 480, 482).is_err());
    let after = held(&mut load_model(dir.path(), &LoadOptions::default(), &device()).unwrap());
    assert!(before == after);
}
