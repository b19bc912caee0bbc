//! How many boxes the service gives at once, as far as its refusals tell.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So long a refusal is taken for what the service would say now; then it is asked again.
const FRESH: Duration = Duration::from_secs(30);

/// What is known of the quota of the service, where it is below that of the pool.
#[derive(Debug, Default)]
pub(super) struct Room {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many boxes there were when the service refused one more, and when that was.
    known: Option<(usize, Instant)>,
    /// The least that was told.
    told: Option<usize>,
}

impl Room {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many boxes the service gives, where `held` are as many.
    pub fn full(&self, held: usize) -> Option<usize> {
        let known = self.state().known.filter(|(_, when)| when.elapsed() < FRESH);
        known.map(|(places, _)| places).filter(|places| held >= *places)
    }

    /// The service has refused a box beside `places` others. Whether that is to be told: once, and again where there are
    /// fewer than ever.
    pub fn learn(&self, places: usize) -> bool {
        let mut state = self.state();
        state.known = Some((places, Instant::now()));
        let fewer = state.told.is_none_or(|told| places < told);
        if fewer {
            state.told = Some(places);
        }
        fewer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_refusal_tells_is_forgotten_after_a_while_and_told_once() {
        let room = Room::default();
        assert_eq!(room.full(100), None);
        assert!(room.learn(3));
        assert_eq!([2, 3, 4].map(|held| room.full(held)), [None, Some(3), Some(3)]);
        assert!(!room.learn(4) && !room.learn(3) && room.learn(2));
        tokio::time::advance(FRESH).await;
        assert_eq!(room.full(100), None);
        assert!(!room.learn(2));
        assert_eq!(room.full(2), Some(2));
    }
}
