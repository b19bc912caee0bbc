//! Remembers what recently served screenshots showed, so that `/model` can find things on them.

use crate::{phone::Phone, widget::UiNode};
use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

/// Screenshots that are remembered; the oldest is forgotten first.
const CAPACITY: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct ScreenshotMemory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    nodes: HashMap<u64, Arc<Vec<UiNode>>>,
    order: VecDeque<u64>,
}

fn key(png: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    png.hash(&mut hasher);
    hasher.finish()
}

impl ScreenshotMemory {
    /// Notes that `png` shows `phone` as it is now.
    pub fn remember(&self, png: &[u8], phone: &Phone) {
        let key = key(png);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.nodes.contains_key(&key) {
            return;
        }
        inner.nodes.insert(key, Arc::new(phone.nodes()));
        inner.order.push_back(key);
        if inner.order.len() > CAPACITY
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.nodes.remove(&oldest);
        }
    }

    /// What was on a screenshot, if it was served recently.
    pub fn recall(&self, png: &[u8]) -> Option<Arc<Vec<UiNode>>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.nodes.get(&key(png)).cloned()
    }
}
