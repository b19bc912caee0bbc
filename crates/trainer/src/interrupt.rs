//! Signals that end a command: the first asks what runs to end in order, the second ends the process.
//!
//! Ctrl-C, `kill`, a closed terminal and Ctrl-\ mean the same. While nothing is held yet (no box, no unsaved step) the
//! first signal ends the process too. A hangup that was ignored from the start (`nohup`) stays ignored.

use crate::output;
use cua_grpo_rollout::CancellationToken;
use cua_grpo_train::TrainError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Exit code of what was interrupted, as shells have it for Ctrl-C.
pub const INTERRUPTED: u8 = 130;
/// A terminal that closes may send its hangup more than once: within this time it is one request.
const ONE_HANGUP: Duration = Duration::from_secs(1);

/// What the user is told.
#[derive(Debug, Clone, Copy)]
pub struct Notice {
    /// What happens after the first signal.
    first: &'static str,
    /// What happens after the second.
    second: &'static str,
}

impl Notice {
    /// A training run saves before it ends.
    pub const TRAINING: Self = Self {
        first: "finishing what is under way, then saving",
        second: "ending at once; what was saved before stands",
    };
    /// An evaluation has nothing to save.
    pub const EVALUATION: Self = Self {
        first: "ending the episodes and their boxes",
        second: "ending at once",
    };
    /// A server has nothing to save.
    pub const SERVING: Self = Self {
        first: "ending the boxes",
        second: "ending at once",
    };
}

/// Listens for signals from its making on, as long as the process lives.
pub struct Interrupt {
    token: CancellationToken,
    held: Arc<AtomicBool>,
    left: Arc<OnceLock<String>>,
}

impl Interrupt {
    /// Starts to listen; needs a running tokio runtime. Until [`Interrupt::hold`] is called, a signal ends the process.
    pub fn listen(notice: Notice) -> Self {
        let token = CancellationToken::new();
        let held = Arc::new(AtomicBool::new(false));
        let interrupt = Self {
            token: token.clone(),
            held: held.clone(),
            left: Arc::default(),
        };
        let left = interrupt.left.clone();
        let mut signals = match signals::listen() {
            Ok(signals) => signals,
            Err(error) => {
                output::warn(format!(
                    "cannot listen for signals: {error}; Ctrl-C ends without saving"
                ));
                return interrupt;
            }
        };
        tokio::spawn(async move {
            let mut last: Option<Instant> = None;
            while let Some(signal) = signals.next().await {
                let echo = signal == "SIGHUP" && last.is_some_and(|last| last.elapsed() < ONE_HANGUP);
                if echo {
                    continue;
                }
                last = Some(Instant::now());
                if !held.load(Ordering::SeqCst) {
                    output::say(format!("interrupted ({signal}) before anything was begun"));
                    signals::exit(INTERRUPTED);
                }
                if token.is_cancelled() {
                    output::say(format!("interrupted again ({signal}): {}", notice.second));
                    if let Some(left) = left.get() {
                        output::say(format!("boxes may be left: {left}"));
                    }
                    signals::exit(INTERRUPTED);
                }
                output::say(format!(
                    "interrupted ({signal}): {} (once more, and it ends at once)",
                    notice.first
                ));
                token.cancel();
            }
        });
        interrupt
    }

    /// From now on there is something to end in order: boxes, or work to save.
    pub fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// What is said of boxes when the process is ended at once.
    pub fn leaves(&self, text: String) {
        // There is one pool of boxes in a process.
        let _ = self.left.set(text);
    }

    /// A token that is cancelled when the end is asked for.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Whether the end was asked for.
    pub fn asked(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the end is asked for.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// The outcome of `work`, which holds nothing that its drop does not end.
    ///
    /// # Errors
    /// [`TrainError::Interrupted`] when the end was asked for first.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, TrainError> {
        tokio::select! {
            biased;
            () = self.wait() => Err(TrainError::Interrupted),
            done = work => Ok(done),
        }
    }
}

pub use signals::survive_file_limit;

#[cfg(unix)]
mod signals {
    //! The signals of Unix.

    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub struct Signals {
        interrupt: Signal,
        terminate: Signal,
        quit: Signal,
        hangup: Option<Signal>,
    }

    pub fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: (!ignores_hangup()).then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    impl Signals {
        /// The name of the next signal.
        pub async fn next(&mut self) -> Option<&'static str> {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                one = self.interrupt.recv() => one.map(|()| "SIGINT"),
                one = self.terminate.recv() => one.map(|()| "SIGTERM"),
                one = self.quit.recv() => one.map(|()| "SIGQUIT"),
                one = hangup => one.map(|()| "SIGHUP"),
            }
        }
    }

    /// Whether whoever started us wants hangups to be ignored.
    fn ignores_hangup() -> bool {
        // SAFETY: a zeroed `sigaction` is a valid value of the C struct, and with no new action the call only fills it in.
        #[allow(unsafe_code)]
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
        }
    }

    /// Lets a write beyond the limit of a file's size (`ulimit -f`) fail like one on a full disk, instead of ending the
    /// process.
    pub fn survive_file_limit() {
        // SAFETY: sets the disposition of one signal to "ignored"; no handler runs.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        }
    }

    /// Ends the process without waiting for any thread.
    pub fn exit(code: u8) -> ! {
        // SAFETY: `_exit` has no preconditions; it skips exit handlers, which may wait for work on a card.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(code.into())
        }
    }
}

#[cfg(not(unix))]
mod signals {
    //! Ctrl-C, which is what there is elsewhere.

    pub struct Signals;

    pub fn listen() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    impl Signals {
        /// The name of the next signal.
        pub async fn next(&mut self) -> Option<&'static str> {
            tokio::signal::ctrl_c().await.ok().map(|()| "Ctrl-C")
        }
    }

    /// There is no such limit.
    pub fn survive_file_limit() {}

    /// Ends the process.
    pub fn exit(code: u8) -> ! {
        std::process::exit(code.into())
    }
}
