//! Types of keys with few possible values.

use super::Setting;
use cua_grpo_core::Secret;
use cua_grpo_model::lora::Targets;
use cua_grpo_model::placement::DeviceSpec;
use serde::{Deserialize, Serialize};
use serde_yaml_ng::Value;

/// Adapter targets by name.
pub(super) fn names(list: &[&str]) -> Targets {
    Targets::Names(list.iter().map(|&name| name.to_owned()).collect())
}

/// Declares an enum written in lower case with underscores, and reads it without regard to case.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)*
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }

        impl Setting for $name {
            fn expected() -> String {
                let names: &[&str] = &[$($text),*];
                format!("one of {}", names.join(", "))
            }

            fn from_text(text: &str) -> Option<Value> {
                let text = text.to_lowercase();
                Self::accepts(&Value::String(text.clone())).then_some(Value::String(text))
            }
        }
    };
}

/// Makes an enum of another crate a setting, by the names that it is written with: what it has is what can be chosen.
macro_rules! choice_of {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn expected() -> String {
                format!("one of {}", Self::ALL.map(written).join(", "))
            }

            fn from_text(text: &str) -> Option<Value> {
                let text = Value::String(text.to_lowercase());
                Self::accepts(&text).then_some(text)
            }
        }
    )*};
}

choice_of!(
    cua_grpo_algo::AdvantageScale,
    cua_grpo_algo::Aggregation,
    cua_grpo_algo::Decay,
    cua_grpo_algo::KlEstimator,
    cua_grpo_algo::LossKind,
    cua_grpo_algo::Proximal,
    cua_grpo_algo::StepCredit,
    cua_grpo_android::PhoneKind,
    cua_grpo_android::PromptStyle,
    cua_grpo_android::SuccessRequires,
    cua_grpo_android::TargetStyle,
    cua_grpo_android::tasks::InstanceSplit,
    cua_grpo_model::checkpoint::WeightDtype,
    cua_grpo_model::generate::OnUpdate
);

/// How a choice is written.
pub(super) fn written(choice: impl Serialize) -> String {
    match serde_yaml_ng::to_value(choice) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

choice! {
    /// What an episode is paid for.
    pub enum RewardKind {
        /// The device's state fulfils the task.
        Verified = "verified",
        /// 1 when it does, 0.1 when the policy ended the episode itself and it does not, else 0.
        Completion = "completion",
        /// As `completion`, but -0.5 for 0; less 0.02 a turn and 0.1 a reply that could not be carried out.
        Efficiency = "efficiency",
        /// `completion`, and 0.5 more when the state fulfils the task, at most 1.
        Shaped = "shaped",
        /// 1 when the policy claims success and the state does not show it; give it a weight below 0.
        FalseComplete = "false_complete",
        /// 1 when the episode changed something that the task did not ask for; give it a weight below 0.
        SideEffects = "side_effects",
        /// 1 when a judge over HTTP (`judge_model`) says that the task is done, else 0.
        Judge = "judge",
        /// A coin: the control experiment in which nothing can be learnt.
        Random = "random",
    }
}

choice! {
    /// What becomes of several rewards.
    pub enum RewardAggregation {
        /// They are added up by weight, and the sums are compared.
        SumThenNormalize = "sum_then_normalize",
        /// Each is compared on its own, and what comes out is added up by weight (GDPO).
        NormalizeThenSum = "normalize_then_sum",
    }
}

impl Setting for DeviceSpec {
    fn expected() -> String {
        DeviceSpec::EXPECTED.into()
    }

    fn from_text(text: &str) -> Option<Value> {
        text.parse::<Self>()
            .ok()
            .map(|device| Value::String(device.to_string()))
    }
}

/// Never written to disk.
impl Setting for Secret {
    const SECRET: bool = true;

    fn expected() -> String {
        "text".into()
    }

    fn from_text(text: &str) -> Option<Value> {
        Some(Value::String(text.into()))
    }
}
