//! A softmax on the host, in f64: what draws tokens and what scores them get the same log-prob of the same logits.

/// The softmax of logits at a temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax {
    temperature: f64,
    /// The largest of the logits, divided by the temperature.
    top: f64,
    /// Sum of `e^(logit / temperature - top)`, in their order.
    total: f64,
}

impl Softmax {
    /// Of `logits`; that of none has no probabilities. A logit that is no number makes all of them none.
    pub fn of(logits: &[f32], temperature: f64) -> Self {
        let mut softmax = Self::unsummed(logits, temperature);
        softmax.total = logits.iter().map(|&logit| softmax.weight(logit)).sum();
        softmax
    }

    /// As [`Softmax::of`], with the weight of each logit.
    pub fn weighing(logits: &[f32], temperature: f64) -> (Self, Vec<f64>) {
        let mut softmax = Self::unsummed(logits, temperature);
        let weights: Vec<f64> = logits.iter().map(|&logit| softmax.weight(logit)).collect();
        softmax.total = weights.iter().sum();
        (softmax, weights)
    }

    fn unsummed(logits: &[f32], temperature: f64) -> Self {
        let scaled = |&logit: &f32| f64::from(logit) / temperature;
        let larger = |top: f64, value: f64| if value > top || value.is_nan() { value } else { top };
        Self {
            temperature,
            top: logits.iter().map(scaled).fold(f64::NEG_INFINITY, larger),
            total: 0.0,
        }
    }

    /// `e^(logit / temperature - top)`: the weight of a logit among [`Softmax::total`].
    pub fn weight(&self, logit: f32) -> f64 {
        (f64::from(logit) / self.temperature - self.top).exp()
    }

    /// Sum of the weights of all logits.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Natural log-prob of a logit.
    pub fn logprob(&self, logit: f32) -> f32 {
        (f64::from(logit) / self.temperature - self.top - self.total.ln()) as f32
    }

    /// Entropy in nats, of the logits that it was made of.
    pub fn entropy(&self, logits: &[f32]) -> f64 {
        let inside = |&logit: &f32| {
            let weight = self.weight(logit);
            // What has no weight has no part in it, also where its logit is minus infinity.
            if weight == 0.0 {
                0.0
            } else {
                weight * (f64::from(logit) / self.temperature - self.top)
            }
        };
        self.total.ln() - logits.iter().map(inside).sum::<f64>() / self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_and_entropy_are_those_of_the_definition() {
        let (logits, temperature) = ([0.5f32, -1.0, 2.0, f32::NEG_INFINITY], 0.7);
        let softmax = Softmax::of(&logits, temperature);
        let weights = logits.map(|logit| (f64::from(logit) / temperature).exp());
        let total: f64 = weights.iter().sum();
        let entropy: f64 = weights[..3].iter().map(|w| -(w / total) * (w / total).ln()).sum();
        for (logit, weight) in logits.into_iter().zip(weights) {
            assert!((softmax.weight(logit) / softmax.total() - weight / total).abs() < 1e-15);
        }
        assert!((f64::from(softmax.logprob(2.0)) - (weights[2] / total).ln()).abs() < 1e-7);
        assert!((softmax.entropy(&logits) - entropy).abs() < 1e-14);
    }

    #[test]
    fn a_logit_that_is_no_number_is_not_lost() {
        for logits in [[f32::NAN, 1.0], [1.0, f32::NAN]] {
            assert!(Softmax::of(&logits, 1.0).logprob(1.0).is_nan());
        }
    }
}
