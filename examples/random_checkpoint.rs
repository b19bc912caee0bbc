//! Writes a checkpoint with random weights and the sizes of a released model, to try memory and speed without a download.
//!
//! ```sh
//! cargo run -p examples --example random_checkpoint -- --preset 2b --files DIR --out OUT
//! ```
//!
//! `--files` names a checkpoint folder of any size whose tokenizer, chat template and processors are taken along; the ids
//! of its control tokens go into `config.json`. The weights are written in bf16, a shard at a time: memory stays small.

#![allow(clippy::print_stderr, reason = "the example says what it does")]

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use cua_grpo_model::{ModelConfig, PRESETS, Qwen3Vl};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Files of a checkpoint folder besides weights and `config.json`.
const FILES: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "generation_config.json",
    "vocab.json",
];

/// Bytes of tensors in one shard.
const SHARD: usize = 2_000_000_000;

fn main() -> Result<()> {
    let mut given = BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
        given.insert(flag, value);
    }
    let mut take = |flag: &str| {
        let value = given.remove(flag);
        value.with_context(|| format!("{flag} is missing; expected --preset SIZE --files DIR --out DIR"))
    };
    let (preset, files, out) = (
        take("--preset")?,
        PathBuf::from(take("--files")?),
        PathBuf::from(take("--out")?),
    );
    if let Some(flag) = given.keys().next() {
        bail!("unknown flag {flag}");
    }
    let Some(mut config) = ModelConfig::preset(&preset) else {
        bail!("--preset {preset}: expected one of {}", PRESETS.join(", "));
    };
    std::fs::create_dir_all(&out)?;
    if std::fs::read_dir(&out)?.next().is_some() {
        bail!("--out {}: the folder is not empty", out.display());
    }
    let of = ModelConfig::load(&files)?;
    (config.image_token_id, config.video_token_id) = (of.image_token_id, of.video_token_id);
    (config.vision_start_token_id, config.vision_end_token_id) = (of.vision_start_token_id, of.vision_end_token_id);
    for name in FILES.iter().filter(|name| files.join(name).exists()) {
        std::fs::copy(files.join(name), out.join(name))?;
    }
    let shards = shards(&config);
    let mut map = BTreeMap::new();
    let mut state = 0x9E37_79B9_7F4A_7C15;
    for (number, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
        write_shard(&out.join(&name), shard, &mut state)?;
        map.extend(shard.iter().map(|(tensor, _)| (tensor.clone(), name.clone())));
        eprintln!("{name}: {} tensors", shard.len());
    }
    let total: usize = shards.iter().flatten().map(|(_, shape)| bytes_of(shape)).sum();
    let index = serde_json::json!({"metadata": {"total_size": total}, "weight_map": map});
    std::fs::write(out.join("model.safetensors.index.json"), format!("{index:#}\n"))?;
    let mut json = config.to_json(of.vision_end_token_id, of.vision_end_token_id);
    json["text_config"]["dtype"] = "bfloat16".into();
    std::fs::write(out.join("config.json"), format!("{json:#}\n"))?;
    Ok(())
}

/// Names and shapes of the tensors of one shard.
type Shard = Vec<(String, Vec<usize>)>;

/// The tensors of the model, divided; their shapes come from a model without storage.
fn shards(config: &ModelConfig) -> Vec<Shard> {
    let mut shards: Vec<Shard> = vec![Vec::new()];
    let mut used = 0;
    let vision = &config.vision;
    Qwen3Vl::unread(config, &Device::flex()).visit(&mut |name, slot| {
        let mut shape = slot.dims();
        if name.ends_with("patch_embed.proj.weight") {
            let side = vision.patch_size;
            shape = vec![shape[0], vision.in_channels, vision.temporal_patch_size, side, side];
        }
        if used > 0 && used + bytes_of(&shape) > SHARD {
            shards.push(Vec::new());
            used = 0;
        }
        used += bytes_of(&shape);
        if let Some(shard) = shards.last_mut() {
            shard.push((name.to_owned(), shape));
        }
    });
    shards
}

fn bytes_of(shape: &[usize]) -> usize {
    2 * shape.iter().product::<usize>()
}

/// Writes one safetensors file: norms are 1, everything else is uniform with standard deviation 0.02.
fn write_shard(path: &Path, shard: &Shard, state: &mut u64) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let mut start = 0;
    for (name, shape) in shard {
        let end = start + bytes_of(shape);
        let entry = serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
        start = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for (name, shape) in shard {
        let norm = shape.len() == 1 && name.ends_with("norm.weight");
        for _ in 0..bytes_of(shape) / 2 {
            // Xorshift: quick, and good enough for weights that nobody will look at.
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            let unit = (*state >> 40) as f32 / (1u32 << 24) as f32;
            let value = if norm { 1.0 } else { (unit - 0.5) * 0.02 * 12f32.sqrt() };
            file.write_all(&((value.to_bits() >> 16) as u16).to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}
