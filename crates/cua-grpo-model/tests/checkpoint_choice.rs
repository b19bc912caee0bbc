//! Which files and tensors count where a folder holds more than one model needs.
//!
//! Mutations tried: the index before the single file, every stored head taken for the embedding, extra tensors passed over:
//! each fails a test here.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::edited::{Tensors, changed, tensors};
use common::logged::warnings;
use common::*;
use cua_grpo_model::checkpoint::{LoadOptions, SaveOptions, load_model, save_model};
use cua_grpo_model::{ModelConfig, ModelError, Qwen3Vl};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use std::path::Path;

fn load(dir: &Path) -> Result<Qwen3Vl, ModelError> {
    load_model(dir, &LoadOptions::default(), &device())
}

fn write(path: &Path, all: &Tensors) {
    let views = all
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Fixture b with more tensors in a file of their own, which its index names.
fn with_more(more: &Tensors) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder("b")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == "config.json" || name.starts_with("model") {
            std::fs::write(dir.path().join(name), std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    write(&dir.path().join("model-more.safetensors"), more);
    let path = dir.path().join("model.safetensors.index.json");
    let mut index: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for name in more.keys() {
        index["weight_map"][name] = "model-more.safetensors".into();
    }
    std::fs::write(&path, index.to_string()).unwrap();
    dir
}

fn f32s(shape: &[usize], value: impl Fn(usize) -> f32) -> (Dtype, Vec<usize>, Vec<u8>) {
    let count: usize = shape.iter().product();
    let bytes = (0..count).flat_map(|i| value(i).to_le_bytes()).collect();
    (Dtype::F32, shape.to_vec(), bytes)
}

/// The embedding of fixture b.
fn embedding() -> (Dtype, Vec<usize>, Vec<u8>) {
    let name = "model.language_model.embed_tokens.weight";
    let shards = ["model-00001-of-00003", "model-00002-of-00003", "model-00003-of-00003"];
    let mut found = shards
        .iter()
        .filter_map(|shard| tensors(&folder("b").join(format!("{shard}.safetensors"))).remove(name));
    found.next().unwrap()
}

fn scores(model: &Qwen3Vl, set: &str) -> Vec<f32> {
    logits(model, &[row(set, "one_image")]).remove(0).concat()
}

#[test]
fn the_single_file_is_read_before_an_index() {
    let want = scores(&model("a"), "a");
    // Shards that are gone, an index that is no JSON, and a whole other set of weights.
    let gone = json!({"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}).to_string();
    for (index, other, said) in [
        (gone.clone(), false, "1 are gone"),
        ("{".to_owned(), false, "model.safetensors is read"),
        (gone, true, "holds two sets of weights"),
    ] {
        let dir = changed(&folder("a"), |_, _| {});
        std::fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
        if other {
            let mut all = tensors(&folder("a").join("model.safetensors"));
            for (_, _, data) in all.values_mut() {
                data.fill(0);
            }
            write(&dir.path().join("model-00001-of-00002.safetensors"), &all);
        }
        let (model, warnings) = warnings(|| load(dir.path()).unwrap());
        assert_eq!(scores(&model, "a"), want, "{said}");
        assert!(warnings.len() == 1 && warnings[0].contains(said), "{warnings:?}");
    }
}

#[test]
fn weights_that_are_not_read_are_named() {
    let want = scores(&model("b"), "b");
    let dir = with_more(&Tensors::new());
    for name in [
        "model-00001-of-00002.safetensors",
        "pytorch_model.bin",
        "adapter_config.json",
    ] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    let (model, said) = warnings(|| load(dir.path()).unwrap());
    assert_eq!(scores(&model, "b"), want);
    assert_eq!(said.len(), 2, "{said:?}");
    // The file of no tensors is not named by the index.
    for name in [
        "model-00001-of-00002.safetensors",
        "pytorch_model.bin",
        "model-more.safetensors",
    ] {
        assert!(said[0].contains(name), "{said:?}");
    }
    assert!(said[1].contains("adapter_config.json"), "{said:?}");
    let (_, said) = warnings(|| load(&folder("b")).unwrap());
    assert_eq!(said, Vec::<String>::new());

    std::fs::remove_file(dir.path().join("model.safetensors.index.json")).unwrap();
    let error = load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("shards without model.safetensors.index.json"), "{error}");
}

#[test]
fn a_stored_head_counts_where_it_differs_from_the_embedding() {
    let tied = scores(&model("b"), "b");
    let (dtype, shape, bytes) = embedding();
    // The same values, in another format too: tied, as is a head alone.
    let equal: Tensors = [("lm_head.weight".to_owned(), (dtype, shape.clone(), bytes.clone()))].into();
    let (model, said) = warnings(|| load(with_more(&equal).path()).unwrap());
    assert!(model.config.tie_word_embeddings && said.is_empty(), "{said:?}");
    assert_eq!(scores(&model, "b"), tied);
    let count = model.num_params();

    let values: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let head = f32s(&shape, |i| if i == 77 { values[i] + 0.5 } else { values[i] });
    let other: Tensors = [("lm_head.weight".to_owned(), head)].into();
    let dir = with_more(&other);
    let (model, said) = warnings(|| load(dir.path()).unwrap());
    assert!(!model.config.tie_word_embeddings);
    assert!(
        said.len() == 1 && said[0].contains("tie_word_embeddings is true, but lm_head.weight differs"),
        "{said:?}"
    );
    assert_eq!(model.num_params(), count + values.len());
    assert!(worst(&scores(&model, "b"), &tied) > 1e-3);
    // Saved, it says that it has a head of its own.
    let want = scores(&model, "b");
    let saved = tempfile::tempdir().unwrap();
    save_model(&model, saved.path(), &SaveOptions::default(), 416, 418).unwrap();
    let (model, said) = warnings(|| load(saved.path()).unwrap());
    assert_eq!(scores(&model, "b"), want);
    assert!(said.is_empty(), "{said:?}");

    let error = load(with_more(&[("lm_head.weight".to_owned(), f32s(&[3, 48], |_| 0.0))].into()).path()).unwrap_err();
    assert!(error.to_string().contains("lm_head.weight: expected shape"), "{error}");
}

#[test]
fn the_embedding_is_the_head_where_only_that_is_stored() {
    let want = scores(&model("b"), "b");
    let mut all = Tensors::new();
    for shard in 1..4 {
        all.extend(tensors(
            &folder("b").join(format!("model-0000{shard}-of-00003.safetensors")),
        ));
    }
    let embedding = all.remove("model.language_model.embed_tokens.weight").unwrap();
    all.insert("lm_head.weight".to_owned(), embedding);
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(folder("b").join("config.json"), dir.path().join("config.json")).unwrap();
    write(&dir.path().join("model.safetensors"), &all);
    assert_eq!(scores(&load(dir.path()).unwrap(), "b"), want);
}

#[test]
fn tensors_of_known_modules_are_refused_and_others_are_warned_about() {
    let layer = "model.language_model.layers.0";
    for (name, shape, advice) in [
        (
            format!("{layer}.self_attn.q_proj.bias"),
            vec![96],
            "set attention_bias to true",
        ),
        (format!("{layer}.mlp.up_proj.bias"), vec![80], "no bias there"),
        (format!("{layer}.mlp.up_proj.weight_scale_inv"), vec![1, 1], "quantised"),
        (format!("{layer}.self_attn.sinks"), vec![4], "belongs to"),
        (
            format!("{layer}.self_attn.q_proj.lora_A.default.weight"),
            vec![2, 48],
            "merge the adapter",
        ),
        (
            "model.layers.1.self_attn.k_proj.bias".to_owned(),
            vec![24],
            "set attention_bias to true",
        ),
        ("visual.merger.linear_fc1.scales".to_owned(), vec![1], "quantised"),
        ("lm_head.bias".to_owned(), vec![448], "no bias there"),
        (
            "model.layers.1.input_layernorm.weight".to_owned(),
            vec![48],
            "also stored as",
        ),
    ] {
        let more: Tensors = [(name.clone(), f32s(&shape, |_| 0.25))].into();
        match load(with_more(&more).path()) {
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(&name) && error.contains(advice), "{error}");
            }
            Ok(_) => panic!("{name} is passed over"),
        }
    }
    let strangers: Tensors = [
        "model.language_model.layers.4.mlp.up_proj.weight",
        "mtp.fc.weight",
        "value_head.weight",
    ]
    .map(|name| (name.to_owned(), f32s(&[2], |_| 1.0)))
    .into();
    let (model, said) = warnings(|| load(with_more(&strangers).path()).unwrap());
    assert_eq!(scores(&model, "b"), scores(&common::model("b"), "b"));
    let told = |words: &[&str]| said.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(said.len() == 2 && told(&["1 tensors of mtp"]), "{said:?}");
    let others: Vec<&str> = strangers
        .keys()
        .map(String::as_str)
        .filter(|name| !name.starts_with("mtp."))
        .collect();
    assert!(
        others.len() == 2 && told(&["2 tensors belong to no part of this model"]) && told(&others),
        "{said:?}"
    );
}

/// Stored tables of frequencies are not read, so those that say something else than the configuration are told.
///
/// Mutations tried: the tower's frequencies by the width of a head, tables of any size taken, every table taken for one in bf16.
#[test]
fn stored_frequencies_that_differ_from_the_configuration_are_told() {
    let config = ModelConfig::load(&folder("b")).unwrap();
    let power = |theta: f64, width: usize| move |j: usize| theta.powf(-2.0 * j as f64 / width as f64) as f32;
    let (text, vision) = (&config.text, &config.vision);
    let of_text = power(text.rope_theta, text.head_dim);
    let width = vision.hidden_size / vision.num_heads / 2;
    let of_tower = power(vision.rope_theta, width);
    let said = |name: &str, tensor: (Dtype, Vec<usize>, Vec<u8>)| {
        let more: Tensors = [(name.to_owned(), tensor)].into();
        let (model, said) = warnings(|| load(with_more(&more).path()).unwrap());
        drop(model);
        said.join("\n")
    };
    let half = text.head_dim / 2;
    let narrow = |value: &dyn Fn(usize) -> f32| {
        let bytes = (0..half).flat_map(|j| half::bf16::from_f32(value(j)).to_le_bytes());
        (Dtype::BF16, vec![half], bytes.collect())
    };
    for name in [
        "model.rotary_emb.inv_freq",
        "model.language_model.rotary_emb.inv_freq",
        "model.layers.1.self_attn.rotary_emb.inv_freq",
    ] {
        assert_eq!(said(name, f32s(&[half], of_text)), "");
        assert_eq!(said(name, narrow(&of_text)), "");
        for other in [
            f32s(&[half], power(text.rope_theta * 1.02, text.head_dim)),
            f32s(&[half - 1], of_text),
            (Dtype::I32, vec![half], vec![0; 4 * half]),
        ] {
            let said = said(name, other);
            assert!(said.contains("frequencies differ") && said.contains(name), "{said}");
        }
    }
    for name in ["visual.rotary_pos_emb.inv_freq", "model.visual.rotary_pos_emb.inv_freq"] {
        assert_eq!(said(name, f32s(&[width / 2], of_tower)), "");
        let said = said(name, f32s(&[width / 2], power(9_000.0, width)));
        assert!(said.contains("frequencies differ") && said.contains(name), "{said}");
    }
}

/// A tensor in two shards: the index says which counts.
#[test]
fn the_index_says_which_of_two_shards_has_a_tensor() {
    let want = scores(&model("b"), "b");
    let mut more: Tensors = [("value_head.weight".to_owned(), f32s(&[2], |_| 1.0))].into();
    let dir = with_more(&more);
    more.insert("model.language_model.norm.weight".to_owned(), f32s(&[48], |_| 9.0));
    write(&dir.path().join("model-more.safetensors"), &more);
    assert_eq!(scores(&load(dir.path()).unwrap(), "b"), want);
}
