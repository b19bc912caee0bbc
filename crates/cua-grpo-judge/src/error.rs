//! Why there is no verdict.

use std::time::Duration;

/// Why a judge could not be asked, or said nothing that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The address cannot be used.
    #[error("judge_base_url: {0}")]
    Config(String),
    /// Nobody answers there.
    #[error("ask the judge: no connection to {base_url} ({message}); check judge_base_url")]
    Unreachable {
        /// Where.
        base_url: String,
        /// Why.
        message: String,
    },
    /// The answer took too long.
    #[error("ask the judge: no answer within {} s (judge_timeout)", limit.as_secs_f64())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The connection broke.
    #[error("ask the judge: the connection broke ({0})")]
    Broken(String),
    /// The service refuses.
    #[error("ask the judge: the service answers {status} ({message}){}", advice(*status))]
    Status {
        /// The status of HTTP.
        status: u16,
        /// What it says.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is larger than any verdict.
    #[error("ask the judge: an answer of more than {0} bytes")]
    TooLarge(usize),
    /// What it said is no verdict.
    #[error("read the judge's verdict: expected {{\"success\": true}} or {{\"success\": false}} in JSON, got {0}")]
    Answer(String),
}

impl JudgeError {
    /// Whether the same question may be answered a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            // A judge that has answered is not asked until it says what one wants to hear.
            Self::Config(_) | Self::TooLarge(_) | Self::Answer(_) => false,
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "; check CUA_JUDGE_API_KEY",
        404 => "; check judge_base_url, which ends before /chat/completions, and judge_model",
        400 | 413 | 422 => "; does judge_model take pictures? judge_screenshots says how many it is shown",
        _ => "",
    }
}
