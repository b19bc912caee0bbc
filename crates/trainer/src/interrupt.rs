//! Ctrl-C: the first asks what runs to end in order, the second ends the process.

use cua_grpo_rollout::CancelToken;
use tokio::sync::watch;

/// What the user is told.
#[derive(Debug, Clone, Copy)]
pub struct Notice {
    /// After the first Ctrl-C.
    first: &'static str,
    /// After the second.
    second: &'static str,
}

impl Notice {
    /// A training run saves before it ends.
    pub const TRAINING: Self = Self {
        first: "interrupted: finishing what is under way, then saving (Ctrl-C again ends at once)",
        second: "interrupted again: ending at once, the last checkpoint stands",
    };
    /// A server has nothing to save.
    pub const SERVING: Self = Self {
        first: "interrupted: ending the boxes (Ctrl-C again ends at once)",
        second: "interrupted again: ending at once",
    };
}

/// Listens for Ctrl-C from its making on.
pub struct Interrupt {
    token: CancelToken,
}

impl Interrupt {
    /// Starts to listen; needs a running tokio runtime.
    pub fn listen(notice: Notice) -> Self {
        let (sender, token) = watch::channel(false);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if *sender.borrow() {
                    eprintln!("{}", notice.second);
                    std::process::exit(130);
                }
                eprintln!("{}", notice.first);
                sender.send_replace(true);
            }
        });
        Self { token }
    }

    /// A token that turns true.
    pub fn token(&self) -> CancelToken {
        self.token.clone()
    }
}
