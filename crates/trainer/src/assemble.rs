//! From a configuration to objects: the only place that chooses concrete types.

use crate::config::{Dtype, TrainConfig};
use crate::world::device;
use anyhow::{Context, Result, bail};
use cua_grpo_model::batch::ImageCache;
use cua_grpo_model::checkpoint::{LoadOptions, load_model};
use cua_grpo_model::lora::{LoraConfig, Targets};
use cua_grpo_model::processor::ChatRenderer;
use cua_grpo_model::{Policy, Qwen3Vl};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the model that is compiled into the binary.
pub const STARTER: &str = "starter";

/// Files of the starter model, so that the quickstart works from any folder.
const STARTER_FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../starter/config.json")),
    ("model.safetensors", include_bytes!("../starter/model.safetensors")),
    ("tokenizer.json", include_bytes!("../starter/tokenizer.json")),
    (
        "tokenizer_config.json",
        include_bytes!("../starter/tokenizer_config.json"),
    ),
    ("chat_template.jinja", include_bytes!("../starter/chat_template.jinja")),
    (
        "preprocessor_config.json",
        include_bytes!("../starter/preprocessor_config.json"),
    ),
];

/// A loaded policy and what turns messages into its tokens.
pub struct Loaded {
    /// The policy, without adapter.
    pub policy: Policy,
    /// Messages to tokens.
    pub renderer: Arc<ChatRenderer>,
}

/// Loads the model that `config` names.
pub fn load(config: &TrainConfig) -> Result<Loaded> {
    let device = device(config.device)?;
    if config.dtype != Dtype::Float32 {
        bail!(
            "dtype {}: this version computes in float32; set dtype: float32",
            config.dtype
        );
    }
    if config.model_name == STARTER {
        // Unpacked beside nothing of the user's: the folder is gone when the files have been read.
        let folder = tempfile::tempdir().context("cannot unpack the starter model")?;
        for (name, bytes) in STARTER_FILES {
            std::fs::write(folder.path().join(name), bytes).context("cannot unpack the starter model")?;
        }
        return load_dir(folder.path(), &device, config);
    }
    let dir = PathBuf::from(&config.model_name);
    if !dir.is_dir() {
        bail!(
            "model_name `{}`: expected `{STARTER}` or a folder with config.json and model.safetensors; download the model first, e.g. with `hf download`",
            config.model_name
        );
    }
    load_dir(&dir, &device, config)
}

fn load_dir(dir: &Path, device: &burn::tensor::Device, config: &TrainConfig) -> Result<Loaded> {
    let model: Qwen3Vl = load_model(dir, &LoadOptions::default(), device)?;
    let renderer = ChatRenderer::load(dir)?;
    let images = config.batch_size * config.num_rollouts * config.gradient_accumulation_steps * config.max_turns;
    let images = ImageCache::new(renderer.images().clone(), images.max(256));
    Ok(Loaded {
        policy: Policy::new(model, Arc::new(images)),
        renderer: Arc::new(renderer),
    })
}

/// The adapter that `config` asks for.
pub fn lora(config: &TrainConfig) -> LoraConfig {
    LoraConfig {
        r: config.lora_r,
        lora_alpha: config.lora_alpha,
        use_rslora: false,
        target_modules: Targets::Names(config.lora_target_modules.clone()),
    }
}
