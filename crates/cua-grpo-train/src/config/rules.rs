//! Which values of a training run fit together.

use super::validate::Checker;
use super::variables::VARIABLES;
use super::{ConfigError, Configuration, Key, Origin, TrainConfig};
use cua_grpo_model::lora::Targets;

/// Most episodes of one step.
const MOST_EPISODES: usize = 65_536;

impl Configuration for TrainConfig {
    const BUILT_IN_NAME: &'static str = "configs/quickstart.yaml";
    const BUILT_IN: &'static str = include_str!("../../configs/quickstart.yaml");

    // Own tasks do not wait for somebody to unname the templates of the quickstart.
    const REPLACES: &'static [(&'static str, &'static str)] = &[
        ("tasks", "templates"),
        ("tasks", "instance_split"),
        ("tasks", "success_requires"),
    ];

    const BEFORE: &'static str = "instance_split: seeds\nsuccess_requires: state\n";

    const VARIABLES: &'static [(&'static str, &'static str)] = VARIABLES;

    fn keys() -> &'static [Key] {
        Self::KEYS
    }

    fn validate(&self, origin: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
        let check = Checker::new(origin);
        let group = self.batch_size * self.num_rollouts * self.gradient_accumulation_steps;
        check.require(
            group <= MOST_EPISODES,
            "batch_size",
            self.batch_size,
            &format!(
                "at most {MOST_EPISODES} episodes in a step; with num_rollouts and gradient_accumulation_steps they are {group}"
            ),
        )?;
        self.check_loss(&check)?;
        self.check_pace(&check)?;
        let targets = !matches!(&self.lora_target_modules, Targets::Names(names) if names.is_empty());
        check.require(targets, "lora_target_modules", "empty", "at least one name")?;
        let room = self.max_new_tokens < self.context_limit();
        check.require(
            room,
            "max_new_tokens",
            self.max_new_tokens,
            "less than max_context_tokens and max_seq_length",
        )?;
        check.require(
            self.top_k != 1,
            "top_k",
            1,
            "0, or 2 and more: nothing is drawn from one token, so the episodes of a group would be all alike",
        )?;
        // A host has no percent signs: one that is written so hides a user and a password.
        let host = self.gbox_base_url.split_once("://").map_or("", |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let bare = !self.gbox_base_url.contains(['@', '?', '#']) && !host.contains('%');
        check.require(
            bare,
            "gbox_base_url",
            "hidden",
            "an address without user name, password and query, as https://HOST/api/v1; the key goes into GBOX_API_KEY",
        )?;
        let url =
            self.simulated() || self.gbox_base_url.starts_with("http://") || self.gbox_base_url.starts_with("https://");
        check.require(
            url,
            "gbox_base_url",
            &self.gbox_base_url,
            "`sim` or an address with http:// or https://",
        )?;
        let name = &self.model_name;
        let user = name
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':') && !user.contains('/'));
        let address = user || name.contains("://") && name.contains(['@', '?', '#']);
        check.require(
            !address,
            "model_name",
            "hidden",
            "the name of a model of the Hub (org/name) or a folder, and no address with a user, a password or a query; the \
             token goes into HF_TOKEN",
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
        )
    }

    fn idle(&self, origin: &dyn Fn(&str) -> Origin, saved: &dyn Fn(&str) -> bool) -> Result<(), ConfigError> {
        let name = |key: &str| origin(key).to_string();
        self.check_idle(&Checker::new(&name).sparing(saved), &|key| origin(key).kind)
    }
}
