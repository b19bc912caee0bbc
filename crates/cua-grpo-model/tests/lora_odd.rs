//! Adapter files of other tools: other formats, modules that take no adapter here, and pickled ones.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::adapters::renamed;
use common::*;
use cua_grpo_model::lora::load_adapter;

/// A file whose tensors are changed one by one, beside the configuration of fixture a.
fn rewritten(
    change: impl Fn(&str, safetensors::Dtype, Vec<u8>) -> Option<(String, safetensors::Dtype, Vec<u8>)>,
) -> tempfile::TempDir {
    let dir = renamed(|_, key| Some(key.to_owned()));
    let path = dir.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let all: Vec<_> = file
        .tensors()
        .into_iter()
        .filter_map(|(name, view)| {
            Some((
                change(&name, view.dtype(), view.data().to_vec())?,
                view.shape().to_vec(),
            ))
        })
        .collect();
    let views = all.iter().map(|((name, dtype, data), shape)| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap();
        (name, view)
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    dir
}

#[test]
fn factors_of_64_bits_are_read() {
    let row = [row("a", "one_image")];
    let scores = |dir: &std::path::Path| {
        let mut model = model("a");
        load_adapter(&mut model, dir).map(|_| logits(&model, &row))
    };
    let wide = rewritten(|name, _, data| {
        let values = data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        let data = values.flat_map(|value| f64::from(value).to_le_bytes()).collect();
        Some((name.to_owned(), safetensors::Dtype::F64, data))
    });
    assert_eq!(
        scores(wide.path()).unwrap(),
        scores(&folder("a").join("adapter")).unwrap()
    );
}

#[test]
fn values_that_are_no_numbers_are_refused() {
    for value in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY] {
        let odd = rewritten(|name, dtype, mut data| {
            if name.contains("lora_B") {
                data[..4].copy_from_slice(&value.to_le_bytes());
            }
            Some((name.to_owned(), dtype, data))
        });
        let text = load_adapter(&mut model("a"), odd.path()).unwrap_err().to_string();
        for words in [
            "adapter_model.safetensors",
            "infinite ones or NaN",
            "lora_B.weight (1 of",
            "earlier checkpoint",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        // It is no question of the model, nor of tensors that are missing.
        for words in ["does not fit", "expected beside", "lora_A"] {
            assert!(!text.contains(words), "{words}: {text}");
        }
    }
}

#[test]
fn what_takes_no_adapter_is_named_for_what_it_is() {
    for (module, kind) in [
        (
            "lm_head",
            "lm_head is the output head, which takes no adapter here; merge",
        ),
        (
            "model.language_model.embed_tokens",
            "is an embedding, which takes no adapter",
        ),
        ("model.language_model.nowhere", "belongs to no linear module"),
    ] {
        let dir = rewritten(|name, dtype, data| {
            let own = "model.language_model.layers.0.mlp.up_proj";
            Some((name.replace(own, module), dtype, data))
        });
        let error = load_adapter(&mut model("a"), dir.path()).unwrap_err().to_string();
        assert!(error.contains(kind), "{error}");
    }
    // Also where it is all that the adapter is for.
    let dir = rewritten(|name, dtype, data| {
        let own = "model.language_model.layers.0.mlp.up_proj.lora_A.weight";
        Some((
            name.replace(own, "model.visual.pos_embed.lora_embedding_A"),
            dtype,
            data,
        ))
    });
    let config = dir.path().join("adapter_config.json");
    let mut fields: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    fields["target_modules"] = serde_json::json!(["pos_embed"]);
    std::fs::write(&config, fields.to_string()).unwrap();
    let error = load_adapter(&mut model("a"), dir.path()).unwrap_err().to_string();
    assert!(error.contains("model.visual.pos_embed is an embedding"), "{error}");
    let dir = renamed(|_, key| Some(key.to_owned()));
    let (whole, pickled) = (
        dir.path().join("adapter_model.safetensors"),
        dir.path().join("adapter_model.bin"),
    );
    std::fs::rename(whole, pickled).unwrap();
    let error = load_adapter(&mut model("a"), dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("convert it once with Python") && error.contains("save_file"),
        "{error}"
    );
}
