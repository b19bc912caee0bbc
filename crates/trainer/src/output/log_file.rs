//! `log.txt` of a run folder: what was said, and the warnings of all crates, with the time of each.
//!
//! Lines from before the folder is known wait in memory. A file that cannot be written costs lines, not the run: that
//! is told at the first line that is lost, then after ten, a hundred, ...

use cua_grpo_train::files::open_end;
use cua_grpo_train::layout::LOG;
use cua_grpo_train::tolerate::Tolerated;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Lets the log go to `log.txt` in `folder`, behind what is there already. What to tell the user comes back: on the
/// terminal alone, for the file cannot be written.
pub(super) fn open(folder: &Path) -> Option<String> {
    let outcome = open_end(&folder.join(LOG)).and_then(|file| {
        let mut sink = sink();
        sink.file = Some(file);
        let waiting = std::mem::take(&mut sink.waiting);
        sink.put(&waiting)
    });
    told(outcome)
}

/// Appends bytes that end in a line break. What to tell the user comes back, as from [`open`].
pub(super) fn write(bytes: &[u8]) -> Option<String> {
    let outcome = sink().put(bytes);
    told(outcome)
}

fn told(outcome: std::io::Result<()>) -> Option<String> {
    let what = "a line of log.txt could not be written; the run goes on";
    outcome.err().and_then(|error| LOST.note(what, &error))
}
