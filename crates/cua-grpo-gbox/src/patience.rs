//! Waiting for a service that does not take requests: how long it has been so, who waits, and what is told about it.

use crate::error::GboxError;
use crate::retry::RetryPolicy;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// An outage is told after this time, or when the next try is further away than this.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// And again after each of these.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// A wait is shown after this time.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// How often who waits for something else looks whether the service is gone.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A refusal that is older than this says nothing about now.
const STALE: Duration = Duration::from_secs(180);

/// What is waited for: a service may create no box (its quota is used up) while it answers all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Creates.
    Creating,
    /// Everything else.
    Asking,
}

/// Times that calls waited for the service; waits at the same time count once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outages {
    /// How many.
    pub count: u64,
    /// How long they lasted, all together.
    pub waited: Duration,
}

/// A wait that goes on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Since when a call waits.
    pub since: Duration,
    /// How long the service is waited for yet, as the call says that came last.
    pub left: Duration,
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (since, left) = (self.since.as_secs(), self.left.as_secs());
        write!(f, "waiting for the service (since {since} s, until {left} s from now)")
    }
}

/// The patience of all calls of one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that wait now.
    waiting: usize,
    /// Since when at least one does.
    since: Option<Instant>,
    /// When the call that tried last gives up.
    until: Option<Instant>,
    /// When it was told last.
    told: Option<Instant>,
    past: Outages,
    /// For how long no call of a kind was taken: creates, all else.
    refused: [Option<Refused>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Refused {
    since: Instant,
    last: Instant,
}

impl Patience {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was waited so far.
    pub fn outages(&self) -> Outages {
        let state = self.state();
        let now = state.since.map(|since| since.elapsed()).unwrap_or_default();
        Outages {
            count: state.past.count,
            waited: state.past.waited + now,
        }
    }

    /// What is waited for now, where it is more than the pause before a second try.
    pub fn now(&self) -> Option<Waits> {
        let state = self.state();
        let (since, until) = state.since.zip(state.until)?;
        let now = Instant::now();
        let waits = Waits {
            since: now - since,
            left: until.saturating_duration_since(now),
        };
        Some(waits).filter(|waits| waits.since >= SHOWN_AFTER)
    }

    /// The service has answered a request of this kind.
    pub fn answered(&self, queue: Queue) {
        let mut state = self.state();
        // A box that was created says that the service works; another answer does not say that it creates boxes.
        state.refused[Queue::Asking as usize] = None;
        if queue == Queue::Creating {
            state.refused[Queue::Creating as usize] = None;
        }
        if let (Some(since), Some(_)) = (state.since, state.told)
            && state.refused == [None, None]
        {
            state.told = None;
            tracing::warn!("the service answers again after {} s", since.elapsed().as_secs());
        }
    }

    /// Waits until the service has taken no request of any kind for `budget`, and says how long it has been.
    ///
    /// A request must have been refused during this wait: where nobody has asked since an outage, nothing says that it
    /// goes on.
    pub async fn exhausted(&self, budget: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let now = Instant::now();
            let refused = self.state().refused[Queue::Asking as usize];
            let refused = refused.filter(|refused| refused.last >= begun && now - refused.last < STALE);
            if let Some(waited) = refused.map(|refused| now - refused.since)
                && waited > budget
            {
                return waited;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The service has not taken a request of this kind, for the first time at `since`; for how long it has been so.
    pub fn refused(&self, queue: Queue, since: Instant) -> Duration {
        let now = Instant::now();
        let mut state = self.state();
        let before = state.refused[queue as usize].filter(|refused| now - refused.last < STALE);
        let since = before.map_or(since, |before| before.since.min(since));
        state.refused[queue as usize] = Some(Refused { since, last: now });
        now - since
    }

    /// A call that failed first at `began` begins to wait; it waits until this is dropped.
    pub fn wait(&self, queue: Queue, began: Instant) -> Waiting {
        let mut state = self.state();
        state.waiting += 1;
        if state.waiting == 1 {
            state.since = Some(Instant::now());
            state.past.count += 1;
        }
        drop(state);
        Waiting {
            patience: self.clone(),
            queue,
            began,
            tries: 0,
        }
    }
}

/// A call that waits for the service.
#[derive(Debug)]
pub(crate) struct Waiting {
    patience: Patience,
    queue: Queue,
    began: Instant,
    tries: u32,
}

impl Waiting {
    /// The wait before the next try after `error`.
    ///
    /// # Errors
    /// [`GboxError::GaveUp`] once this call, or the calls of its kind one after the other, have waited for as long as
    /// `policy` allows.
    pub fn next(&mut self, policy: &RetryPolicy, error: GboxError) -> Result<Duration, GboxError> {
        self.tries += 1;
        let waited = self.patience.refused(self.queue, self.began);
        let now = Instant::now();
        let mut state = self.patience.state();
        let left = policy.outage_budget.saturating_sub(waited);
        if left.is_zero() {
            let last = Box::new(error);
            return Err(GboxError::GaveUp { waited, last });
        }
        state.until = Some(now + left);
        let wait = policy.outage_wait(&error, self.tries).min(left);
        let since = state.since.map(|since| now - since).unwrap_or_default();
        let due = match state.told {
            None => since >= TOLD_AFTER || wait >= TOLD_AFTER,
            Some(told) => now - told >= TOLD_EVERY,
        };
        if due {
            state.told = Some(now);
            tracing::warn!(
                "waiting for the service since {} s: {error}; next try in {:.0} s, giving up in {:.0} s",
                since.as_secs(),
                wait.as_secs_f64(),
                left.as_secs_f64()
            );
        }
        Ok(wait)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.patience.state();
        state.waiting -= 1;
        if state.waiting == 0
            && let Some(since) = state.since.take()
        {
            state.past.waited += since.elapsed();
            state.until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_shown_while_it_lasts_with_its_end() {
        let (patience, policy) = (Patience::default(), RetryPolicy::default());
        let busy = || GboxError::Quota {
            operation: "create box".to_owned(),
            message: String::new(),
            retry_after: None,
        };
        assert_eq!(patience.now(), None);
        let mut waiting = patience.wait(Queue::Creating, Instant::now());
        waiting.next(&policy, busy()).unwrap();
        assert_eq!(patience.now(), None, "a moment is not worth a word");
        tokio::time::advance(Duration::from_secs(12)).await;
        let shown = patience.now().map(|waits| waits.to_string());
        assert_eq!(
            shown.as_deref(),
            Some("waiting for the service (since 12 s, until 588 s from now)")
        );
        waiting.next(&policy, busy()).unwrap();
        drop(waiting);
        assert_eq!(patience.now(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_from_before_a_wait_do_not_end_it() {
        let (patience, budget) = (Patience::default(), Duration::from_secs(10));
        patience.refused(Queue::Asking, Instant::now());
        tokio::time::advance(Duration::from_secs(60)).await;
        let minute = Duration::from_secs(60);
        let wait = tokio::time::timeout(minute, patience.exhausted(budget)).await;
        assert!(wait.is_err(), "nobody has asked since: {wait:?}");
        let again = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            patience.refused(Queue::Asking, Instant::now());
            std::future::pending::<()>().await
        };
        let told = tokio::select! {
            waited = patience.exhausted(budget) => waited,
            () = again => unreachable!(),
        };
        assert!(
            told > 2 * minute,
            "the outage goes on since its first refusal: {told:?}"
        );
    }
}
