//! Shortest-path shaping (MobileRL, AdaGRPO): a success that took longer than the group's shortest is paid less.
//!
//! Of a group, with `T_i` the turns of a success and `T_min` those of its shortest: `r_i <- r_i (1 - alpha (T_i - T_min) /
//! T_i)`. What did not succeed is left as it is, and so is everything at `alpha` 0.

/// Shapes the rewards of one group in place; each comes with whether it succeeded, and its turns.
pub fn shortest_path(rewards: &mut [f64], successes: &[(bool, usize)], alpha: f64) {
    let shortest = successes.iter().filter(|(won, _)| *won).map(|(_, turns)| *turns).min();
    let Some(shortest) = shortest else { return };
    for (reward, &(won, turns)) in rewards.iter_mut().zip(successes) {
        if won && turns > 0 {
            *reward *= 1.0 - alpha * (turns - shortest) as f64 / turns as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_successes_are_paid_less() {
        let episodes = [(true, 2), (true, 8), (false, 1), (true, 2)];
        let mut rewards = [1.0, 1.0, 0.1, 1.0];
        shortest_path(&mut rewards, &episodes, 0.5);
        assert_eq!(rewards, [1.0, 1.0 - 0.5 * 6.0 / 8.0, 0.1, 1.0]);
        let mut failed = [0.0, 0.1];
        shortest_path(&mut failed, &[(false, 3), (false, 9)], 1.0);
        assert_eq!(failed, [0.0, 0.1]);
    }
}
