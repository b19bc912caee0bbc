//! A tiny model with random weights, and a tokenizer made for the phone's language.

use crate::config::SftConfig;
use anyhow::{Context, Result};
use cua_grpo_android::Prompts;
use cua_grpo_android::action::{Action, to_reply};
use cua_grpo_android::tasks::{Split, TaskState};
use cua_grpo_core::TaskSource;
use cua_grpo_model::processor::{ImageProcessorConfig, PixelBudget, Tokenizer, train_tokenizer};
use cua_grpo_model::{ModelConfig, TextConfig, VisionConfig};
use cua_grpo_sim::{Demonstrator, Phone, Skill};
use std::num::NonZeroUsize;
use std::path::Path;

/// Tasks whose words the tokenizer is made from.
const CORPUS_TASKS: u64 = 2000;

/// Writes tokenizer, template and processor of a fresh model into `dir`.
pub fn write_processor(config: &SftConfig, prompts: Prompts, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    train_tokenizer(corpus(config, prompts)?.into_iter(), config.vocab_size, dir)?;
    // The screenshot of the simulated phone is read at half size: an icon is one patch, two rows are one row of tokens.
    let images = ImageProcessorConfig::qwen3_vl(PixelBudget {
        shortest_edge: 1024,
        longest_edge: 96 * 192,
    });
    Ok(images.save(dir)?)
}

/// Copies tokenizer, template and processor of the model in `from`, whose weights are trained further.
pub fn copy_processor(from: &Path, dir: &Path) -> Result<()> {
    cua_grpo_model::processor::copy_processor(from, dir).context("init_from: cannot copy the model's processor")
}

/// What the policy reads and writes: instructions, prompts, replies.
///
/// Replies weigh most in the choice of merges, because every one of their tokens is sampled.
fn corpus(config: &SftConfig, prompts: Prompts) -> Result<Vec<String>> {
    let tasks = crate::world::tasks(config.seed, Split::Train, &config.templates)?;
    let mut texts = vec![format!("system\n{}", prompts.system())];
    let turns = config.max_turns;
    texts.extend((1..=turns).map(|turn| format!("user\n{}", prompts.turn(turn, turns, None))));
    let skill = Skill {
        target: config.target.into(),
        ..Skill::default()
    };
    for cursor in 0..CORPUS_TASKS {
        let task = tasks.task(cursor);
        texts.push(format!("user\n{}", prompts.task(&task.instruction, turns)));
        let mut phone = Phone::new(task.seed);
        let state: TaskState = task.payload()?;
        for command in &state.setup {
            phone.shell(command);
        }
        let mut demonstrator = Demonstrator::new(&task, skill, cursor)?;
        for _ in 0..task.max_turns.map_or(config.max_turns, NonZeroUsize::get) {
            let action = demonstrator.next(&phone);
            texts.push(format!("assistant\n{}", to_reply(&action)));
            if matches!(action, Action::Report { .. }) || phone.perform(&action).is_err() {
                break;
            }
        }
    }
    Ok(texts)
}

/// The model that the configuration describes, for a tokenizer that is there already.
pub fn model_config(config: &SftConfig, tokenizer: &Tokenizer) -> ModelConfig {
    let special = tokenizer.special();
    let half = config.text_head_dim / 2;
    // A third of the frequencies for each axis, as in the released models (24, 20, 20 of 64).
    let side = half * 20 / 64;
    ModelConfig {
        text: TextConfig {
            vocab_size: tokenizer.vocab_size().next_multiple_of(64),
            hidden_size: config.text_hidden_size,
            num_hidden_layers: config.text_num_hidden_layers,
            num_attention_heads: config.text_num_attention_heads,
            num_key_value_heads: config.text_num_key_value_heads,
            head_dim: config.text_head_dim,
            intermediate_size: config.text_intermediate_size,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            rope_scaling: cua_grpo_model::RopeScaling::Default,
            mrope_section: [half - 2 * side, side, side],
            max_position_embeddings: 4096,
            attention_bias: false,
            hidden_act: cua_grpo_model::nn::Activation::Silu,
            moe: None,
        },
        vision: VisionConfig {
            depth: config.vision_depth,
            hidden_size: config.vision_hidden_size,
            intermediate_size: config.vision_intermediate_size,
            num_heads: config.vision_num_heads,
            in_channels: 3,
            patch_size: 16,
            temporal_patch_size: 2,
            spatial_merge_size: 2,
            num_position_embeddings: 576,
            out_hidden_size: config.text_hidden_size,
            hidden_act: cua_grpo_model::nn::Activation::GeluTanh,
            rope_theta: 10_000.0,
            deepstack_visual_indexes: config.deepstack_visual_indexes.clone(),
        },
        tie_word_embeddings: true,
        image_token_id: special.image_pad,
        video_token_id: special.video_pad,
        vision_start_token_id: special.vision_start,
        vision_end_token_id: special.vision_end,
    }
}
