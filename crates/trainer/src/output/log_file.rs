//! `log.txt` of a run folder: what was said, and the warnings of all crates, with the time of each.
//!
//! Lines from before the folder is known wait in memory. A file that cannot be written costs lines, not the run: that
//! is told at the first line that is lost, then after ten, a hundred, ...

use crate::tolerate::Tolerated;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Name of the file in a run folder.
pub const LOG: &str = "log.txt";
/// Bytes that are kept while there is no file.
const WAITING: usize = 1 << 16;

static SINK: Mutex<Sink> = Mutex::new(Sink {
    file: None,
    waiting: Vec::new(),
});
static LOST: Tolerated = Tolerated::new();

struct Sink {
    file: Option<File>,
    waiting: Vec<u8>,
}

impl Sink {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => {
                if self.waiting.len() + bytes.len() <= WAITING {
                    self.waiting.extend_from_slice(bytes);
                }
                Ok(())
            }
        }
    }
}

fn sink() -> MutexGuard<'static, Sink> {
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the log go to `log.txt` in `folder`, behind what is there already.
pub fn open(folder: &Path) {
    let path = folder.join(LOG);
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    let outcome = opened.and_then(|file| {
        let mut sink = sink();
        sink.file = Some(file);
        let waiting = std::mem::take(&mut sink.waiting);
        sink.put(&waiting)
    });
    tell(outcome);
}

/// Appends bytes that end in a line break.
pub(super) fn write(bytes: &[u8]) {
    let outcome = sink().put(bytes);
    tell(outcome);
}

/// To the terminal alone: the file cannot be written.
fn tell(outcome: std::io::Result<()>) {
    let what = "a line of log.txt could not be written; the run goes on";
    if let Some(text) = outcome.err().and_then(|error| LOST.note(what, &error)) {
        super::stream::warn_on_terminal(&text);
    }
}
