//! Ctrl-C: the first asks the run to save and end, the second ends the process.

use cua_grpo_rollout::CancelToken;
use tokio::sync::watch;

/// Listens for Ctrl-C from its making on.
pub struct Interrupt {
    token: CancelToken,
}

impl Interrupt {
    /// Starts to listen; needs a running tokio runtime.
    pub fn listen() -> Self {
        let (sender, token) = watch::channel(false);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if *sender.borrow() {
                    eprintln!("interrupted again: ending at once, the last checkpoint stands");
                    std::process::exit(130);
                }
                eprintln!("interrupted: finishing what is under way, then saving (Ctrl-C again ends at once)");
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
