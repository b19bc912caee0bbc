//! A count over time: how long it was above 0, and its integral.

use tokio::time::Instant;

/// Counts what is under way, and for how long.
#[derive(Debug)]
pub(crate) struct Gauge {
    count: usize,
    since: Instant,
    busy: f64,
    area: f64,
    /// What `busy` and `area` were when it was measured anew.
    before: [f64; 2],
}

impl Gauge {
    /// Nothing is under way.
    pub fn new(now: Instant) -> Self {
        Self {
            count: 0,
            since: now,
            busy: 0.0,
            area: 0.0,
            before: [0.0; 2],
        }
    }

    /// One more.
    pub fn up(&mut self, now: Instant) {
        self.settle(now);
        self.count += 1;
    }

    /// One less.
    pub fn down(&mut self, now: Instant) {
        self.settle(now);
        self.count = self.count.saturating_sub(1);
    }

    /// Seconds in which anything was under way, and the sum of the seconds of each, until `now`.
    pub fn read(&mut self, now: Instant) -> [f64; 2] {
        let [busy, area] = self.total(now);
        [busy - self.before[0], area - self.before[1]]
    }

    /// The same since the gauge was made, whenever it was measured anew.
    pub fn total(&mut self, now: Instant) -> [f64; 2] {
        self.settle(now);
        [self.busy, self.area]
    }

    /// Begins to measure anew; what is under way goes on.
    pub fn reset(&mut self, now: Instant) {
        self.before = self.total(now);
    }

    fn settle(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = now;
        if self.count > 0 {
            self.busy += seconds;
            self.area += self.count as f64 * seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_gauge_tells_how_long_and_how_much() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut gauge = Gauge::new(start);
        gauge.up(at(1));
        gauge.up(at(3));
        gauge.down(at(4));
        gauge.down(at(8));
        assert_eq!(gauge.read(at(10)), [7.0, 2.0 + 2.0 + 4.0]);
        gauge.up(at(12));
        gauge.reset(at(13));
        assert_eq!(gauge.read(at(15)), [2.0, 2.0], "what is under way goes on");
        assert_eq!(gauge.total(at(16)), [7.0 + 4.0, 8.0 + 4.0], "all of it");
    }
}
