//! Remembers what recently served screenshots showed, so that `/model` can find things on them.

use crate::device::Sight;
use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

/// Screenshots that are remembered; the oldest is forgotten first.
const CAPACITY: usize = 4096;

/// Things on all of them together.
const MOST_THINGS: usize = 200_000;

/// What is on a picture, and its size.
type Shown = (Arc<Sight>, (u32, u32));

#[derive(Debug, Default)]
pub(super) struct ScreenshotMemory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shown: HashMap<u64, Shown>,
    order: VecDeque<u64>,
    things: usize,
}

fn key(png: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    png.hash(&mut hasher);
    hasher.finish()
}

impl ScreenshotMemory {
    /// Notes what `png` shows.
    pub fn remember(&self, png: &[u8], size: (u32, u32), sight: impl FnOnce() -> Sight) {
        let key = key(png);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.shown.contains_key(&key) {
            return;
        }
        let sight = sight();
        inner.things += sight.things();
        inner.shown.insert(key, (Arc::new(sight), size));
        inner.order.push_back(key);
        while (inner.order.len() > CAPACITY || inner.things > MOST_THINGS) && inner.order.len() > 1 {
            let oldest = inner.order.pop_front().and_then(|oldest| inner.shown.remove(&oldest));
            inner.things -= oldest.map_or(0, |(sight, _)| sight.things());
        }
    }

    /// What was on a screenshot, if it was served recently.
    pub fn recall(&self, png: &[u8]) -> Option<Shown> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.shown.get(&key(png)).cloned()
    }
}
