//! The one place that decides which failures are worth another try.
//!
//! | failure | reading call | acting call | create |
//! |---|---|---|---|
//! | no connection | again | again | never |
//! | 429, 503 | again | again | never |
//! | timeout, broken connection, 408, 409, 500, 502, 504 | again | never | never |
//! | 400, 401, 403, 404, 422 and the rest, malformed answer | never | never | never |
//!
//! A click that may have happened is never clicked again, and a box that may have been created is never created
//! again: the pool finds and terminates it by its label instead.

use crate::error::GboxError;
use rand::Rng;
use std::time::Duration;

/// What a call does to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Safety {
    /// It changes nothing, or the same when repeated: every GET, screenshots, grounding, terminate.
    Reading,
    /// It changes the device: a click, a shell command.
    Acting,
    /// It makes a box that costs quota.
    Creating,
}

/// How often and how fast to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Tries after the first one. Default 3.
    pub max_retries: u32,
    /// Wait before the first further try; it doubles each time. Default 0.5 s.
    pub base_delay: Duration,
    /// Longest wait that is chosen here; a `retry-after` of the service up to a minute is followed. Default 8 s.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(8),
        }
    }
}

/// Longest `retry-after` that is followed.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

impl RetryPolicy {
    /// The wait before try `retry` (1 is the first one after the failure), or `None` to give up.
    pub fn wait(&self, safety: Safety, error: &GboxError, retry: u32) -> Option<Duration> {
        if retry > self.max_retries || !is_transient(safety, error) {
            return None;
        }
        match error.retry_after() {
            Some(asked) if !asked.is_zero() && asked <= LONGEST_ASKED => Some(asked),
            _ => {
                let full = self
                    .base_delay
                    .saturating_mul(1 << (retry - 1).min(16))
                    .min(self.max_delay);
                // Jitter, so that many boxes do not come back at once.
                Some(full.mul_f64(rand::rng().random_range(0.75..=1.0)))
            }
        }
    }
}

/// Is another try both safe and likely to help?
pub fn is_transient(safety: Safety, error: &GboxError) -> bool {
    let not_begun = matches!(error, GboxError::Unreachable { .. }) || matches!(error.status(), Some(429 | 503));
    match safety {
        Safety::Creating => false,
        Safety::Acting => not_begun,
        Safety::Reading => {
            not_begun
                || matches!(error, GboxError::TimedOut { .. } | GboxError::Broken { .. })
                || matches!(error.status(), Some(408 | 409 | 500 | 502 | 504))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> GboxError {
        let (operation, message) = ("click".to_owned(), String::new());
        match status {
            401 | 403 => GboxError::Unauthorized {
                operation,
                status,
                message,
            },
            429 => GboxError::Quota {
                operation,
                message,
                retry_after: None,
            },
            _ => GboxError::Status {
                operation,
                status,
                message,
                retry_after: None,
            },
        }
    }

    #[test]
    fn table_of_transience() {
        let operation = || "click".to_owned();
        let unreachable = GboxError::Unreachable {
            operation: operation(),
            base_url: String::new(),
            message: String::new(),
        };
        let timed_out = GboxError::TimedOut {
            operation: operation(),
            limit: Duration::ZERO,
        };
        let broken = GboxError::Broken {
            operation: operation(),
            message: String::new(),
        };
        let answer = GboxError::Answer {
            operation: operation(),
            expected: "",
            got: String::new(),
        };
        let mut table = vec![
            (unreachable, true, true),
            (timed_out, true, false),
            (broken, true, false),
            (answer, false, false),
        ];
        for (code, reading, acting) in [
            (400, false, false),
            (401, false, false),
            (402, false, false),
            (403, false, false),
            (404, false, false),
            (408, true, false),
            (409, true, false),
            (422, false, false),
            (423, false, false),
            (429, true, true),
            (500, true, false),
            (502, true, false),
            (503, true, true),
            (504, true, false),
        ] {
            table.push((status(code), reading, acting));
        }
        for (error, reading, acting) in table {
            assert_eq!(is_transient(Safety::Reading, &error), reading, "reading: {error}");
            assert_eq!(is_transient(Safety::Acting, &error), acting, "acting: {error}");
            assert!(!is_transient(Safety::Creating, &error), "creating: {error}");
        }
    }

    #[test]
    fn waits_double_up_to_the_limit_and_follow_the_service() {
        let policy = RetryPolicy::default();
        for (retry, full) in [(1, 0.5), (2, 1.0), (3, 2.0)] {
            let wait = policy.wait(Safety::Reading, &status(500), retry).unwrap().as_secs_f64();
            assert!((0.75 * full..=full).contains(&wait), "try {retry}: {wait}");
        }
        assert_eq!(policy.wait(Safety::Reading, &status(500), 4), None);
        let far = RetryPolicy {
            max_retries: 100,
            ..policy
        };
        assert!(far.wait(Safety::Reading, &status(500), 90).unwrap() <= policy.max_delay);

        let asked = |seconds| GboxError::Quota {
            operation: String::new(),
            message: String::new(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(
            policy.wait(Safety::Acting, &asked(20), 1),
            Some(Duration::from_secs(20))
        );
        assert!(policy.wait(Safety::Acting, &asked(600), 1).unwrap() <= policy.base_delay);
    }
}
