//! Limits of a template, which comes with a model: so many instructions, so much text, such depth, so long.
//!
//! Work runs on a thread of its own with a deep stack, and is given up after a time. Whatever makes a text or a list pays for
//! its bytes before it is made; the filter [`HELD`] and the function [`RAW`] stand where the engine would make some by itself.

use minijinja::{Environment, Error, ErrorKind, Value};
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::{Once, mpsc};
use std::time::Duration;

/// Pays for a long text in quotes.
pub(super) const HELD: &str = "_held";

/// Pays for a long stretch of the template's own text.
pub(super) const RAW: &str = "_raw";

/// Instructions of one rendering: a conversation of a thousand messages takes some hundred thousand.
const FUEL: u64 = 1_000_000;

/// Bytes of all texts and lists that one rendering makes.
const BUDGET: usize = 256 << 20;

/// Most bytes of one text: several times what the longest context holds.
pub(super) const MOST_TEXT: usize = 16 << 20;

/// Bytes that an item of a list is counted as.
const ITEM: usize = 32;

/// Bytes that a value is counted as when it is gone over: what is shared in it is gone over again each time.
pub(super) const VISIT: usize = 256;

/// Most levels of lists and dictionaries that are written.
const MOST_DEPTH: usize = 200;

/// Stack of the thread: values may be nested as deeply as there are instructions.
const STACK: usize = 512 << 20;

/// How long a template may take, on a machine that is busy.
const TIME: Duration = Duration::from_secs(10);

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Set where a limit was met by what cannot say so.
    static BROKEN: Cell<bool> = const { Cell::new(false) };
}

/// Why work was given up.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It took too long.
    Late,
    /// It met a limit of text or depth.
    Spent,
    /// It panicked.
    Panicked,
    /// There is no thread for it.
    NoThread(std::io::Error),
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late => write!(f, "it takes longer than {} seconds", TIME.as_secs()),
            Self::Spent => f.write_str(&spent()),
            Self::Panicked => f.write_str(
                "the template engine does not survive it, which is a fault of the engine; the template must be written otherwise",
            ),
            Self::NoThread(error) => write!(f, "no thread can be started for it: {error}"),
        }
    }
}

fn spent() -> String {
    format!(
        "it makes more than {} MiB of texts and lists (an item of a list is counted as {ITEM} bytes), or nests more than \
         {MOST_DEPTH} levels",
        BUDGET >> 20
    )
}

/// What a template's thread is called.
const THREAD: &str = "template";

/// Keeps panics of templates' threads from being written: they are one error, see [`Stopped::Panicked`].
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(THREAD) {
                others(panic);
            }
        }));
    });
}

/// Runs `work` within the limits.
///
/// # Errors
/// [`Stopped`]; work that takes too long goes on by itself until the process ends.
pub(super) fn bounded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
    let (send, receive) = mpsc::channel();
    quiet();
    let run = move || {
        LEFT.set(BUDGET);
        let done = std::panic::catch_unwind(AssertUnwindSafe(work));
        // Whoever waited may be gone.
        let _ = send.send((done, BROKEN.get()));
    };
    let thread = std::thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK);
    thread.spawn(run).map_err(Stopped::NoThread)?;
    match receive.recv_timeout(TIME) {
        Ok((Ok(_), true)) => Err(Stopped::Spent),
        Ok((Ok(done), false)) => Ok(done),
        Ok((Err(_), _)) | Err(mpsc::RecvTimeoutError::Disconnected) => Err(Stopped::Panicked),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Stopped::Late),
    }
}

/// Pays for `bytes`.
///
/// # Errors
/// When not so many are left, or a limit was met before.
pub(super) fn spend(bytes: usize) -> Result<(), Error> {
    let left = LEFT.get().checked_sub(bytes).filter(|_| !BROKEN.get());
    match left {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => {
            BROKEN.set(true);
            Err(wrong(spent()))
        }
    }
}

/// Pays for `count` items of a list.
///
/// # Errors
/// As [`spend`].
pub(super) fn spend_items(count: usize) -> Result<(), Error> {
    spend(count.saturating_mul(ITEM))
}

/// As [`spend`], for what returns no error: the whole work fails at its end.
pub(super) fn try_spend(bytes: usize) -> bool {
    spend(bytes).is_ok()
}

/// A level of a value that is being written.
pub(super) struct Level(());

impl Level {
    /// One level down; none where that is too deep, and the whole work fails then.
    pub(super) fn down() -> Option<Self> {
        let depth = DEPTH.get();
        if depth >= MOST_DEPTH || BROKEN.get() {
            BROKEN.set(true);
            return None;
        }
        DEPTH.set(depth + 1);
        Some(Self(()))
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

/// A text that is paid for.
///
/// # Errors
/// When it is longer than a text may be, and as [`spend`].
pub(super) fn text(text: String) -> Result<String, Error> {
    spend(text.len())?;
    length(text.len())?;
    Ok(text)
}

/// That a text may be so long.
///
/// # Errors
/// When it may not.
pub(super) fn length(bytes: usize) -> Result<(), Error> {
    if bytes > MOST_TEXT {
        return Err(wrong(format!("a text of {bytes} bytes; expected at most {MOST_TEXT}")));
    }
    Ok(())
}

/// A list that is paid for.
///
/// # Errors
/// As [`spend`].
pub(super) fn items(value: &Value) -> Result<(), Error> {
    spend_items(value.len().unwrap_or(0))
}

/// Adds the filters and the function to an environment, and bounds its instructions.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.set_fuel(Some(FUEL));
    environment.add_filter(HELD, |value: Value| {
        spend(value.as_str().map_or(0, str::len)).map(|()| value)
    });
    environment.add_function(RAW, |bytes: usize| spend(bytes).map(|()| ""));
    // Jinja has none of these.
    for name in ["split", "lines", "zip", "chain"] {
        environment.remove_filter(name);
    }
}

pub(super) fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
