//! How sure a success rate is: the Wilson score interval.

/// The 95 % Wilson score interval of a rate of which `solved` out of `episodes` were seen, as fractions of 1; none
/// without episodes. Unlike the normal approximation it stays within 0 and 1 and is right at both ends.
///
/// ```
/// let (low, high) = cua_grpo_train::interval::wilson(0, 10).unwrap();
/// assert!(low == 0.0 && (high - 0.2775).abs() < 1e-4);
/// ```
pub fn wilson(solved: usize, episodes: usize) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_963_984_540_054; // the normal distribution's 97.5 % quantile
    if episodes == 0 {
        return None;
    }
    let count = episodes as f64;
    let rate = solved as f64 / count;
    let scale = 1.0 + Z * Z / count;
    let centre = (rate + Z * Z / (2.0 * count)) / scale;
    let half = Z * (rate * (1.0 - rate) / count + Z * Z / (4.0 * count * count)).sqrt() / scale;
    // At the ends one bound is the rate itself, which rounding would miss.
    let low = if solved == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if solved == episodes {
        1.0
    } else {
        (centre + half).min(1.0)
    };
    Some((low, high))
}

/// The interval in words, e.g. `31 % to 64 %`; empty without episodes.
pub fn in_words(solved: usize, episodes: usize) -> String {
    wilson(solved, episodes).map_or_else(String::new, |(low, high)| {
        format!("{:.0} % to {:.0} %", 100.0 * low, 100.0 * high)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
