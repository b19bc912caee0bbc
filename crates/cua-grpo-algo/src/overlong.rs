//! Replies that are cut off: a soft penalty before the limit (DAPO, "soft overlong punishment"; verl `overlong_buffer`).
//!
//! With `n` tokens of a reply, `L` the limit and `b` the length of the buffer before it:
//! `penalty = factor * min(0, (L - b - n) / b)`, so it is 0 up to `L - b` tokens and `-factor` at the limit.
//!
//! Departure from DAPO, where a row is one reply: of an episode the longest reply counts.

/// The penalty of a reply of `tokens` tokens; 0 without a buffer.
pub fn overlong_penalty(tokens: usize, limit: usize, buffer: usize, factor: f64) -> f64 {
    if buffer == 0 {
        return 0.0;
    }
    let room = limit as f64 - buffer as f64 - tokens as f64;
    factor * (room / buffer as f64).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_penalty_rises_along_the_buffer() {
        for (tokens, expected) in [(0, 0.0), (60, 0.0), (70, -0.5), (80, -1.0)] {
            assert_eq!(overlong_penalty(tokens, 80, 20, 2.0), 2.0 * expected, "{tokens}");
        }
        assert_eq!(overlong_penalty(80, 80, 0, 2.0), 0.0);
    }
}
