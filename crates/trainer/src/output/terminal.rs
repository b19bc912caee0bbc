//! Standard error: whole lines, above the progress bar where there is one.

use indicatif::{ProgressBar, WeakProgressBar};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// The bar that is shown now. Standard error is one for the process, and so is this.
static BAR: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// Lets what is written from now on stand above `bar`, as long as the bar lives.
pub fn attach(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// Writes bytes that end in a line break, in one piece. What cannot be written is dropped: there is nobody to tell.
pub(super) fn write(bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let put = || {
        let mut stream = std::io::stderr().lock();
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    };
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar.and_then(|bar| bar.upgrade()) {
        Some(bar) => bar.suspend(put),
        None => put(),
    }
}
