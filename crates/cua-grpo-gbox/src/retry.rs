//! The one place that decides which failures are worth another try.
//!
//! | failure | reading call | acting call | create |
//! |---|---|---|---|
//! | no connection | waited for | waited for | waited for |
//! | 429, 502, 503, 504 | waited for | never | waited for |
//! | timeout, broken connection, 408, 409, 500 | a few times | never | a few times |
//! | a box that does not come up, one that is not ours or given twice, a malformed answer | never | never | a few times |
//! | 400, 401, 403, 404, 422 and the rest | never | never | never |
//!
//! Only what was never sent has surely not been done ([`GboxError::is_ambiguous`]), so a click is sent again in the
//! first row alone; whoever clicked looks at the screen instead. A create is sent again by the pool, which first finds
//! and ends by its label what the one before may have left.

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

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Hand it on.
    None,
    /// Try again, as often as [`RetryPolicy::max_retries`] allows.
    Again,
    /// Wait until the service takes requests, for as long as [`RetryPolicy::outage_budget`] allows.
    Wait,
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
    /// How long a service is waited for that does not take requests. Default 10 minutes.
    pub outage_budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(8),
            outage_budget: Duration::from_secs(600),
        }
    }
}

/// Longest `retry-after` that is followed.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

impl RetryPolicy {
    /// The wait before try `retry` (1 is the first one after the failure) of a call that is tried a few times, or `None`
    /// to give up.
    pub fn wait(&self, error: &GboxError, retry: u32) -> Option<Duration> {
        (retry <= self.max_retries).then(|| self.outage_wait(error, retry))
    }

    /// The wait before try `retry` of a call that waits for the service: what the service asks for, or one that doubles.
    /// Both with jitter, so that many boxes do not come back at once; never earlier than asked for.
    pub fn outage_wait(&self, error: &GboxError, retry: u32) -> Duration {
        let jitter = |from: f64, to: f64| rand::rng().random_range(from..=to);
        match error.retry_after() {
            Some(asked) if !asked.is_zero() => asked.min(LONGEST_ASKED).mul_f64(jitter(1.0, 1.25)),
            _ => {
                let doubled = self.base_delay.saturating_mul(1 << retry.saturating_sub(1).min(16));
                doubled.min(self.max_delay).mul_f64(jitter(0.75, 1.0))
            }
        }
    }
}

/// Whether another try of a call is both safe and likely to help.
pub fn remedy(safety: Safety, error: &GboxError) -> Remedy {
    let away = matches!(error, GboxError::Unreachable { .. });
    let busy = matches!(error.status(), Some(429 | 502 | 503 | 504));
    let lost = matches!(error, GboxError::TimedOut { .. } | GboxError::Broken { .. })
        || matches!(error.status(), Some(408 | 409 | 500));
    let failed = matches!(
        error,
        GboxError::NotRunning { .. } | GboxError::Foreign { .. } | GboxError::Twice { .. } | GboxError::Answer { .. }
    );
    match (error, safety) {
        (GboxError::GaveUp { .. }, _) => Remedy::None,
        _ if away => Remedy::Wait,
        (_, Safety::Acting) => Remedy::None,
        _ if busy => Remedy::Wait,
        _ if lost => Remedy::Again,
        (_, Safety::Creating) if failed => Remedy::Again,
        _ => Remedy::None,
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
        let box_id = || "b".to_owned();
        use Remedy::{Again, None, Wait};
        let mut table = vec![
            (GboxError::Foreign { box_id: box_id() }, None, None, Again),
            (GboxError::Twice { box_id: box_id() }, None, None, Again),
            (GboxError::StillThere { box_id: box_id() }, None, None, None),
            (unreachable, Wait, Wait, Wait),
            (timed_out, Again, None, Again),
            (broken, Again, None, Again),
            (answer, None, None, Again),
        ];
        for (code, reading) in [
            (302, None),
            (400, None),
            (401, None),
            (402, None),
            (403, None),
            (404, None),
            (408, Again),
            (409, Again),
            (422, None),
            (423, None),
            (429, Wait),
            (500, Again),
            (502, Wait),
            (503, Wait),
            (504, Wait),
        ] {
            table.push((status(code), reading, None, reading));
        }
        for (error, reading, acting, creating) in table {
            assert_eq!(remedy(Safety::Reading, &error), reading, "reading: {error}");
            assert_eq!(remedy(Safety::Acting, &error), acting, "acting: {error}");
            assert_eq!(remedy(Safety::Creating, &error), creating, "creating: {error}");
            // What may have been done is never done again.
            assert!(acting == None || !error.is_ambiguous(), "{error}");
        }
    }

    #[test]
    fn waits_double_up_to_the_limit_and_follow_the_service() {
        let policy = RetryPolicy::default();
        for (retry, full) in [(1, 0.5), (2, 1.0), (3, 2.0)] {
            let wait = policy.wait(&status(500), retry).unwrap().as_secs_f64();
            assert!((0.75 * full..=full).contains(&wait), "try {retry}: {wait}");
        }
        assert_eq!(policy.wait(&status(500), 4), None);
        assert!(policy.outage_wait(&status(503), 90) <= policy.max_delay);

        let asked = |seconds| GboxError::Quota {
            operation: String::new(),
            message: String::new(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        for (seconds, least) in [(20, 20.0), (600, 60.0)] {
            let wait = policy.outage_wait(&asked(seconds), 1).as_secs_f64();
            assert!((least..=1.25 * least).contains(&wait), "asked {seconds}: {wait}");
        }
        assert!(policy.outage_wait(&asked(0), 1) <= policy.base_delay);
    }
}
