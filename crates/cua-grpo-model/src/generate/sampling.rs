//! Drawing one token from logits: temperature, top-k, top-p, on the host in f64.

use cua_grpo_core::SamplingParams;
use cua_grpo_kernels::Softmax;
use rand::Rng;

/// One drawn token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// The token.
    pub token: u32,
    /// Its natural log-prob under the full distribution at the sampling temperature (1 when greedy).
    pub logprob: f32,
    /// Mass of the tokens it was drawn from.
    pub kept_mass: f32,
}

/// Draws a token from `logits` (`[vocab]`): temperature, then top-k, then top-p, as transformers orders them.
///
/// At temperature 0 the token is the first of the largest logits.
pub fn draw(logits: &[f32], params: &SamplingParams, rng: &mut impl Rng) -> Draw {
    let greedy = params.temperature <= 0.0;
    let temperature = if greedy { 1.0 } else { f64::from(params.temperature) };
    let best = (0..logits.len()).fold(0, |best, index| if logits[index] > logits[best] { index } else { best });
    let (softmax, weights) = Softmax::weighing(logits, temperature);
    let total = softmax.total();
    let logprob = |token: usize| softmax.logprob(logits[token]);
    if greedy {
        return Draw {
            token: best as u32,
            logprob: logprob(best),
            kept_mass: 1.0,
        };
    }
    let cut = params.top_k > 0 && params.top_k < weights.len() || params.top_p < 1.0;
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let mut kept = total;
    if cut {
        order.sort_by(|&left, &right| weights[right].total_cmp(&weights[left]).then(left.cmp(&right)));
        if params.top_k > 0 {
            order.truncate(params.top_k);
        }
        let mass: f64 = order.iter().map(|&token| weights[token]).sum();
        let mut sum = 0.0;
        let enough = order.iter().position(|&token| {
            sum += weights[token];
            sum >= f64::from(params.top_p) * mass
        });
        order.truncate(enough.map_or(order.len(), |last| last + 1));
        kept = order.iter().map(|&token| weights[token]).sum();
    }
    let mut left = rng.random::<f64>() * kept;
    let mut token = order.last().copied().unwrap_or(best);
    for &candidate in &order {
        left -= weights[candidate];
        if left < 0.0 {
            token = candidate;
            break;
        }
    }
    Draw {
        token: token as u32,
        logprob: logprob(token),
        kept_mass: (kept / total) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn params(temperature: f32, top_p: f32, top_k: usize) -> SamplingParams {
        SamplingParams::new(1)
            .with_temperature(temperature)
            .with_top_p(top_p)
            .with_top_k(top_k)
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let got = draw(&[0.0, 2.0, 2.0], &params(0.0, 1.0, 0), &mut rng);
        assert_eq!(got.token, 1);
        assert!((got.logprob - (-(2.0 + (-2f32).exp()).ln())).abs() < 1e-6);
    }

    #[test]
    fn frequencies_follow_the_softmax_at_temperature() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let logits = [0.3f32, -0.2, 1.1, 0.0];
        let mut counts = [0usize; 4];
        for _ in 0..20_000 {
            counts[draw(&logits, &params(0.7, 1.0, 0), &mut rng).token as usize] += 1;
        }
        let weights: Vec<f64> = logits.iter().map(|&l| (f64::from(l) / 0.7).exp()).collect();
        let total: f64 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(weights) {
            assert!((*count as f64 / 20_000.0 - weight / total).abs() < 0.015);
        }
    }

    #[test]
    fn cuts_keep_the_head_and_report_its_mass() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let logits = [3.0f32, 2.0, 0.0, -1.0]; // masses 0.70, 0.26, 0.035, 0.013
        for _ in 0..200 {
            let by_mass = draw(&logits, &params(1.0, 0.8, 0), &mut rng);
            assert!(
                by_mass.token < 2 && (by_mass.kept_mass - 0.952).abs() < 0.01,
                "{by_mass:?}"
            );
            assert_eq!(draw(&logits, &params(1.0, 1.0, 1), &mut rng).token, 0);
        }
    }

    /// Cuts as transformers states them: its warpers one after the other, each on the softmax of what is left.
    fn kept_by_warpers(logits: &[f32], params: &SamplingParams) -> (Vec<usize>, f64) {
        let scaled: Vec<f64> = logits
            .iter()
            .map(|&logit| f64::from(logit) / f64::from(params.temperature))
            .collect();
        let softmax = |kept: &[usize]| -> Vec<f64> {
            let weights: Vec<f64> = kept.iter().map(|&token| scaled[token].exp()).collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        };
        let all: Vec<usize> = (0..logits.len()).collect();
        let full = softmax(&all);
        let mut kept = all;
        kept.sort_by(|&left, &right| scaled[right].total_cmp(&scaled[left]));
        if params.top_k > 0 {
            kept.truncate(params.top_k);
        }
        if params.top_p < 1.0 {
            // From the smallest up, everything within the first 1 - top_p goes; the largest always stays.
            let masses = softmax(&kept);
            let (mut sum, mut gone) = (0.0, 0);
            for mass in masses.iter().rev().take(masses.len() - 1) {
                sum += mass;
                if sum > 1.0 - f64::from(params.top_p) {
                    break;
                }
                gone += 1;
            }
            kept.truncate(kept.len() - gone);
        }
        let mass = kept.iter().map(|&token| full[token]).sum();
        (kept, mass)
    }

    /// Mutations tried: top-p before top-k, top-p of the full mass, log-probs of the truncated distribution, kept mass
    /// of what top-k alone leaves.
    #[test]
    fn draws_stay_in_what_the_warpers_of_transformers_keep() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for round in 0..300 {
            let size = rng.random_range(1..40usize);
            let logits: Vec<f32> = (0..size).map(|_| rng.random_range(-6.0..6.0)).collect();
            let temperature = rng.random_range(0.2..2.0f32);
            let top_p = if round % 3 == 0 {
                1.0
            } else {
                rng.random_range(0.05..1.0)
            };
            let params = params(temperature, top_p, rng.random_range(0..size + 3));
            let (kept, mass) = kept_by_warpers(&logits, &params);
            let total: f64 = logits
                .iter()
                .map(|&l| (f64::from(l) / f64::from(temperature)).exp())
                .sum();
            let mut seen = vec![false; size];
            for _ in 0..400 {
                let drawn = draw(&logits, &params, &mut rng);
                let token = drawn.token as usize;
                assert!(kept.contains(&token), "{params:?} {logits:?}");
                assert!((f64::from(drawn.kept_mass) - mass).abs() < 1e-5, "{params:?}");
                let full = f64::from(logits[token]) / f64::from(temperature) - total.ln();
                assert!(
                    (f64::from(drawn.logprob) - full).abs() < 1e-5,
                    "of the full distribution"
                );
                // Under the truncated one the token is likelier, by the mass that was cut.
                assert!(drawn.logprob - drawn.kept_mass.ln() <= 1e-5);
                seen[token] = true;
            }
            // What has a fair share of the kept mass comes up.
            for &token in &kept {
                let share = (f64::from(logits[token]) / f64::from(temperature)).exp() / total / mass;
                assert!(
                    seen[token] || share < 0.05,
                    "{params:?}: token {token} of share {share} never came"
                );
            }
        }
    }
}
