//! What a run needs beside what is free: one line, and an error when not even the weights fit.

use super::{Plan, gib, grouped};
use crate::config::{STARTER, TrainConfig};
use crate::error::TrainError;
use cua_grpo_model::memory::Source;

/// What the first lines say about memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The need beside what is free.
    pub line: String,
    /// What to do when the run will probably not fit.
    pub warning: Option<String>,
}

impl Plan {
    /// The need of the run of `config`, which this is the plan of, beside what is free.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when the weights alone, or one conversation beside them, need more than is free.
    pub fn need(&self, config: &TrainConfig) -> Result<Need, TrainError> {
        let needed = gib(self.peak_bytes);
        let (Some(available), Some(fit)) = (&self.available, &self.fit) else {
            let reason = self.unknown.as_deref().unwrap_or("unknown");
            return Ok(Need {
                line: format!("needs {needed}; what is free is not known ({reason})"),
                warning: None,
            });
        };
        let place = match available.source {
            Source::Host => "this machine".to_owned(),
            Source::Gpu => self.device.clone(),
            Source::Flag => "--memory".to_owned(),
        };
        let free = gib(available.free);
        let most = grouped(fit.max_conversations);
        if fit.fits {
            return Ok(Need {
                line: format!("needs {needed} of {free} free ({place}), room for {most} conversations at once"),
                warning: None,
            });
        }
        let weights = self.components.first().map_or(0, |weights| weights.bytes);
        let mut advice = Vec::new();
        let four_bits = self.four_bits_bytes.filter(|bytes| *bytes < self.peak_bytes);
        if let Some(bytes) = four_bits {
            advice.push(format!("--load-in-4bit needs {}", gib(bytes)));
        }
        if let Some(bytes) = self.offloaded_bytes.filter(|bytes| *bytes < self.peak_bytes) {
            advice.push(format!("--set activation_offloading=true needs {}", gib(bytes)));
        }
        for (key, most) in [
            ("concurrency", fit.max_conversations),
            ("max_seq_length", fit.context),
            ("micro_batch_tokens", fit.micro_batch),
        ] {
            if most > 0 {
                advice.push(format!("{key} up to {} would fit alone", grouped(most)));
            }
        }
        if self.device == "cpu" && config.model_name != STARTER {
            advice.push("--device cuda uses a GPU".to_owned());
        }
        advice.push("`trainer plan` with the same flags shows the parts".to_owned());
        let advice = advice.join("; ");
        let why = match fit.max_conversations {
            _ if weights > available.free => format!("its weights alone take {}", gib(weights)),
            0 => format!("with one conversation of {} tokens it takes more", self.load.context),
            _ => String::new(),
        };
        if !why.is_empty() {
            return Err(TrainError::Usage(format!(
                "{} does not fit: {why}, and {free} are free on {} ({place}). {advice}",
                self.model, self.device
            )));
        }
        let short = match self.load.batch > fit.max_conversations {
            true => format!(
                "; there is room for {most} conversations at once, and concurrency is {}",
                config.concurrency
            ),
            false => String::new(),
        };
        Ok(Need {
            line: format!("needs {needed} of {free} free ({place}): will probably not fit{short}"),
            warning: Some(advice),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};
    use cua_grpo_model::ModelConfig;

    fn planned(name: &str, gib: f64, four_bits: bool) -> Result<Need, TrainError> {
        let mut config: TrainConfig = load(&Sources::default()).unwrap();
        config.model_name = name.into();
        config.load_in_4bit = four_bits;
        let (model, size) = ModelConfig::released(name).unwrap();
        Plan::of(&config, &model, size, Some(gib)).unwrap().need(&config)
    }

    #[test]
    fn a_run_that_fits_is_one_line_and_one_that_cannot_is_an_error() {
        let fits = planned("2b", 400.0, false).unwrap();
        assert!(
            fits.warning.is_none() && fits.line.contains("of 400.00 GiB free (--memory), room for "),
            "{fits:?}"
        );
        // The 8B in f32 takes 32.7 GiB for its weights.
        let error = planned("Qwen/Qwen3-VL-8B-Instruct", 16.0, false).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TrainError::Usage(_)));
        for words in [
            "weights alone take 32.",
            "16.00 GiB are free",
            "--load-in-4bit",
            "--device cuda",
            "trainer plan",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let warned = planned("Qwen/Qwen3-VL-8B-Instruct", 40.0, false).unwrap();
        assert!(warned.line.contains("will probably not fit"), "{warned:?}");
        assert!(warned.line.contains("at once, and concurrency is 64"), "{warned:?}");
        assert!(warned.warning.unwrap().contains("concurrency up to"));
        // The weights fit, and not a single conversation besides.
        let error = planned("Qwen/Qwen3-VL-8B-Instruct", 32.9, false).unwrap_err();
        assert!(matches!(error, TrainError::Usage(_)));
        assert!(error.to_string().contains("one conversation of 2048 tokens"), "{error}");
    }
}
