//! How sure a success rate is: the Wilson score interval.

/// The 95 % Wilson score interval of a rate of which `solved` out of `episodes` were seen, as fractions of 1; none
/// without episodes. Unlike the normal approximation it stays within 0 and 1 and is right at both ends.
///
/// ```
/// let (low, high) = cua_grpo_train::interval::wilson(0, 10).unwrap();
/// assert!(low == 0.0 && (high - 0.2775).abs() < 1e-4);
/// ```
pub fn wilson(solved: usize, episodes: usize) -> Option<(f64, f64)> {
    wilson_of(solved as f64 / episodes.max(1) as f64, episodes)
}

/// The same of a `rate` that `count` independent observations gave: of several attempts at each instance the instances
/// count, since attempts at one instance are alike.
pub fn wilson_of(rate: f64, count: usize) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_963_984_540_054; // the normal distribution's 97.5 % quantile
    if count == 0 {
        return None;
    }
    let count = count as f64;
    let scale = 1.0 + Z * Z / count;
    let centre = (rate + Z * Z / (2.0 * count)) / scale;
    let half = Z * (rate * (1.0 - rate) / count + Z * Z / (4.0 * count * count)).sqrt() / scale;
    // At the ends one bound is the rate itself, which rounding would miss.
    let low = if rate <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if rate >= 1.0 { 1.0 } else { (centre + half).min(1.0) };
    Some((low, high))
}

/// pass@k of one instance, `solved` of whose `attempts` succeeded, `1 - C(attempts - solved, k) / C(attempts, k)`: the
/// unbiased estimator of the probability that one of `k` attempts succeeds (Chen et al. 2021). None where there are fewer
/// than `k` attempts.
///
/// ```
/// use cua_grpo_train::interval::pass_at;
/// assert_eq!(pass_at(1, 4, 1), Some(0.25));
/// assert_eq!(pass_at(1, 4, 2), Some(0.5));
/// assert_eq!(pass_at(1, 4, 5), None);
/// ```
pub fn pass_at(solved: usize, attempts: usize, k: usize) -> Option<f64> {
    let failed = attempts.checked_sub(solved)?;
    if k == 0 || attempts < k {
        return None;
    }
    // C(failed, k) / C(attempts, k), as a product, which no factorial overflows.
    let none = (0..k).map(|index| failed.saturating_sub(index) as f64 / (attempts - index) as f64);
    Some(1.0 - none.product::<f64>())
}

/// The interval in words, e.g. `31 % to 64 %`; empty without episodes.
pub fn in_words(solved: usize, episodes: usize) -> String {
    words(wilson(solved, episodes))
}

/// An interval in words; empty where there is none.
pub fn words(interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(String::new, |(low, high)| {
        format!("{:.0} % to {:.0} %", 100.0 * low, 100.0 * high)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_at_k_is_the_share_of_choices_with_a_success() {
        // Every choice of k of the attempts, counted.
        for attempts in 1..9u32 {
            for solved in 0..=attempts {
                for k in 1..=attempts {
                    let choices: Vec<u32> = (0..1u32 << attempts).filter(|set| set.count_ones() == k).collect();
                    let hit = choices.iter().filter(|set| **set & ((1 << solved) - 1) != 0).count();
                    let expected = hit as f64 / choices.len() as f64;
                    let got = pass_at(solved as usize, attempts as usize, k as usize).unwrap();
                    assert!((got - expected).abs() < 1e-12, "{solved} of {attempts}, k {k}");
                }
            }
        }
        assert_eq!((pass_at(3, 2, 1), pass_at(0, 4, 0)), (None, None));
        assert!(pass_at(500, 1000, 1000) == Some(1.0));
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Values of statsmodels' proportion_confint(solved, episodes, method="wilson").
        for (solved, episodes, low, high) in [
            (0, 10, 0.0, 0.277_532_799_9),
            (10, 10, 0.722_467_200_1, 1.0),
            (5, 10, 0.236_593_090_5, 0.763_406_909_5),
            (46, 90, 0.409_517_457_9, 0.611_795_083_8),
            (1, 1, 0.206_549_314_4, 1.0),
        ] {
            let (got_low, got_high) = wilson(solved, episodes).unwrap();
            assert!(
                (got_low - low).abs() < 1e-9 && (got_high - high).abs() < 1e-9,
                "{solved} of {episodes}: {got_low} to {got_high}"
            );
        }
        assert_eq!(wilson(0, 0), None);
        assert_eq!(in_words(5, 10), "24 % to 76 %");
    }
}
