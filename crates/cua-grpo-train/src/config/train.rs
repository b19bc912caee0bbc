//! Configuration of `trainer train` and `trainer eval`: the keys and defaults of the original, and ours.

use super::choices::names;
use super::{
    CorrectionMode, Decay, DeviceSpec, Environment, InstanceSplit, OnUpdate, PhoneKind, PromptStyle, RejectionMode,
    RewardAggregation, RewardKind, RewardWeights, Secret, SuccessRequires, TargetStyle, WeightDtype, above, at_least,
};
use cua_grpo_algo::{AdvantageScale, Aggregation, KlEstimator, LossKind, Proximal, StepCredit};
use cua_grpo_model::lora::{Patterns, Targets};

/// Name of the tiny model that comes with the program.
pub const STARTER: &str = "starter";

configuration! {
    /// Everything that a training run depends on.
    pub struct TrainConfig {
        /// `starter` (the tiny model of this repository), a folder in the Hugging Face layout, or a name on the Hub.
        #[resume = Refused]
        model_name: String = "Qwen/Qwen3-VL-8B-Instruct".into(),
        /// Longest sequence in tokens, images included.
        #[resume = Warned]
        max_seq_length: usize [at_least(1.0).at_most(1_048_576.0)] = 8192,
        /// Most pixels of a screenshot that the model sees: larger ones are scaled down to it as the model's own processor does
        /// it, which has the key too. 0 or null means the model's own.
        #[resume = Refused]
        max_pixels: Option<usize> [at_least(0.0).at_most(67_108_864.0)] = None,
        /// Fewest pixels; smaller screenshots are scaled up. 0 or null means the model's own.
        #[resume = Refused]
        min_pixels: Option<usize> [at_least(0.0).at_most(67_108_864.0)] = None,
        /// Keep the frozen weights in 4 bits (NF4).
        #[resume = Refused]
        load_in_4bit: bool = true,
        /// Number format of weights and activations.
        #[resume = Warned]
        dtype: WeightDtype = WeightDtype::Bf16,
        /// Train low-rank adapters; the weights stay frozen.
        #[resume = Refused]
        use_lora: bool = true,
        /// Rank of the adapters.
        #[resume = Refused]
        lora_r: usize [at_least(1.0).at_most(8192.0)] = 16,
        /// Adapters are scaled by `lora_alpha / lora_r`.
        #[resume = Refused]
        lora_alpha: f64 [above(0.0).at_most(1e6)] = 32.0,
        /// Fraction of adapter inputs dropped in updates, by masks that follow from `seed`. Sampling and reference
        /// drop none, so above 0 the ratio is not 1 on fresh episodes.
        #[resume = Warned]
        lora_dropout: f64 [at_least(0.0).below(1.0)] = 0.0,
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
        lora_layers_to_transform: Vec<usize> [at_least(0.0).at_most(10_000.0)] = Vec::new(),
        /// What stands before those numbers, as patterns (`layers`, `blocks`); empty means anything.
        #[resume = Refused]
        lora_layers_pattern: Vec<String> = Vec::new(),
        /// Scale adapters by `lora_alpha / sqrt(lora_r)` instead.
        #[resume = Refused]
        use_rslora: bool = false,
        /// Ranks other than `lora_r`, by patterns of the ends of module names: `{q_proj: 8}`.
        #[resume = Refused]
        lora_rank_pattern: Patterns<usize> [at_least(1.0).at_most(8192.0)] = Patterns::default(),
        /// Alphas other than `lora_alpha`, by patterns of the ends of module names.
        #[resume = Refused]
        lora_alpha_pattern: Patterns<f64> [above(0.0).at_most(1e6)] = Patterns::default(),
        /// Peak learning rate of AdamW.
        #[resume = Warned]
        learning_rate: f64 [at_least(0.0).at_most(10.0)] = 1e-5,
        /// Weight of the KL divergence from the reference, which is the model with the adapter off.
        #[resume = Warned]
        beta: f64 [at_least(0.0).at_most(1e38)] = 0.01,
        /// Half width of the clipping range of the ratio.
        #[resume = Warned]
        clip_epsilon: f64 [above(0.0).below(1.0)] = 0.2,
        /// Tasks, and so groups, of one step.
        #[resume = Warned]
        batch_size: usize [at_least(1.0).at_most(16_384.0)] = 2,
        /// Episodes of one group.
        #[resume = Warned]
        num_rollouts: usize [at_least(2.0).at_most(4096.0).because("a group compares episodes")] = 4,
        /// Multiplies the tasks of a step: it collects `batch_size` times this many, and their mean gradient makes the update.
        #[resume = Warned]
        gradient_accumulation_steps: usize [at_least(1.0).at_most(4096.0)] = 1,
        /// Gradients are scaled down to this global norm; 0 leaves them.
        #[resume = Warned]
        max_grad_norm: f64 [at_least(0.0).at_most(1e9)] = 1.0,
        /// Steps of the run.
        #[resume = Free]
        max_steps: usize [at_least(0.0).at_most(1e9)] = 200,
        /// Steps over which the learning rate rises to its peak.
        #[resume = Warned]
        warmup_steps: usize [at_least(0.0).at_most(1e9)] = 10,
        /// Most turns of an episode; a task may allow fewer.
        #[resume = Warned]
        max_turns: usize [at_least(1.0).at_most(1000.0)] = 15,
        /// Most tokens of a reply.
        #[resume = Warned]
        max_new_tokens: usize [at_least(1.0).at_most(131_072.0)] = 1024,
        /// Sampling temperature of training episodes; an evaluation of one attempt is greedy.
        #[resume = Warned]
        temperature: f64 [at_least(0.001).at_most(100.0).because("greedy episodes of a group are all alike, so nothing can be learnt")] = 0.7,
        /// Sample from the smallest set of tokens with this mass; 1 keeps all, which keeps ratios exact.
        #[resume = Warned]
        top_p: f64 [above(0.0).at_most(1.0)] = 0.9,
        /// Evaluate every so many steps, besides before the first and after the last; 0 means only those two.
        #[resume = Free]
        eval_steps: usize [at_least(0.0).at_most(1e9)] = 10,
        /// Save a checkpoint every so many steps, besides after the last; 0 means only that one.
        #[resume = Free]
        save_steps: usize [at_least(0.0).at_most(1e9)] = 10,
        /// Checkpoints kept; older ones are deleted. 0 keeps all.
        #[resume = Free]
        save_total_limit: usize [at_least(0.0).at_most(1e9)] = 5,
        /// Stop when an evaluation reaches this success rate; above 1 never.
        #[resume = Free]
        target_accuracy: f64 [at_least(0.0).at_most(10.0).because("a fraction, not per cent; above 1 a run never stops for it")] = 0.8,
        /// Stop after so many evaluations without improvement; 0 never.
        #[resume = Free]
        patience: usize [at_least(0.0).at_most(1e9)] = 5,
        /// Groups whose rewards have a smaller standard deviation teach nothing and are left out.
        #[resume = Warned]
        min_group_std: f64 [at_least(0.0).at_most(1e6)] = 0.05,
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
        /// How token losses are clipped and aggregated, see ALGORITHM.md.
        #[resume = Warned]
        loss_type: LossKind = LossKind::Grpo,
        /// Upper half width of the clipping range; null means `clip_epsilon`. With `cispo` the cap of the ratio itself;
        /// null means 5.
        #[resume = Warned]
        clip_epsilon_high: Option<f64> [above(0.0).at_most(1000.0)] = None,
        /// Cap of the ratio where it is not clipped (two-sided clipping), above 1 + `clip_epsilon_high`; null is none.
        #[resume = Warned]
        delta: Option<f64> [above(1.0).at_most(1e6)] = None,
        /// Most that a token can cost, as a multiple of its advantage's size, above 1 (dual clip); null is no bound.
        #[resume = Warned]
        dual_clip: Option<f64> [above(1.0).at_most(1e6)] = None,
        /// How the losses of tokens become one number; null means as `loss_type` says.
        #[resume = Warned]
        loss_aggregation: Option<Aggregation> = None,
        /// Weight of the policy's entropy, which the loss is lowered by.
        #[resume = Warned]
        entropy_coef: f64 [at_least(-100.0).at_most(100.0)] = 0.0,
        /// Share of the tokens, those of the highest entropy before the step, that the policy loss is taken of.
        #[resume = Warned]
        top_entropy_quantile: f64 [above(0.0).at_most(1.0)] = 1.0,
        /// How the divergence from the reference is estimated.
        #[resume = Warned]
        kl_estimator: KlEstimator = KlEstimator::K3,
        /// Take the divergence from the rewards, as a sum over an episode's tokens, instead of adding it to the loss.
        #[resume = Warned]
        kl_in_reward: bool = false,
        /// Multiply the divergence by the ratio, which makes it unbiased off policy.
        #[resume = Warned]
        use_bias_correction_kl: bool = false,
        /// Take the trainer's own log-probs before the step's first update as those that the ratio compares with, not
        /// the sampler's; always so with `importance_sampling_mode`.
        #[resume = Warned]
        recompute_logprob: bool = false,
        /// Where the log-probs before the step come from: a forward pass, or between sampler and trainer by the age of
        /// each token, which needs none.
        #[resume = Warned]
        prox_logp_method: Proximal = Proximal::Recompute,
        /// Weigh tokens or episodes by the trainer's probability over the sampler's; null leaves it.
        #[resume = Warned]
        importance_sampling_mode: Option<CorrectionMode> = None,
        /// Upper bound of these weights.
        #[resume = Warned]
        importance_sampling_clip_max: f64 [above(0.0).at_most(1e6)] = 3.0,
        /// Lower bound of these weights; null is none.
        #[resume = Warned]
        importance_sampling_clip_min: Option<f64> [at_least(0.0).at_most(1e6)] = None,
        /// In these weights, take the probabilities that `top_p` and `top_k` left, not those of all tokens.
        #[resume = Warned]
        correct_kept_mass: bool = false,
        /// Leave out of the policy loss the tokens or episodes about which sampler and trainer disagree; null keeps all.
        #[resume = Warned]
        rejection_sampling_mode: Option<RejectionMode> = None,
        /// Upper bound of what `rejection_sampling_mode` compares.
        #[resume = Warned]
        rejection_sampling_max: f64 [at_least(-1e6).at_most(1e6)] = 5.0,
        /// Lower bound of it; null is none.
        #[resume = Warned]
        rejection_sampling_min: Option<f64> [at_least(-1e6).at_most(1e6)] = None,
        /// Leave out of the policy loss the tokens whose log-probs differ most between sampler and trainer, until the
        /// mean square of the others is below this (M2PO); null keeps all.
        #[resume = Warned]
        m2po_threshold: Option<f64> [above(0.0).at_most(1e6)] = None,
        /// Leave out episodes with a negative advantage whose log-probs have fallen by more than this, as a mean over
        /// their tokens; null keeps all.
        #[resume = Warned]
        off_policy_mask_threshold: Option<f64> [at_least(-1000.0).at_most(1000.0)] = None,
        /// Temperature of the gate of `sapo` where the advantage is above 0.
        #[resume = Warned]
        sapo_temperature_pos: f64 [above(0.0).at_most(1000.0)] = 1.0,
        /// Temperature of the gate of `sapo` elsewhere.
        #[resume = Warned]
        sapo_temperature_neg: f64 [above(0.0).at_most(1000.0)] = 1.05,
        /// Exponent of the weight of `vespo` where the advantage is not below 0.
        #[resume = Warned]
        vespo_k_pos: f64 [at_least(0.0).at_most(1000.0)] = 2.0,
        /// Damping of the weight of `vespo` where the advantage is not below 0.
        #[resume = Warned]
        vespo_lambda_pos: f64 [at_least(0.0).at_most(1000.0)] = 3.0,
        /// Exponent of the weight of `vespo` where the advantage is below 0.
        #[resume = Warned]
        vespo_k_neg: f64 [at_least(0.0).at_most(1000.0)] = 3.0,
        /// Damping of the weight of `vespo` where the advantage is below 0.
        #[resume = Warned]
        vespo_lambda_neg: f64 [at_least(0.0).at_most(1000.0)] = 2.0,
        /// What advantages are divided by: the group's standard deviation as the original has it (`group_population`)
        /// or as TRL has it (`group`; the original's advantages are 15 % larger at 4 episodes), or see ALGORITHM.md.
        #[resume = Warned]
        scale_rewards: AdvantageScale = AdvantageScale::GroupPopulation,
        /// What is added to a standard deviation before advantages are divided by it; null means as `scale_rewards` says.
        #[resume = Warned]
        advantage_epsilon: Option<f64> [at_least(0.0).at_most(1e6)] = None,
        /// Centre and scale the advantages of all tokens of a step once more.
        #[resume = Warned]
        whiten_advantages: bool = false,
        /// What has an advantage of its own: an episode, or each turn by its discounted return, among all turns of the
        /// group (`discounted`) or among those that saw the same state (`gigpo`).
        #[resume = Warned]
        step_credit: StepCredit = StepCredit::Episode,
        /// Factor by which a turn's return falls for each turn before the last; for `step_credit`.
        #[resume = Warned]
        gamma: f64 [at_least(0.0).at_most(1.0)] = 0.95,
        /// Weight of what turns at the same state add to the advantage of the episode, in `gigpo`.
        #[resume = Warned]
        step_advantage_weight: f64 [at_least(0.0).at_most(1000.0)] = 1.0,
        /// Sample from so many of the likeliest tokens; 0 keeps all.
        #[resume = Warned]
        top_k: usize [at_least(0.0).at_most(1e9)] = 0,
        /// Task instances of one evaluation, which training never sees.
        #[resume = Warned]
        eval_episodes: usize [at_least(1.0).at_most(10_000.0)] = 20,
        /// Attempts of an evaluation at each instance. 1 is greedy; more are sampled as training episodes are
        /// (`temperature`, `top_p`, `top_k`), and pass@k is told besides.
        #[resume = Warned]
        eval_attempts: usize [at_least(1.0).at_most(1000.0)] = 1,
        /// Seed of the evaluation's task instances.
        #[resume = Warned]
        eval_seed: u64 = 1000,
        /// What keeps an evaluation's instances apart from those of training: `instructions` gives none of its instructions
        /// in training, `seeds` makes other layouts alone.
        #[resume = Warned]
        instance_split: InstanceSplit = InstanceSplit::Instructions,
        /// What a task counts as done by: the phone's `state`, or also that the policy reports success (`state_and_report`,
        /// as in AndroidWorld).
        #[resume = Warned] success_requires: SuccessRequires = SuccessRequires::StateAndReport,
        /// Look at the phone's settings, packages and files before and after each episode, to tell what changed without
        /// being asked for.
        #[resume = Warned] side_effects: bool = true,
        /// What an episode is paid for.
        #[resume = Warned] reward: RewardKind = RewardKind::Verified,
        /// Several rewards with their weights: `{verified: 1, efficiency: 0.2}`; empty means `reward` alone.
        #[resume = Warned] rewards: RewardWeights [at_least(-1e6).at_most(1e6)] = RewardWeights::default(),
        /// Base URL of an OpenAI-compatible service for the reward `judge`, such as `https://HOST/v1`.
        #[resume = Free] judge_base_url: Option<String> = None,
        /// Model of that service, which has to take pictures.
        #[resume = Warned] judge_model: Option<String> = None,
        /// Key of that service, where it asks for one; best given by the variable CUA_JUDGE_API_KEY. Never saved.
        #[resume = Free] judge_api_key: Option<Secret> = None,
        /// Seconds after which a question to the judge is asked again, four times at most.
        #[resume = Free] judge_timeout: f64 [above(0.0).at_most(3600.0)] = 60.0,
        /// The newest screenshots of an episode that the judge is shown, besides the task.
        #[resume = Warned] judge_screenshots: usize [at_least(0.0).at_most(64.0)] = 1,
        /// Show the judge the actions and the report too. What a policy writes may talk a judge round.
        #[resume = Warned] judge_transcript: bool = false,
        /// What becomes of several rewards.
        #[resume = Warned] multi_objective_aggregation: RewardAggregation = RewardAggregation::SumThenNormalize,
        /// Groups of one template in a row without a success, after which its tasks are drawn less often, the less the more
        /// follow; null draws all alike.
        #[resume = Warned] curriculum_failures: Option<u64> [at_least(1.0).at_most(1e6)] = None,
        /// Groups of one template in a row with nothing but successes, after which its tasks are drawn less often.
        #[resume = Warned] curriculum_solved: Option<u64> [at_least(1.0).at_most(1e6)] = None,
        /// Successes that are kept of each template, the hardest-won ones, to join groups in which no attempt succeeds, weighed
        /// by the ratio to the policy that sampled them (AdaGRPO's positive replay); 0 keeps none.
        #[resume = Warned] positive_replay: usize [at_least(0.0).at_most(1000.0)] = 0,
        /// Policy versions after which such a success is forgotten.
        #[resume = Warned] positive_replay_age: usize [at_least(1.0).at_most(1e6)] = 16,
        /// How much less a success is paid that took more turns than the shortest of its group: 0 nothing, 1 in
        /// proportion to the turns.
        #[resume = Warned] shortest_path_alpha: f64 [at_least(0.0).at_most(1.0)] = 0.0,
        /// Leave replies that were cut off out of the loss.
        #[resume = Warned] mask_truncated_completions: bool = false,
        /// Tokens before `max_new_tokens` over which a penalty for long replies rises; 0 is no penalty.
        #[resume = Warned] overlong_buffer: usize [at_least(0.0).at_most(131_072.0)] = 0,
        /// What an episode loses whose longest reply is as long as `max_new_tokens`; for `overlong_buffer`.
        #[resume = Warned] overlong_penalty: f64 [at_least(0.0).at_most(1e6)] = 1.0,
        /// How the policy names a place on the screen.
        #[resume = Warned]
        target: TargetStyle = TargetStyle::Description,
        /// How much the system prompt says.
        #[resume = Warned]
        prompt_style: PromptStyle = PromptStyle::Full,
        /// Files of tasks, or folders of them, see TASKS.md; with any, the run draws from theirs where `templates` is empty.
        #[resume = Warned]
        tasks: Vec<String> = Vec::new(),
        /// Ids of the task templates to draw from, built-in or of `tasks`; empty means all.
        #[resume = Warned]
        templates: Vec<String> = Vec::new(),
        /// Where training episodes come from: `phone` plays them, `replay:RUN` takes those that the run in that folder
        /// recorded (`record`), and learns from them without a phone, without sampling and without evaluations.
        #[resume = Warned]
        environment: Environment = Environment::Phone,
        /// The phone that tasks speak of and that is simulated here: `small`, on which the starter has learnt, or `pixel`, which
        /// has the apps and commands of a Pixel. The boxes of a service have to be of that kind.
        #[resume = Warned]
        phone: PhoneKind = PhoneKind::Small,
        /// Address of the GBox service; `sim` is the simulated phone inside this process.
        #[resume = Warned]
        gbox_base_url: String = "sim".into(),
        /// Pixels from left to right of the screen of a phone of the service, by which turns are counted before one is played;
        /// the simulated phone's are known.
        #[resume = Free]
        screen_width: usize [at_least(1.0).at_most(16_384.0)] = 1080,
        /// Pixels from top to bottom of it.
        #[resume = Free]
        screen_height: usize [at_least(1.0).at_most(16_384.0)] = 2400,
        /// Train also where fewer than `max_turns` turns of that screen fit in the context, so that episodes end before;
        /// else such a run is refused.
        #[resume = Free]
        allow_fewer_turns: bool = false,
        /// Key of the GBox service; best given by the variable GBOX_API_KEY. Never saved.
        #[resume = Free]
        gbox_api_key: Option<Secret> = None,
        /// Episodes that run at the same time.
        #[resume = Free]
        concurrency: usize [at_least(1.0).at_most(4096.0)] = 8,
        /// An episode ends when its context reaches so many tokens; null means `max_seq_length`.
        #[resume = Warned]
        max_context_tokens: Option<usize> [at_least(1.0).at_most(1_048_576.0)] = None,
        /// Most padded tokens in one forward pass of training; longer batches are split.
        #[resume = Free]
        micro_batch_tokens: usize [at_least(1.0).at_most(16_777_216.0)] = 16384,
        /// On a card: keep the inputs of blocks in the host's memory until the backward pass. Long rows need less memory of
        /// the card and a little more time; no figure changes.
        #[resume = Free]
        activation_offloading: bool = false,
        /// Decoupled weight decay of AdamW.
        #[resume = Warned]
        weight_decay: f64 [at_least(0.0).at_most(10.0)] = 0.01,
        /// Decay of AdamW's mean of gradients.
        #[resume = Warned]
        adam_beta1: f64 [at_least(0.0).below(1.0)] = 0.9,
        /// Decay of AdamW's mean of squared gradients.
        #[resume = Warned]
        adam_beta2: f64 [at_least(0.0).below(1.0)] = 0.999,
        /// What AdamW adds to the root of the squares.
        #[resume = Warned]
        adam_epsilon: f64 [above(0.0).at_most(1.0)] = 1e-8,
        /// How the learning rate changes after the warm-up.
        #[resume = Warned]
        lr_scheduler: Decay = Decay::Constant,
        /// Where `linear` and `cosine` end.
        #[resume = Warned]
        min_learning_rate: f64 [at_least(0.0).at_most(10.0)] = 0.0,
        /// Updates on the same episodes; from the second on the ratio leaves 1 and clipping matters.
        #[resume = Warned]
        num_updates: usize [at_least(1.0).at_most(1000.0)] = 1,
        /// Parts into which the episodes of a step are shuffled, each with an update of its own, `num_updates` times.
        #[resume = Warned]
        num_minibatches: usize [at_least(1.0).at_most(16_384.0)] = 1,
        /// Newest screenshots that stay when the context of an episode is cut back, which it is before it would hold more than
        /// twice as many: older ones become a line of text, and a new row begins (ALGORITHM.md). 0 keeps all.
        #[resume = Warned]
        keep_screenshots: usize [at_least(0.0).at_most(1000.0)] = 0,
        /// Start all episodes of a step before the first token, so that equal seeds give equal runs on a card; on a CPU they do anyway.
        #[resume = Warned]
        lockstep: bool = true,
        /// Steps that may be made between the beginning of an episode and the step that trains on it: above 0, episodes
        /// are played while the policy is updated. 0 plays a step's episodes with the newest policy, then updates.
        #[resume = Warned]
        max_staleness: usize [at_least(0.0).at_most(64.0)] = 0,
        /// What becomes of replies that are under way when the policy is updated: `keep` lets them go on with the new
        /// weights, `finish` lets the old ones end them while others wait. Either way the cache of open conversations
        /// stays; `refill` does as `finish`, then feeds all that was said to the new weights before a conversation's next
        /// reply. Only with `max_staleness` above 0 are there any.
        #[resume = Warned]
        on_update: OnUpdate = OnUpdate::Keep,
        /// Flat groups of a step in whose place another task is tried; 0 tries none.
        #[resume = Warned]
        max_refills: usize [at_least(0.0).at_most(16_384.0)] = 0,
        /// Attempts that a group begins for each episode it needs; the slowest ones beyond are given up, so short episodes
        /// are seen more often.
        #[resume = Warned]
        oversample: f64 [at_least(1.0).at_most(16.0)] = 1.0,
        /// Seconds after which an environment that does not answer is a fault, and its episode is tried again; null waits.
        #[resume = Free]
        turn_timeout: Option<f64> [at_least(90.0).at_most(86_400.0).because("the policy itself may sleep for 60 s")] = None,
        /// Seconds after which an episode ends, as the policy's own ending; a step under way is completed. Null is no limit.
        #[resume = Warned]
        episode_timeout: Option<f64> [above(0.0).at_most(604_800.0)] = None,
        /// Largest mean distance between the sampler's and the trainer's log-prob of a token, where both have the same
        /// weights; more ends the run, after saving. Null measures only.
        #[resume = Free]
        max_sampler_gap: Option<f64> [above(0.0).at_most(100.0)] = None,
        /// New attempts at an episode that was lost to a fault of the infrastructure.
        #[resume = Free]
        max_retries: usize [at_least(0.0).at_most(1000.0)] = 2,
        /// Seconds for which a GBox service is waited for that takes no requests (429, 502 to 504, no connection), before
        /// the run gives up, after saving.
        #[resume = Free]
        outage_budget: f64 [at_least(0.0).at_most(86_400.0)] = 600.0,
        /// Share of a step's or an evaluation's episodes that may be lost to faults; more ends the run, after saving.
        #[resume = Free]
        max_lost_share: f64 [at_least(0.0).at_most(1.0)] = 0.25,
        /// Updates in a row that are left out because their gradient is not finite; one more ends the run, after saving.
        #[resume = Free]
        max_skipped_updates: usize [at_least(0.0).at_most(1e9)] = 5,
        /// Episodes of each evaluation that are saved with screenshots for the report; 0 saves none.
        #[resume = Free]
        save_episodes: usize [at_least(0.0).at_most(10_000.0)] = 24,
        /// Training episodes of each step that are saved with screenshots for the report, those with the largest
        /// advantages; 0 saves none.
        #[resume = Free]
        save_train_episodes: usize [at_least(0.0).at_most(10_000.0)] = 1,
        /// Most GiB of the record of all that is trained on (`episodes/record-STEP` of the run folder), for a replay; 0
        /// records nothing.
        #[resume = Free]
        record: f64 [at_least(0.0).at_most(1e6)] = 0.0,
    }
}
