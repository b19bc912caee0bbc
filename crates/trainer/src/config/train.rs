//! Configuration of `trainer train` and `trainer eval`: the keys and defaults of the original, and ours.

use super::validate::Checker;
use super::{
    ConfigError, Configuration, DeviceSpec, Dtype, Key, LossType, LrScheduler, PromptStyle, RewardKind, ScaleRewards,
    Secret, Target,
};
use cua_grpo_model::lora::{Patterns, Targets};

fn names(list: &[&str]) -> Targets {
    Targets::Names(list.iter().map(|&name| name.to_owned()).collect())
}

configuration! {
    /// Everything that a training run depends on.
    pub struct TrainConfig {
        /// `starter` (the tiny model of this repository), a folder in the Hugging Face layout, or a name on the Hub.
        #[resume = Refused]
        model_name: String = "Qwen/Qwen3-VL-8B-Instruct".into(),
        /// Longest sequence in tokens, images included.
        #[resume = Warned]
        max_seq_length: usize = 8192,
        /// Keep the frozen weights in 4 bits (NF4).
        #[resume = Refused]
        load_in_4bit: bool = true,
        /// Number format of weights and activations.
        #[resume = Warned]
        dtype: Dtype = Dtype::Bfloat16,
        /// Train low-rank adapters; the weights stay frozen.
        #[resume = Refused]
        use_lora: bool = true,
        /// Rank of the adapters.
        #[resume = Refused]
        lora_r: usize = 16,
        /// Adapters are scaled by `lora_alpha / lora_r`.
        #[resume = Refused]
        lora_alpha: f64 = 32.0,
        /// Fraction of adapter inputs dropped in updates, by masks that follow from `seed`. Sampling and reference
        /// drop none, so above 0 the ratio is not 1 on fresh episodes.
        #[resume = Warned]
        lora_dropout: f64 = 0.0,
        /// Ends of the module names that get adapters, language and vision alike; the words `language`, `vision`,
        /// `merger`, `all-linear`; or one Python pattern of the whole path.
        #[resume = Refused]
        lora_target_modules: Targets =
            names(&["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
        /// Modules that get no adapter although `lora_target_modules` names them, in the same forms.
        #[resume = Refused]
        lora_exclude_modules: Targets = names(&[]),
        /// Numbers of the layers that get adapters; empty means all.
        #[resume = Refused]
        lora_layers_to_transform: Vec<usize> = Vec::new(),
        /// What stands before those numbers, as patterns (`layers`, `blocks`); empty means anything.
        #[resume = Refused]
        lora_layers_pattern: Vec<String> = Vec::new(),
        /// Scale adapters by `lora_alpha / sqrt(lora_r)` instead.
        #[resume = Refused]
        use_rslora: bool = false,
        /// Ranks other than `lora_r`, by patterns of the ends of module names: `{q_proj: 8}`.
        #[resume = Refused]
        lora_rank_pattern: Patterns<usize> = Patterns::default(),
        /// Alphas other than `lora_alpha`, by patterns of the ends of module names.
        #[resume = Refused]
        lora_alpha_pattern: Patterns<f64> = Patterns::default(),
        /// Peak learning rate of AdamW.
        #[resume = Warned]
        learning_rate: f64 = 1e-5,
        /// Weight of the KL divergence from the reference, which is the model with the adapter off.
        #[resume = Warned]
        beta: f64 = 0.01,
        /// Half width of the clipping range of the ratio.
        #[resume = Warned]
        clip_epsilon: f64 = 0.2,
        /// Tasks, and so groups, of one step.
        #[resume = Warned]
        batch_size: usize = 2,
        /// Episodes of one group.
        #[resume = Warned]
        num_rollouts: usize = 4,
        /// Steps whose gradients are averaged before an update.
        #[resume = Warned]
        gradient_accumulation_steps: usize = 1,
        /// Gradients are scaled down to this global norm; 0 leaves them.
        #[resume = Warned]
        max_grad_norm: f64 = 1.0,
        /// Steps of the run.
        #[resume = Free]
        max_steps: usize = 200,
        /// Steps over which the learning rate rises to its peak.
        #[resume = Warned]
        warmup_steps: usize = 10,
        /// Most turns of an episode; a task may allow fewer.
        #[resume = Warned]
        max_turns: usize = 15,
        /// Most tokens of a reply.
        #[resume = Warned]
        max_new_tokens: usize = 1024,
        /// Sampling temperature of training episodes; evaluation is greedy.
        #[resume = Warned]
        temperature: f64 = 0.7,
        /// Sample from the smallest set of tokens with this mass; 1 keeps all, which keeps ratios exact.
        #[resume = Warned]
        top_p: f64 = 0.9,
        /// Evaluate every so many steps, besides before the first and after the last; 0 means only those two.
        #[resume = Free]
        eval_steps: usize = 10,
        /// Save a checkpoint every so many steps, besides after the last; 0 means only that one.
        #[resume = Free]
        save_steps: usize = 10,
        /// Checkpoints kept; older ones are deleted. 0 keeps all.
        #[resume = Free]
        save_total_limit: usize = 5,
        /// Stop when an evaluation reaches this success rate; above 1 never.
        #[resume = Free]
        target_accuracy: f64 = 0.8,
        /// Stop after so many evaluations without improvement; 0 never.
        #[resume = Free]
        patience: usize = 5,
        /// Groups whose rewards have a smaller standard deviation teach nothing and are left out.
        #[resume = Warned]
        min_group_std: f64 = 0.05,
        /// The run folder.
        #[resume = Free]
        output_dir: String = "outputs/unsloth_grpo".into(),
        /// Seed of everything random: tasks, sampling, adapter initialisation.
        #[resume = Warned]
        seed: u64 = 42,
        /// Show every episode.
        #[resume = Free]
        verbose: bool = false,
        /// Log to Weights & Biases (comes later).
        #[resume = Free]
        enable_wandb: bool = false,
        /// Project on Weights & Biases (comes later).
        #[resume = Free]
        wandb_project: String = "cua-grpo".into(),
        /// Also write a line for every training episode to `episodes/train.jsonl`.
        #[resume = Free]
        enable_detailed_logging: bool = true,
        /// Where tensors live: `cpu`, `cuda` or `cuda:N`.
        #[resume = Warned]
        device: DeviceSpec = DeviceSpec::Cpu,
        /// How token losses are clipped and aggregated.
        #[resume = Warned]
        loss_type: LossType = LossType::Grpo,
        /// Upper half width of the clipping range; null means `clip_epsilon`.
        #[resume = Warned]
        clip_epsilon_high: Option<f64> = None,
        /// What advantages are divided by.
        #[resume = Warned]
        scale_rewards: ScaleRewards = ScaleRewards::Group,
        /// Sample from so many of the likeliest tokens; 0 keeps all.
        #[resume = Warned]
        top_k: usize = 0,
        /// Episodes of one evaluation, each on a task instance that training never sees.
        #[resume = Warned]
        eval_episodes: usize = 20,
        /// Seed of the evaluation's task instances.
        #[resume = Warned]
        eval_seed: u64 = 1000,
        /// What an episode is paid for.
        #[resume = Warned]
        reward: RewardKind = RewardKind::Verified,
        /// How the policy names a place on the screen.
        #[resume = Warned]
        target: Target = Target::Description,
        /// How much the system prompt says.
        #[resume = Warned]
        prompt_style: PromptStyle = PromptStyle::Full,
        /// Ids of the task templates to draw from; empty means all.
        #[resume = Warned]
        templates: Vec<String> = Vec::new(),
        /// Address of the GBox service; `sim` is the simulated phone inside this process.
        #[resume = Warned]
        gbox_base_url: String = "sim".into(),
        /// Key of the GBox service; best given by the variable GBOX_API_KEY. Never saved.
        #[resume = Free]
        gbox_api_key: Option<Secret> = None,
        /// Episodes that run at the same time.
        #[resume = Free]
        concurrency: usize = 8,
        /// An episode ends when its context reaches so many tokens; null means `max_seq_length`.
        #[resume = Warned]
        max_context_tokens: Option<usize> = None,
        /// Most padded tokens in one forward pass of training; longer batches are split.
        #[resume = Free]
        micro_batch_tokens: usize = 16384,
        /// Decoupled weight decay of AdamW.
        #[resume = Warned]
        weight_decay: f64 = 0.01,
        /// How the learning rate changes after the warm-up.
        #[resume = Warned]
        lr_scheduler: LrScheduler = LrScheduler::Constant,
        /// Updates on the same episodes; from the second on the ratio leaves 1 and clipping matters.
        #[resume = Warned]
        num_updates: usize = 1,
        /// Latest screenshots that stay in the context; 0 keeps all (other values come later).
        #[resume = Warned]
        keep_screenshots: usize = 0,
        /// Start all episodes of a step before the first token, so that equal seeds give equal runs.
        #[resume = Warned]
        lockstep: bool = true,
        /// New attempts at an episode that was lost to a fault of the infrastructure.
        #[resume = Free]
        max_retries: usize = 2,
        /// Share of a step's or an evaluation's episodes that may be lost to faults; more ends the run, after saving.
        #[resume = Free]
        max_lost_share: f64 = 0.25,
        /// Updates in a row that are left out because their gradient is not finite; one more ends the run, after saving.
        #[resume = Free]
        max_skipped_updates: usize = 5,
        /// Episodes of each evaluation that are saved with screenshots for the report; 0 saves none.
        #[resume = Free]
        save_episodes: usize = 24,
    }
}

impl TrainConfig {
    /// Upper half width of the clipping range.
    pub fn clip_high(&self) -> f64 {
        self.clip_epsilon_high.unwrap_or(self.clip_epsilon)
    }

    /// Most tokens of an episode's context.
    pub fn context_limit(&self) -> usize {
        self.max_context_tokens
            .unwrap_or(self.max_seq_length)
            .min(self.max_seq_length)
    }

    /// Whether the simulated phone inside this process is used.
    pub fn simulated(&self) -> bool {
        self.gbox_base_url == "sim"
    }
}

impl Configuration for TrainConfig {
    const BUILT_IN_NAME: &'static str = "configs/quickstart.yaml";
    const BUILT_IN: &'static str = include_str!("../../../../configs/quickstart.yaml");

    fn keys() -> &'static [Key] {
        Self::KEYS
    }

    fn validate(&self, origin: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
        let check = Checker { origin };
        for (key, value) in [
            ("max_seq_length", self.max_seq_length),
            ("lora_r", self.lora_r),
            ("batch_size", self.batch_size),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps),
            ("max_turns", self.max_turns),
            ("max_new_tokens", self.max_new_tokens),
            ("eval_episodes", self.eval_episodes),
            ("concurrency", self.concurrency),
            ("micro_batch_tokens", self.micro_batch_tokens),
            ("num_updates", self.num_updates),
        ] {
            check.require(value > 0, key, value, "1 or more")?;
        }
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("beta", self.beta),
            ("max_grad_norm", self.max_grad_norm),
            ("temperature", self.temperature),
            ("target_accuracy", self.target_accuracy),
            ("min_group_std", self.min_group_std),
            ("weight_decay", self.weight_decay),
        ] {
            check.require(value.is_finite() && value >= 0.0, key, value, "a number of 0 or more")?;
        }
        check.require(
            self.num_rollouts > 1,
            "num_rollouts",
            self.num_rollouts,
            "2 or more: a group compares episodes",
        )?;
        check.require(
            self.temperature > 0.0,
            "temperature",
            self.temperature,
            "more than 0: greedy episodes of a group are all alike, so nothing can be learnt",
        )?;
        check.require(
            self.top_p > 0.0 && self.top_p <= 1.0,
            "top_p",
            self.top_p,
            "more than 0 and at most 1",
        )?;
        check.require(
            (0.0..=1.0).contains(&self.max_lost_share),
            "max_lost_share",
            self.max_lost_share,
            "a share from 0 to 1",
        )?;
        let within = |value: f64| value > 0.0 && value < 1.0;
        check.require(
            within(self.clip_epsilon),
            "clip_epsilon",
            self.clip_epsilon,
            "between 0 and 1",
        )?;
        check.require(
            self.clip_high() > 0.0,
            "clip_epsilon_high",
            self.clip_high(),
            "more than 0, or null",
        )?;
        check.require(self.lora_alpha > 0.0, "lora_alpha", self.lora_alpha, "more than 0")?;
        let dropout = self.lora_dropout;
        check.require(
            (0.0..1.0).contains(&dropout),
            "lora_dropout",
            dropout,
            "0 or more and less than 1",
        )?;
        for (name, rank) in self.lora_rank_pattern.iter() {
            let value = format!("{name}: {rank}");
            check.require(*rank > 0, "lora_rank_pattern", value, "ranks of 1 or more")?;
        }
        for (name, alpha) in self.lora_alpha_pattern.iter() {
            let value = format!("{name}: {alpha}");
            check.require(*alpha > 0.0, "lora_alpha_pattern", value, "alphas above 0")?;
        }
        let targets = !matches!(&self.lora_target_modules, Targets::Names(names) if names.is_empty());
        check.require(targets, "lora_target_modules", "empty", "at least one name")?;
        let room = self.max_new_tokens < self.context_limit();
        check.require(
            room,
            "max_new_tokens",
            self.max_new_tokens,
            "less than max_context_tokens and max_seq_length",
        )?;
        let url =
            self.simulated() || self.gbox_base_url.starts_with("http://") || self.gbox_base_url.starts_with("https://");
        check.require(
            url,
            "gbox_base_url",
            &self.gbox_base_url,
            "`sim` or an address with http:// or https://",
        )?;
        for (key, value) in [("output_dir", &self.output_dir), ("model_name", &self.model_name)] {
            check.require(!value.trim().is_empty(), key, "empty", "a name")?;
        }
        check.later(
            !self.use_lora,
            ["use_lora", "false", "training all weights"],
            "Use --use-lora.",
        )?;
        check.later(
            self.enable_wandb,
            ["enable_wandb", "true", "logging to Weights & Biases"],
            "Leave it out; every figure is in metrics.jsonl and report.html of the run folder.",
        )?;
        check.later(
            self.keep_screenshots != 0,
            [
                "keep_screenshots",
                &self.keep_screenshots.to_string(),
                "dropping old screenshots",
            ],
            "Set keep_screenshots to 0, and max_turns so that the context suffices.",
        )
    }
}
