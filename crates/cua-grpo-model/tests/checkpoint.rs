//! Checkpoints: shards, names of older tools, two float formats, and errors that name what is wrong.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::edited::{self, Tensors, tensors};
use common::*;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::checkpoint::{LoadOptions, SaveOptions, WeightDtype, load_model, save_model};
use safetensors::Dtype;
use std::path::Path;

/// Fixture a with its tensors changed, in a folder of its own.
fn changed(change: impl FnOnce(&mut Tensors)) -> tempfile::TempDir {
    edited::changed(&folder("a"), |tensors, _| change(tensors))
}

fn error(dir: &Path) -> String {
    load_model(dir, &LoadOptions::default(), &device())
        .unwrap_err()
        .to_string()
}

fn load(dir: &Path) -> Qwen3Vl {
    load_model(dir, &LoadOptions::default(), &device()).unwrap()
}

#[test]
fn every_tensor_of_the_file_is_a_tensor_of_the_model() {
    for set in SETS {
        let mut model = model(set);
        let mut names = Vec::new();
        model.visit_mut(&mut |name, _| names.push(name.to_owned()));
        names.sort();
        let golden = json(set, "weights.json");
        let mut want: Vec<String> = golden.as_object().unwrap().keys().cloned().collect();
        want.sort();
        assert_eq!(names, want, "{set}");
    }
}

#[test]
fn missing_tensors_and_wrong_shapes_are_all_named() {
    let dir = changed(|tensors| {
        tensors
            .remove("model.language_model.layers.2.mlp.up_proj.weight")
            .unwrap();
        tensors.remove("model.visual.merger.norm.bias").unwrap();
        let (_, shape, _) = tensors.get_mut("model.visual.blocks.1.attn.qkv.weight").unwrap();
        shape.reverse();
    });
    let error = error(dir.path());
    for expected in [
        "model.language_model.layers.2.mlp.up_proj.weight: expected shape [96, 64], found no such tensor",
        "model.visual.merger.norm.bias: expected shape [24], found no such tensor",
        "model.visual.blocks.1.attn.qkv.weight: expected shape [72, 24], found [24, 72]",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(error.lines().count(), 4, "{error}");
}

#[test]
fn a_convolution_with_its_axes_in_another_order_is_refused() {
    // Channels last, frames before channels, one axis for all: as many values, of which a model would be made that answers.
    for axes in [[24, 2, 16, 16, 3], [24, 2, 3, 16, 16], [24, 3, 16, 16, 2]] {
        let name = "model.visual.patch_embed.proj.weight";
        let dir = changed(|tensors| tensors.get_mut(name).unwrap().1 = axes.to_vec());
        let error = error(dir.path());
        let expected = format!("{name}: expected shape [24, 3, 2, 16, 16], found {axes:?}");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn integer_weights_are_refused_by_name() {
    let name = "model.language_model.norm.weight";
    let dir = changed(|tensors| tensors.get_mut(name).unwrap().0 = Dtype::I32);
    let error = error(dir.path());
    assert!(
        error.contains(&format!("{name}: expected f32, f16, bf16 or f64, found I32")),
        "{error}"
    );
}

#[test]
fn missing_and_truncated_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(error(dir.path()).contains("config.json"));
    for name in [
        "config.json",
        "model.safetensors.index.json",
        "model-00001-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
    ] {
        std::fs::copy(folder("b").join(name), dir.path().join(name)).unwrap();
    }
    assert!(
        error(dir.path()).contains("model-00002-of-00003.safetensors"),
        "{}",
        error(dir.path())
    );
    let bytes = std::fs::read(folder("b").join("model-00002-of-00003.safetensors")).unwrap();
    std::fs::write(
        dir.path().join("model-00002-of-00003.safetensors"),
        &bytes[..bytes.len() - 8],
    )
    .unwrap();
    assert!(
        error(dir.path()).contains("model-00002-of-00003.safetensors"),
        "{}",
        error(dir.path())
    );
}

#[test]
fn names_of_older_tools_load_the_same_model() {
    let rows = [row("a", "one_image")];
    let want = logits(&model("a"), &rows);
    for (text, vision) in [("model.", "visual."), ("language_model.model.", "model.visual.")] {
        let dir = changed(|tensors| {
            let renamed = std::mem::take(tensors).into_iter().map(|(name, tensor)| {
                let name = name
                    .replacen("model.language_model.", text, 1)
                    .replacen("model.visual.", vision, 1);
                (name, tensor)
            });
            tensors.extend(renamed);
        });
        assert_eq!(logits(&load(dir.path()), &rows), want, "{text} {vision}");
    }
}

#[test]
fn saved_models_load_again_in_both_formats() {
    for set in SETS {
        let rows = [row(set, "one_image")];
        let want = logits(&model(set), &rows);
        let dir = tempfile::tempdir().unwrap();
        save_model(&model(set), dir.path(), &SaveOptions::new(WeightDtype::F32), 480, 482).unwrap();
        assert_eq!(logits(&load(dir.path()), &rows), want, "{set} f32");
        // Names, shapes (the patch convolution's too) and bytes are those of the original.
        let mut original = Tensors::new();
        for entry in std::fs::read_dir(folder(set)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                original.extend(tensors(&path));
            }
        }
        assert!(
            tensors(&dir.path().join("model.safetensors")) == original,
            "{set}: tensors differ"
        );

        save_model(&model(set), dir.path(), &SaveOptions::new(WeightDtype::Bf16), 480, 482).unwrap();
        let rounded = logits(&load(dir.path()), &rows);
        let difference = worst(&rounded[0].concat(), &want[0].concat());
        assert!(
            difference > 0.0 && difference < 1.0,
            "{set} bf16: worst difference {difference}"
        );
    }
}
