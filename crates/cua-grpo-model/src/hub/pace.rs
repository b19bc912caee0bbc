//! How fast content has to come: a server that drips would hold a download for ever.

use std::time::{Duration, Instant};

/// Fewest bytes a second, over each stretch.
const LEAST: u64 = 1 << 10;

/// Measures a download in stretches of equal length.
pub(super) struct Pace {
    stretch: Duration,
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// One whose first stretch begins now.
    pub(super) fn new(stretch: Duration) -> Self {
        Self {
            stretch,
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// So many more bytes are here.
    ///
    /// # Errors
    /// Says that a stretch is over in which fewer came than have to.
    pub(super) fn advance(&mut self, bytes: u64) -> Result<(), String> {
        self.bytes += bytes;
        let passed = self.since.elapsed();
        if passed < self.stretch {
            return Ok(());
        }
        if (self.bytes as f64) < LEAST as f64 * passed.as_secs_f64() {
            return Err(format!("{} bytes came in {} s", self.bytes, passed.as_secs()));
        }
        *self = Self::new(self.stretch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_with_too_few_bytes_is_an_error() {
        let mut pace = Pace::new(Duration::from_millis(50));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(160) {
            pace.advance(1_000_000).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut slow = Pace::new(Duration::from_millis(50));
        slow.advance(1).unwrap();
        std::thread::sleep(Duration::from_millis(60));
        let told = slow.advance(1).unwrap_err();
        assert!(told.starts_with("2 bytes came in "), "{told}");
    }
}
