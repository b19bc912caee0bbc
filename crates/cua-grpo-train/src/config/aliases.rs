//! Keys of other trainers: which key does it here, and what differs. The names were checked against TRL
//! (`grpo_config.py`, `model_config.py`, transformers' `TrainingArguments`), verl (`trainer/config`), AReaL
//! (`cli_args.py`), Unsloth, PEFT, vLLM and the original.

use super::Configuration;
use super::alias_table::{ALIASES, NO_FLOAT16};
use serde_yaml_ng::Value;

/// The name as the table has it: the last part of a dotted name, with underscores.
fn last_part(name: &str) -> String {
    let name = name.to_lowercase().replace('-', "_");
    name.rsplit(['.', '/'])
        .next()
        .unwrap_or_default()
        .trim_start_matches('+')
        .to_owned()
}

/// What to write in place of `name`, when it is a key of another trainer that `C` has a counterpart for, or that has none
/// anywhere.
pub(super) fn alias<C: Configuration>(name: &str) -> Option<String> {
    let plain = last_part(name);
    let has = |key: &str| C::keys().iter().any(|known| known.name == key);
    // A dotted name may end in a key of ours.
    if plain != name && has(&plain) {
        return Some(format!("keys are not grouped here: write `{plain}`"));
    }
    let alias = ALIASES
        .iter()
        .find(|alias| alias.name == plain && (alias.here.is_empty() || has(alias.here)))?;
    Some(match (alias.here, alias.note) {
        ("", note) => format!("it is a key of {}; {note}", alias.of),
        (here, "") => format!("it is a key of {}; here it is `{here}`", alias.of),
        (here, note) => format!("it is a key of {}; here it is `{here}`: {note}", alias.of),
    })
}

/// Names of keys of other trainers, each once.
pub fn foreign_keys() -> impl Iterator<Item = &'static str> {
    let names: std::collections::BTreeSet<&str> = ALIASES.iter().map(|alias| alias.name).collect();
    names.into_iter()
}

/// What to write in place of a group of keys, as verl, AReaL and the original's vLLM file have them.
pub(super) fn group_advice<C: Configuration>(group: &Value) -> Option<String> {
    group.as_mapping()?;
    let lines = members::<C>(group);
    let advice = "keys are not grouped here, they stand on the top level";
    Some(if lines.is_empty() {
        advice.to_owned()
    } else {
        format!("{advice}. {}", lines.join("; "))
    })
}

/// What becomes of each key of a group, and of the groups in it.
fn members<C: Configuration>(group: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in group.as_mapping().into_iter().flatten() {
        let Some(name) = name.as_str() else { continue };
        if C::keys().iter().any(|key| key.name == name) {
            lines.push(format!("`{name}` stays `{name}`"));
        } else if value.is_mapping() {
            lines.extend(members::<C>(value));
        } else if let Some(advice) = alias::<C>(name) {
            lines.push(format!("`{name}`: {advice}"));
        }
    }
    lines
}

/// Values that mean something elsewhere: key, value, what to write.
const VALUES: &[(&str, &str, &str)] = &[
    ("dtype", "bf16", "write bfloat16"),
    ("dtype", "torch.bfloat16", "write bfloat16"),
    ("dtype", "fp32", "write float32"),
    ("dtype", "float", "write float32"),
    ("dtype", "torch.float32", "write float32"),
    ("dtype", "fp16", NO_FLOAT16),
    ("dtype", "half", NO_FLOAT16),
    ("dtype", "float16", NO_FLOAT16),
    ("dtype", "auto", "write bfloat16 for the released models"),
    ("device", "gpu", "write cuda"),
    ("device", "auto", "write cuda where there is an NVIDIA GPU, else cpu"),
    ("device", "mps", "there is no Metal backend; write cpu"),
    ("scale_rewards", "true", "as in older versions of TRL: write group"),
    ("scale_rewards", "false", "as in older versions of TRL: write none"),
    (
        "lr_scheduler",
        "constant_with_warmup",
        "write constant, warmup_steps apply to every schedule",
    ),
    ("lr_scheduler", "cosine_with_restarts", "write cosine"),
    (
        "max_steps",
        "-1",
        "in transformers -1 means as the epochs say; here a run has a number of steps",
    ),
    ("top_k", "-1", "in vLLM -1 keeps all tokens; write 0"),
    ("save_total_limit", "null", "in transformers null keeps all; write 0"),
    ("max_grad_norm", "null", "write 0 to leave gradients as they are"),
    (
        "eval_steps",
        "null",
        "write 0 to evaluate before the first step and after the last only",
    ),
    ("patience", "null", "write 0 for never"),
    (
        "loss_type",
        "ppo",
        "write grpo: the same clipping, with advantages from the group instead of a critic",
    ),
    (
        "reward",
        "simple",
        "the original's reward of 1 or 0 is `verified`, by the device's state",
    ),
    (
        "load_in_4bit",
        "nf4",
        "write true: four bits are NF4 with double quantisation",
    ),
    ("use_lora", "lora", "write true"),
];

/// `". Advice"` for a value that means something in another trainer, or nothing.
pub(super) fn value_advice(key: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.to_lowercase(),
        other => serde_yaml_ng::to_string(other).unwrap_or_default().trim().to_owned(),
    };
    let known = VALUES.iter().find(|(of, written, _)| *of == key && *written == text);
    known.map_or_else(String::new, |(.., advice)| format!("; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SftConfig, TrainConfig};
    use std::collections::BTreeSet;

    #[test]
    fn the_table_leads_to_keys_that_exist_and_hides_none() {
        let keys: BTreeSet<&str> = TrainConfig::keys().iter().map(|key| key.name).collect();
        let mut names = BTreeSet::new();
        for alias in ALIASES {
            assert!(names.insert(alias.name), "{} twice", alias.name);
            assert!(!keys.contains(alias.name), "{} is a key of ours", alias.name);
            assert!(
                alias.here.is_empty() || keys.contains(alias.here),
                "{} -> {}",
                alias.name,
                alias.here
            );
            assert!(
                !alias.here.is_empty() || !alias.note.is_empty(),
                "{}: say what to do",
                alias.name
            );
        }
        assert!(ALIASES.len() >= 100, "{}", ALIASES.len());
        for (key, value, _) in VALUES {
            let key = TrainConfig::keys().iter().find(|known| known.name == *key).unwrap();
            let value: Value = serde_yaml_ng::from_str(value).unwrap();
            let accepted = (key.accepts)(&value) && key.bounds.admit(&value);
            assert!(!accepted, "{}: {value:?} is accepted, so no advice is given", key.name);
        }
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        let found = |name: &str| alias::<TrainConfig>(name).unwrap_or_default();
        assert!(found("num_generations").contains("`num_rollouts`"));
        assert!(found("Num-Generations").contains("`num_rollouts`"));
        assert!(found("actor_rollout_ref.rollout.n").contains("`num_rollouts`"));
        assert!(found("actor_rollout_ref.rollout.temperature").contains("write `temperature`"));
        assert!(found("beta2").is_empty());
        assert_eq!(alias::<SftConfig>("num_generations"), None, "sft has no groups");
        assert!(alias::<SftConfig>("per_device_train_batch_size").is_some());
    }
}
