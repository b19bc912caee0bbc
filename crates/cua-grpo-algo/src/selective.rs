//! Which tokens of a step enter the surrogate, when not all do: M2PO and the high-entropy mask.
//!
//! - M2PO (Zheng et al., "Second-Moment Trust Policy Optimization"; AReaL): with `z = (s - o)^2` over the tokens of the
//!   step, the largest are left out until the mean of the rest is below a threshold; one is always kept.
//! - High entropy (Wang et al., "Beyond the 80/20 rule"; TRL `top_entropy_quantile` = `p`): tokens are kept whose entropy
//!   reaches the linear quantile `1 - p` of all entropies of the step.
//!
//! Departure from TRL, where the quantile is that of one micro-batch: here it is that of the step, before its first update.

/// Which of `squares` M2PO keeps.
pub fn m2po_keep(squares: &[f64], threshold: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..squares.len()).collect();
    order.sort_by(|&a, &b| squares[a].total_cmp(&squares[b]));
    let (mut sum, mut kept) = (0.0, 0);
    for (index, &place) in order.iter().enumerate() {
        sum += squares[place];
        if sum / ((index + 1) as f64) < threshold {
            kept = index + 1;
        }
    }
    let mut keep = vec![false; squares.len()];
    for &place in order.iter().take(kept.max(1)) {
        keep[place] = true;
    }
    keep
}

/// Which of `entropies` the high-entropy mask keeps: the share `top` of the largest, at least one.
pub fn high_entropy_keep(entropies: &[f64], top: f64) -> Vec<bool> {
    match quantile(entropies, 1.0 - top) {
        None => Vec::new(),
        Some(threshold) => entropies.iter().map(|&entropy| entropy >= threshold).collect(),
    }
}

/// The linear quantile, as `torch.quantile` has it; none of nothing.
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_squares_go_until_the_mean_is_small() {
        assert_eq!(m2po_keep(&[0.1, 4.0, 0.3], 1.0), [true, false, true]);
        assert_eq!(m2po_keep(&[0.1, 4.0, 0.3], 2.0), [true, true, true]);
        assert_eq!(m2po_keep(&[3.0, 2.0], 0.5), [false, true], "one is always kept");
        assert!(m2po_keep(&[], 0.5).is_empty());
    }

    #[test]
    fn a_share_of_the_entropies_is_kept() {
        assert_eq!(
            high_entropy_keep(&[0.0, 1.0, 2.0, 3.0], 0.5),
            [false, false, true, true]
        );
        assert_eq!(
            high_entropy_keep(&[1.0, 1.0], 0.1),
            [true, true],
            "equal ones stay together"
        );
        assert_eq!(high_entropy_keep(&[3.0, 5.0], 1.0), [true, true]);
        assert!(high_entropy_keep(&[], 0.5).is_empty());
    }
}
