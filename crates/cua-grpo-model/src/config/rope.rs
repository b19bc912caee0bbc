//! Rotary frequencies beyond the plain ones: the types of `rope_parameters` (transformers 5) or `rope_scaling` (4).

use super::keys::{Key, Neutral, Rule, check};
use super::read::{maybe_number, maybe_size, number};
use serde_json::{Map, Value, json};

/// How the frequencies `theta^(-2j/d)` are changed for longer contexts, and what cosines and sines are multiplied by.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// Every frequency is divided by `factor`.
    Linear {
        /// How much longer contexts become.
        factor: f64,
    },
    /// Zero beyond a part of the frequencies, the others divided by `factor`.
    Proportional {
        /// The divisor.
        factor: f64,
        /// The part of the frequencies that is kept.
        part: f64,
    },
    /// NTK scaling of the base, by the length of the row, once that is beyond `max_position_embeddings`.
    Dynamic {
        /// How much longer contexts become.
        factor: f64,
    },
    /// YaRN (Peng et al. 2023): slow frequencies are divided, fast ones stay, a ramp between.
    Yarn {
        /// How much longer contexts become.
        factor: f64,
        /// Context that the model was first trained with.
        original: usize,
        /// Turns within the original context, from which on a frequency stays.
        beta_fast: f64,
        /// Turns within the original context, up to which a frequency is divided.
        beta_slow: f64,
        /// The ends of the ramp are whole numbers.
        truncate: bool,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
    },
    /// LongRoPE (Ding et al. 2024): a divisor for every frequency, one list for rows up to the original context, another
    /// for longer ones.
    Longrope {
        /// Divisors of rows up to the original context.
        short: Vec<f64>,
        /// Divisors of longer rows.
        long: Vec<f64>,
        /// Context that the model was first trained with.
        original: usize,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
    },
    /// The scaling of Llama 3.1: by wavelength, with a ramp between.
    Llama3 {
        /// The divisor of slow frequencies.
        factor: f64,
        /// Turns within the original context, up to which a frequency is divided.
        low: f64,
        /// Turns within the original context, from which on a frequency stays.
        high: f64,
        /// Context that the model was first trained with.
        original: usize,
    },
}

/// Keys of the map, for every type.
const KEYS: &[Key] = &[
    ("rope_type", Rule::Read),
    ("type", Rule::Read),
    ("rope_theta", Rule::Read),
    ("mrope_section", Rule::Read),
    (
        "mrope_interleaved",
        Rule::Only(&[Neutral::True], "Qwen3-VL interleaves the axes, whatever the key says"),
    ),
];
const FACTOR: &[Key] = &[("factor", Rule::Read)];
const YARN: &[Key] = &[
    ("factor", Rule::Read),
    ("original_max_position_embeddings", Rule::Read),
    ("attention_factor", Rule::Read),
    ("beta_fast", Rule::Read),
    ("beta_slow", Rule::Read),
    ("mscale", Rule::Read),
    ("mscale_all_dim", Rule::Read),
    ("truncate", Rule::Read),
];
const LONGROPE: &[Key] = &[
    ("factor", Rule::Read),
    ("original_max_position_embeddings", Rule::Read),
    ("attention_factor", Rule::Read),
    ("short_factor", Rule::Read),
    ("long_factor", Rule::Read),
];
const LLAMA3: &[Key] = &[
    ("factor", Rule::Read),
    ("original_max_position_embeddings", Rule::Read),
    ("low_freq_factor", Rule::Read),
    ("high_freq_factor", Rule::Read),
];
const WHOLE: &[Key] = &[(
    "partial_rotary_factor",
    Rule::Only(&[Neutral::Number(1.0)], "heads are turned as a whole here"),
)];
const PART: &[Key] = &[("partial_rotary_factor", Rule::Read)];

/// What `text_config` says about rotation.
pub(super) struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// The map that counts.
    pub map: Value,
    /// What is done to the frequencies.
    pub scaling: RopeScaling,
    /// Width of the part of a head that is turned.
    pub turned: usize,
    /// Keys without effect.
    pub warnings: Vec<String>,
}

/// Reads the rotary keys of `text_config`, of either layout. `part` of a head is turned where the file does not say it; all
/// of it where there is no such part.
///
/// # Errors
/// Names the key that is missing, or whose value is not computed here.
pub(super) fn read_rope(text: &Value, part: Option<f64>) -> Result<Rope, String> {
    let filled = |key: &str| {
        text.get(key)
            .filter(|map| map.as_object().is_some_and(|map| !map.is_empty()))
    };
    let mut warnings = Vec::new();
    // As transformers 5: the old key counts where both are there.
    let (key, map) = match (filled("rope_scaling"), filled("rope_parameters")) {
        (Some(old), Some(new)) => {
            if old != new {
                warnings.push(
                    "text_config.rope_parameters is not applied where it differs: rope_scaling beside it counts"
                        .to_owned(),
                );
            }
            ("rope_scaling", old)
        }
        (Some(old), None) => ("rope_scaling", old),
        (None, Some(new)) => ("rope_parameters", new),
        (None, None) => return Err("text_config.rope_scaling (or rope_parameters) is missing".to_owned()),
    };
    let theta = maybe_number(map, "rope_theta")?.or(maybe_number(text, "rope_theta")?);
    let theta = theta.filter(|theta| *theta > 0.0).ok_or("rope_theta is missing")?;
    let kind = match map.get("rope_type").or_else(|| map.get("type")) {
        None | Some(Value::Null) => "default",
        Some(kind) => kind
            .as_str()
            .ok_or_else(|| format!("{key}.rope_type: expected a name, found {kind}"))?,
    };
    let turned = match part {
        None => maybe_size(text, "head_dim")?.unwrap_or(0),
        Some(part) => turned(text, map, part)?,
    };
    let more = if part.is_some() { PART } else { WHOLE };
    let (own, more): (&[Key], &[Key]) = match kind {
        "default" => (&[], more),
        "linear" | "dynamic" => (FACTOR, more),
        // There the part is one of the frequencies, and the heads are turned as a whole.
        "proportional" if part.is_none() => (FACTOR, PART),
        "yarn" => (YARN, more),
        "longrope" => (LONGROPE, more),
        "llama3" => (LLAMA3, more),
        other => {
            return Err(format!(
                "text_config.{key}.rope_type: expected default, linear, dynamic, yarn, longrope, llama3 or proportional, found \
                 \"{other}\"; set the type that the model was trained with"
            ));
        }
    };
    warnings.extend(check(&format!("text_config.{key}."), map, &[KEYS, own, more])?);
    let scaling = read_scaling(kind, map, text, turned).map_err(|error| format!("text_config.{key}: {error}"))?;
    Ok(Rope {
        theta,
        map: map.clone(),
        scaling,
        turned,
        warnings,
    })
}

/// Width of the part of a head that is turned.
fn turned(text: &Value, map: &Value, otherwise: f64) -> Result<usize, String> {
    let key = "partial_rotary_factor";
    let part = maybe_number(map, key)?
        .or(maybe_number(text, key)?)
        .unwrap_or(otherwise);
    let head_dim = maybe_size(text, "head_dim")?.ok_or("head_dim is missing")?;
    let turned = (head_dim as f64 * part) as usize;
    if part <= 1.0 && turned > 0 && turned.is_multiple_of(2) {
        return Ok(turned);
    }
    Err(format!(
        "{key}: expected a part of head_dim {head_dim} that is an even number, found {part}"
    ))
}

fn read_scaling(kind: &str, map: &Value, text: &Value, turned: usize) -> Result<RopeScaling, String> {
    let positive = |key: &str| match number(map, key)? {
        value if value > 0.0 => Ok(value),
        value => Err(format!("{key}: expected a number above 0, found {value}")),
    };
    let longest =
        || maybe_size(text, "max_position_embeddings")?.ok_or_else(|| "max_position_embeddings is missing".to_owned());
    // Outside of the map it counts first, as in transformers.
    let original = || -> Result<usize, String> {
        let key = "original_max_position_embeddings";
        let found = maybe_size(text, key)?.or(maybe_size(map, key)?);
        match found.map_or_else(longest, Ok)? {
            0 => Err(format!("{key}: expected a number above 0, found 0")),
            length => Ok(length),
        }
    };
    // Without a factor the two lengths say it.
    let factor = |original: usize| match maybe_number(map, "factor")? {
        Some(_) => positive("factor"),
        None => Ok(longest()? as f64 / original as f64),
    };
    let truthy = |key: &str| Ok::<_, String>(maybe_number(map, key)?.filter(|value| *value != 0.0));
    Ok(match kind {
        "linear" => RopeScaling::Linear {
            factor: positive("factor")?,
        },
        "dynamic" => RopeScaling::Dynamic {
            factor: positive("factor")?,
        },
        "proportional" => RopeScaling::Proportional {
            factor: if map.get("factor").is_none() {
                1.0
            } else {
                positive("factor")?
            },
            part: maybe_number(map, "partial_rotary_factor")?
                .unwrap_or(1.0)
                .clamp(0.0, 1.0),
        },
        "yarn" => {
            let original = original()?;
            if map.get("factor").is_none() {
                return Err("factor is missing".to_owned());
            }
            let factor = factor(original)?;
            let scale = |mscale: f64| {
                if factor <= 1.0 {
                    1.0
                } else {
                    0.1 * mscale * factor.ln() + 1.0
                }
            };
            let attention_factor = match (
                maybe_number(map, "attention_factor")?,
                truthy("mscale")?,
                truthy("mscale_all_dim")?,
            ) {
                (Some(given), _, _) => given,
                (None, Some(one), Some(all)) => scale(one) / scale(all),
                (None, _, _) => scale(1.0),
            };
            RopeScaling::Yarn {
                factor,
                original,
                beta_fast: truthy("beta_fast")?.unwrap_or(32.0),
                beta_slow: truthy("beta_slow")?.unwrap_or(1.0),
                truncate: match map.get("truncate") {
                    None => true,
                    Some(value) => value
                        .as_bool()
                        .ok_or_else(|| format!("truncate: expected true or false, found {value}"))?,
                },
                attention_factor,
            }
        }
        "longrope" => {
            let original = original()?;
            let factor = factor(original)?;
            let half = turned / 2;
            let list = |key: &str| -> Result<Vec<f64>, String> {
                let list = map.get(key).ok_or_else(|| format!("{key} is missing"))?;
                let list: Option<Vec<f64>> = serde_json::from_value(list.clone()).ok();
                list.filter(|list| list.len() == half && list.iter().all(|divisor| *divisor > 0.0))
                    .ok_or_else(|| format!("{key}: expected {half} numbers above 0, half of what is turned of a head"))
            };
            RopeScaling::Longrope {
                short: list("short_factor")?,
                long: list("long_factor")?,
                original,
                attention_factor: match maybe_number(map, "attention_factor")? {
                    Some(given) => given,
                    None if factor <= 1.0 => 1.0,
                    None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
                },
            }
        }
        "llama3" => {
            let (low, high) = (positive("low_freq_factor")?, positive("high_freq_factor")?);
            if low >= high {
                return Err(format!(
                    "high_freq_factor: expected more than low_freq_factor {low}, found {high}"
                ));
            }
            RopeScaling::Llama3 {
                factor: positive("factor")?,
                low,
                high,
                original: original()?,
            }
        }
        _ => RopeScaling::Default,
    })
}

impl RopeScaling {
    /// What cosines and sines are multiplied by.
    pub fn attention_factor(&self) -> f64 {
        match self {
            Self::Yarn { attention_factor, .. } | Self::Longrope { attention_factor, .. } => *attention_factor,
            _ => 1.0,
        }
    }

    /// The `width / 2` frequencies of heads of `width`, for a row whose last position is `reach - 1`, of a model for
    /// contexts of `longest`.
    pub fn frequencies(&self, theta: f64, width: usize, reach: usize, longest: usize) -> Vec<f32> {
        let plain = |theta: f64| move |j: usize| theta.powf(-2.0 * j as f64 / width as f64);
        let half = width / 2;
        let all = |of: &dyn Fn(usize) -> f64| (0..half).map(|j| of(j) as f32).collect();
        let frequency = plain(theta);
        match self {
            Self::Default => all(&frequency),
            Self::Linear { factor } => all(&|j| frequency(j) / factor),
            Self::Proportional { factor, part } => {
                let kept = (part * width as f64 / 2.0).floor() as usize;
                all(&|j| if j < kept { frequency(j) / factor } else { 0.0 })
            }
            Self::Dynamic { factor } => {
                let longest = longest.max(1) as f64;
                let length = (reach as f64).max(longest);
                let (width, stretch) = (width as f64, factor * length / longest - (factor - 1.0));
                all(&plain(theta * stretch.powf(width / (width - 2.0))))
            }
            Self::Yarn {
                factor,
                original,
                beta_fast,
                beta_slow,
                truncate,
                ..
            } => {
                // The frequency that makes so many turns within the original context.
                let of_turns = |turns: f64| {
                    width as f64 * (*original as f64 / (turns * std::f64::consts::TAU)).ln() / (2.0 * theta.ln())
                };
                let (mut low, mut high) = (of_turns(*beta_fast), of_turns(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, mut high) = (low.max(0.0), high.min(width as f64 - 1.0));
                if low == high {
                    high += 0.001;
                }
                all(&|j| {
                    let divided = ((j as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    frequency(j) * (divided / factor + 1.0 - divided)
                })
            }
            Self::Longrope {
                short, long, original, ..
            } => {
                let divisors = if reach > *original { long } else { short };
                all(&|j| frequency(j) / divisors.get(j).copied().unwrap_or(1.0))
            }
            Self::Llama3 {
                factor,
                low,
                high,
                original,
            } => all(&|j| {
                let frequency = frequency(j);
                let turns = *original as f64 * frequency / std::f64::consts::TAU;
                if turns > *high {
                    frequency
                } else if turns < *low {
                    frequency / factor
                } else {
                    let kept = (turns - low) / (high - low);
                    frequency * ((1.0 - kept) / factor + kept)
                }
            }),
        }
    }

    /// The keys of the map, beside those of every type.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let value = match self {
            Self::Default => json!({"rope_type": "default"}),
            Self::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            Self::Proportional { factor, part } => {
                json!({"rope_type": "proportional", "factor": factor, "partial_rotary_factor": part})
            }
            Self::Dynamic { factor } => json!({"rope_type": "dynamic", "factor": factor}),
            Self::Yarn {
                factor,
                original,
                beta_fast,
                beta_slow,
                truncate,
                attention_factor,
            } => json!({
                "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original,
                "beta_fast": beta_fast, "beta_slow": beta_slow, "truncate": truncate, "attention_factor": attention_factor,
            }),
            Self::Longrope {
                short,
                long,
                original,
                attention_factor,
            } => json!({
                "rope_type": "longrope", "short_factor": short, "long_factor": long,
                "original_max_position_embeddings": original, "attention_factor": attention_factor,
            }),
            Self::Llama3 {
                factor,
                low,
                high,
                original,
            } => json!({
                "rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
                "original_max_position_embeddings": original,
            }),
        };
        value.as_object().cloned().unwrap_or_default()
    }
}
