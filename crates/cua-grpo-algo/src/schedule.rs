//! The learning rate: linear warmup, then constant, cosine or linear decay.
//!
//! Departure from `transformers`, whose first update has a rate of 0: update `s` (from 0) of `w` warmup updates has
//! `base * (s + 1) / w`, so no update is wasted.

use serde::{Deserialize, Serialize};

/// What follows the warmup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// The base rate.
    #[default]
    Constant,
    /// A straight line down to the final rate.
    Linear,
    /// Half a cosine down to the final rate.
    Cosine,
}

impl Decay {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Constant, Self::Linear, Self::Cosine];
}

/// A learning rate as a function of the update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The rate after warmup.
    pub base: f64,
    /// Updates of warmup.
    pub warmup_steps: u64,
    /// Updates of the whole run; the decay ends there.
    pub max_steps: u64,
    /// What follows the warmup.
    pub decay: Decay,
    /// The final rate as a fraction of `base`; a constant schedule ignores it.
    pub final_fraction: f64,
}

impl Schedule {
    /// The rate of update `step`, counted from 0.
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.base * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let span = self.max_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / span).min(1.0);
        let remaining = match self.decay {
            Decay::Constant => return self.base,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Decay::Linear => 1.0 - progress,
        };
        self.base * (self.final_fraction + (1.0 - self.final_fraction) * remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_table() {
        let schedule = |decay| Schedule {
            base: 1.0,
            warmup_steps: 4,
            max_steps: 12,
            decay,
            final_fraction: 0.1,
        };
        let cases = [
            (Decay::Constant, 0, 0.25),
            (Decay::Constant, 3, 1.0),
            (Decay::Constant, 100, 1.0),
            (Decay::Cosine, 1, 0.5),
            (Decay::Cosine, 4, 1.0),
            (Decay::Cosine, 8, 0.55),
            (Decay::Cosine, 12, 0.1),
            (Decay::Linear, 6, 0.775),
            (Decay::Linear, 50, 0.1),
        ];
        for (decay, step, expected) in cases {
            let got = schedule(decay).learning_rate(step);
            assert!(
                (got - expected).abs() < 1e-12,
                "{decay:?} at {step}: got {got}, expected {expected}"
            );
        }
        let cold = Schedule {
            warmup_steps: 0,
            ..schedule(Decay::Constant)
        };
        assert_eq!(cold.learning_rate(0), 1.0);
    }
}
