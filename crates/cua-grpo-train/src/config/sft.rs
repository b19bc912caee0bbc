//! Configuration of `trainer sft`: a tiny Qwen3-VL imitates scripted demonstrations and becomes the starter model.

use super::validate::Checker;
use super::{
    ConfigError, Configuration, Decay, DeviceSpec, InstanceSplit, Key, PhoneKind, PromptStyle, TargetStyle, at_least,
};
use cua_grpo_model::checkpoint::WeightDtype;
use cua_grpo_model::memory::Available;
use cua_grpo_model::processor::{PixelLimits, Tokenizer};
use cua_grpo_model::{ModelConfig, TextConfig, VisionConfig};

configuration! {
    /// Everything that a starter model depends on.
    pub struct SftConfig {
        /// Episodes played by the scripted demonstrator.
        demonstrations: usize [at_least(1.0).at_most(1_000_000.0)] = 2000,
        /// Probability that the demonstrator reports completion too early.
        skill_hurry: f64 [at_least(0.0).below(1.0).because("a probability")] = 0.15,
        /// Probability a turn that the demonstrator takes a wrong row or icon, on the small phone alone.
        skill_slip: f64 [at_least(0.0).below(1.0).because("a probability")] = 0.05,
        /// Probability a click that the demonstrator names something that is not on the screen, and is told so.
        skill_blunder: f64 [at_least(0.0).below(1.0).because("a probability")] = 0.0,
        /// Model folder to go on from; null starts from random weights, and the sizes below hold.
        init_from: Option<String> = None,
        /// Width of the language model.
        text_hidden_size: usize [at_least(8.0).at_most(16_384.0)] = 128,
        /// Layers of the language model.
        text_num_hidden_layers: usize [at_least(1.0).at_most(256.0)] = 4,
        /// Query heads of the language model.
        text_num_attention_heads: usize [at_least(1.0).at_most(256.0)] = 4,
        /// Key and value heads of the language model.
        text_num_key_value_heads: usize [at_least(1.0).at_most(256.0)] = 2,
        /// Width of a head of the language model.
        text_head_dim: usize [at_least(8.0).at_most(1024.0)] = 32,
        /// Width of the feed-forward layers of the language model.
        text_intermediate_size: usize [at_least(1.0).at_most(65_536.0)] = 384,
        /// Width of the vision tower.
        vision_hidden_size: usize [at_least(4.0).at_most(16_384.0)] = 96,
        /// Layers of the vision tower.
        vision_depth: usize [at_least(1.0).at_most(256.0)] = 4,
        /// Heads of the vision tower.
        vision_num_heads: usize [at_least(1.0).at_most(256.0)] = 4,
        /// Width of the feed-forward layers of the vision tower.
        vision_intermediate_size: usize [at_least(1.0).at_most(65_536.0)] = 256,
        /// Vision layers whose features are added to the first language layers.
        deepstack_visual_indexes: Vec<usize> [at_least(0.0).at_most(255.0)] = vec![1, 2],
        /// Entries of the vocabulary, special tokens included; the tokenizer is trained on the demonstrations.
        vocab_size: usize [at_least(300.0).at_most(1_000_000.0).because("256 bytes and the specials")] = 640,
        /// Most pixels of a screenshot that the model sees; saved with it. 0 or null means those of `init_from`, else 18432.
        max_pixels: Option<usize> [at_least(0.0).at_most(67_108_864.0)] = None,
        /// Fewest pixels; saved with the model. 0 or null means those of `init_from`, else 1024.
        min_pixels: Option<usize> [at_least(0.0).at_most(67_108_864.0)] = None,
        /// Passes over the demonstrations; ignored when `max_steps` is set.
        epochs: usize [at_least(1.0).at_most(1e6)] = 3,
        /// Steps of the run; null means as `epochs` says.
        max_steps: Option<usize> [at_least(0.0).at_most(1e9)] = None,
        /// Demonstrations of one step.
        batch_size: usize [at_least(1.0).at_most(16_384.0)] = 16,
        /// Tokens of one forward pass: what a step holds beyond is passed piece by piece, with the same result.
        micro_batch_tokens: usize [at_least(1.0).at_most(16_777_216.0)] = 8192,
        /// Peak learning rate of AdamW.
        learning_rate: f64 [at_least(0.0).at_most(10.0)] = 1e-3,
        /// Steps over which the learning rate rises to its peak.
        warmup_steps: usize [at_least(0.0).at_most(1e9)] = 50,
        /// Decoupled weight decay of AdamW.
        weight_decay: f64 [at_least(0.0).at_most(10.0)] = 0.01,
        /// Gradients are scaled down to this global norm; 0 leaves them.
        max_grad_norm: f64 [at_least(0.0).at_most(1e9)] = 1.0,
        /// How the learning rate changes after the warm-up.
        lr_scheduler: Decay = Decay::Cosine,
        /// A demonstration ends when its context reaches so many tokens; the model is made for as many positions.
        max_seq_length: usize [at_least(64.0).at_most(1_048_576.0)] = 4096,
        /// Most turns of a demonstration.
        max_turns: usize [at_least(1.0).at_most(1000.0)] = 15,
        /// Files of tasks, or folders of them, see TASKS.md; with any, demonstrations are of theirs where `templates` is empty.
        tasks: Vec<String> = Vec::new(),
        /// Ids of the task templates to draw from, built-in or of `tasks`; empty means all.
        templates: Vec<String> = Vec::new(),
        /// What keeps the instances that are measured apart from those that are demonstrated, as the key of a run.
        instance_split: InstanceSplit = InstanceSplit::Instructions,
        /// The simulated phone that is demonstrated on, as the key of a run.
        phone: PhoneKind = PhoneKind::Small,
        /// How the demonstrator names a place on the screen.
        target: TargetStyle = TargetStyle::Description,
        /// How much the system prompt says.
        prompt_style: PromptStyle = PromptStyle::Brief,
        /// Greedy episodes played at the end to measure the starter; 0 for none.
        eval_episodes: usize [at_least(0.0).at_most(10_000.0)] = 64,
        /// Seed of the evaluation's task instances.
        eval_seed: u64 = 1000,
        /// Log the loss every so many steps.
        log_every: usize [at_least(1.0).at_most(1e9)] = 20,
        /// What a card computes in, `float32` or `bfloat16`; weights are trained in f32 in either case. A CPU computes in f32.
        dtype: WeightDtype = WeightDtype::F32,
        /// Where tensors live: `cpu`, `cuda` or `cuda:N`.
        device: DeviceSpec = DeviceSpec::Cpu,
        /// Seed of everything random: demonstrations, initial weights, order.
        seed: u64 = 7,
        /// Folder that receives the model in the Hugging Face layout.
        output_dir: String = "outputs/starter".into(),
        /// Show every evaluation episode.
        verbose: bool = false,
    }
}

impl SftConfig {
    /// What is asked of the size of pictures.
    pub fn pixels(&self) -> PixelLimits {
        PixelLimits {
            min_pixels: self.min_pixels,
            max_pixels: self.max_pixels,
        }
    }

    /// That weights, gradients and the moments of AdamW, each in f32, fit on the device, where it is known what that has.
    ///
    /// # Errors
    /// Words with both figures.
    pub fn check_memory(&self, sizes: &ModelConfig) -> Result<(), String> {
        let weights = sizes.parameter_count().total();
        let needed = weights.saturating_mul(4 * 4);
        match Available::of_device(self.device) {
            Ok(available) if needed > available.free => Err(format!(
                "a model of {weights} weights takes {} GiB to train, {} GiB are free on {}; choose smaller sizes",
                needed >> 30,
                available.free >> 30,
                self.device
            )),
            _ => Ok(()),
        }
    }

    /// The model that the configuration describes, for a tokenizer that is there already.
    pub fn model(&self, tokenizer: &Tokenizer) -> ModelConfig {
        let special = tokenizer.special();
        let half = self.text_head_dim / 2;
        // A third of the frequencies for each axis, as in the released models (24, 20, 20 of 64).
        let side = half * 20 / 64;
        ModelConfig {
            text: TextConfig {
                vocab_size: tokenizer.vocab_size().next_multiple_of(64),
                hidden_size: self.text_hidden_size,
                num_hidden_layers: self.text_num_hidden_layers,
                num_attention_heads: self.text_num_attention_heads,
                num_key_value_heads: self.text_num_key_value_heads,
                head_dim: self.text_head_dim,
                intermediate_size: self.text_intermediate_size,
                rms_norm_eps: 1e-6,
                rope_theta: 10_000.0,
                rope_scaling: cua_grpo_model::RopeScaling::Default,
                mrope_section: [half - 2 * side, side, side],
                max_position_embeddings: self.max_seq_length,
                attention_bias: false,
                hidden_act: cua_grpo_model::nn::Activation::Silu,
                moe: None,
                hybrid: None,
            },
            vision: VisionConfig {
                depth: self.vision_depth,
                hidden_size: self.vision_hidden_size,
                intermediate_size: self.vision_intermediate_size,
                num_heads: self.vision_num_heads,
                in_channels: 3,
                patch_size: 16,
                temporal_patch_size: 2,
                spatial_merge_size: 2,
                num_position_embeddings: 576,
                out_hidden_size: self.text_hidden_size,
                hidden_act: cua_grpo_model::nn::Activation::GeluTanh,
                rope_theta: 10_000.0,
                deepstack_visual_indexes: self.deepstack_visual_indexes.clone(),
            },
            tie_word_embeddings: true,
            image_token_id: special.image_pad,
            video_token_id: special.video_pad,
            vision_start_token_id: special.vision_start,
            vision_end_token_id: special.vision_end,
        }
    }
}

impl Configuration for SftConfig {
    const BUILT_IN_NAME: &'static str = "configs/starter.yaml";
    const BUILT_IN: &'static str = include_str!("../../configs/starter.yaml");

    const REPLACES: &'static [(&'static str, &'static str)] = &[("tasks", "templates"), ("tasks", "instance_split")];

    fn keys() -> &'static [Key] {
        Self::KEYS
    }

    fn validate(&self, origin: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
        let check = Checker::new(origin);
        let (heads, kv_heads) = (self.text_num_attention_heads, self.text_num_key_value_heads);
        let whole = heads.is_multiple_of(kv_heads);
        check.require(
            whole,
            "text_num_key_value_heads",
            kv_heads,
            "a divisor of text_num_attention_heads",
        )?;
        let even = self.text_head_dim.is_multiple_of(2);
        check.require(
            even,
            "text_head_dim",
            self.text_head_dim,
            "an even number (rotary positions)",
        )?;
        let fits = self.vision_hidden_size.is_multiple_of(4 * self.vision_num_heads);
        check.require(
            fits,
            "vision_hidden_size",
            self.vision_hidden_size,
            "a multiple of 4 * vision_num_heads (rotary positions in two directions)",
        )?;
        let last = self.deepstack_visual_indexes.iter().max().copied().unwrap_or_default();
        check.require(
            last < self.vision_depth,
            "deepstack_visual_indexes",
            last,
            "numbers below vision_depth",
        )?;
        let deep = self.deepstack_visual_indexes.len() <= self.text_num_hidden_layers;
        check.require(
            deep,
            "deepstack_visual_indexes",
            "longer",
            "at most text_num_hidden_layers numbers",
        )?;
        check.require(!self.output_dir.trim().is_empty(), "output_dir", "empty", "a name")
    }
}
