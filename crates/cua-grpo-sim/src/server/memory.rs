//! Remembers what recently served screenshots showed, so that `/model` can find things on them.

use crate::widget::UiNode;
use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

/// Screenshots that are remembered; the oldest is forgotten first.
const CAPACITY: usize = 4096;

/// What is on a picture, and its size.
type Shown = (Arc<Vec<UiNode>>, (u32, u32));

#[derive(Debug, Default)]
pub(super) struct ScreenshotMemory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shown: HashMap<u64, Shown>,
    order: VecDeque<u64>,
}

fn key(png: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    png.hash(&mut hasher);
    hasher.finish()
}

impl ScreenshotMemory {
    /// Notes what `png` shows.
    pub fn remember(&self, png: &[u8], size: (u32, u32), nodes: impl FnOnce() -> Vec<UiNode>) {
        let key = key(png);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.shown.contains_key(&key) {
            return;
        }
        inner.shown.insert(key, (Arc::new(nodes()), size));
        inner.order.push_back(key);
        if inner.order.len() > CAPACITY
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.shown.remove(&oldest);
        }
    }

    /// What was on a screenshot, if it was served recently.
    pub fn recall(&self, png: &[u8]) -> Option<Shown> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.shown.get(&key(png)).cloned()
    }
}
