//! Everything that can go wrong between this crate and the box service.

use std::time::Duration;

/// A call that did not give what was asked for: what was done, what was expected, what came, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GboxError {
    /// The client cannot be built or used as configured.
    #[error("configure the GBox client: {0}")]
    Config(String),
    /// The service could not be reached; nothing was sent.
    #[error(
        "{operation}: expected a service at {base_url}, got no connection ({message}); check the base URL and the network"
    )]
    Unreachable {
        /// What was being done.
        operation: String,
        /// Where the service should be.
        base_url: String,
        /// What the network says.
        message: String,
    },
    /// No answer in time; the service may or may not have acted.
    #[error("{operation}: expected an answer within {:.1} s, got none; raise the timeout if boxes are slow", limit.as_secs_f64())]
    TimedOut {
        /// What was being done.
        operation: String,
        /// How long it waited.
        limit: Duration,
    },
    /// The connection broke after the request was sent; the service may or may not have acted.
    #[error("{operation}: expected a whole answer, got a broken connection ({message})")]
    Broken {
        /// What was being done.
        operation: String,
        /// What the network says.
        message: String,
    },
    /// The key is missing, wrong or not allowed to do this (401, 403).
    #[error(
        "{operation}: expected an accepted API key, got status {status} ({message}); set GBOX_API_KEY to a valid key"
    )]
    Unauthorized {
        /// What was being done.
        operation: String,
        /// 401 or 403.
        status: u16,
        /// What the service says.
        message: String,
    },
    /// No room for another box (429 of a create), which may also be too many requests.
    #[error(
        "{operation}: expected room in the quota, got status 429 ({message}); set concurrency to what your quota allows, or end \
         leaked boxes (`trainer boxes list` shows them)"
    )]
    Quota {
        /// What was being done.
        operation: String,
        /// What the service says.
        message: String,
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
    /// The service takes no request of this kind for now (429 of a call that asks for no box).
    #[error(
        "{operation}: expected the service to take the request, got status 429 ({message}): it takes no requests for now"
    )]
    TooMany {
        /// What was being done.
        operation: String,
        /// What the service says.
        message: String,
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
    /// Any other status that is no success.
    #[error("{operation}: expected success, got status {status} ({message})")]
    Status {
        /// What was being done.
        operation: String,
        /// The HTTP status.
        status: u16,
        /// What the service says.
        message: String,
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer has another form than the API's.
    #[error("{operation}: expected {expected}, got {got}; does the base URL point at a GBox API?")]
    Answer {
        /// What was being done.
        operation: String,
        /// What the answer should be.
        expected: &'static str,
        /// What is wrong with it.
        got: String,
    },
    /// The answer is larger than any of its kind.
    #[error(
        "{operation}: expected an answer of at most {limit} bytes, got a larger one; does the base URL point at a GBox API?"
    )]
    TooLarge {
        /// What was being done.
        operation: String,
        /// The most that is read of such an answer.
        limit: u64,
    },
    /// The service did not take the request for longer than is waited for.
    #[error("{last}; gave up after waiting {:.0} s for the service (outage_budget)", waited.as_secs_f64())]
    GaveUp {
        /// How long the service has not taken requests of this kind.
        waited: Duration,
        /// What came last.
        last: Box<GboxError>,
    },
    /// The end was asked for, so nothing more is waited for; a request that was sent may have been carried out.
    #[error("{operation}: given up, the end was asked for")]
    Ended {
        /// What was being done.
        operation: String,
    },
    /// The service gives no more boxes at once than are held.
    #[error("create box: the service gives {places} boxes at once, and all of them are in use; end one, and ask again")]
    Full {
        /// How many.
        places: usize,
    },
    /// A create was answered with a box that does not carry the label of this create: it is somebody else's, and is neither
    /// used nor ended.
    #[error(
        "create box: expected a new box with the label that was asked for, got box {box_id} without it; it is left alone, as it \
         may be somebody else's"
    )]
    Foreign {
        /// The box.
        box_id: String,
    },
    /// A create was answered with a box that an earlier create of this program was answered with.
    #[error(
        "create box: expected a new box, got box {box_id}: the service gave it twice, and it is not used for a second time"
    )]
    Twice {
        /// The box.
        box_id: String,
    },
    /// A box is still there although its end was acknowledged.
    #[error(
        "terminate box: expected box {box_id} to be gone, the service has acknowledged its end and lists it all the same"
    )]
    StillThere {
        /// The box.
        box_id: String,
    },
    /// A box does not run.
    #[error("{operation}: expected box {box_id} to run, got status {status} ({reason}); it may have expired")]
    NotRunning {
        /// What was being done.
        operation: String,
        /// The box.
        box_id: String,
        /// Its status.
        status: String,
        /// Why, as the service says.
        reason: String,
    },
}

impl GboxError {
    /// True when the service may have done what it was asked for.
    ///
    /// The API says of no status that it comes before a deed, and names no header that makes a request harmless to send
    /// twice. So only what was never sent, and what the service refuses for its content, its box or its key, has surely
    /// not been done; a 429 or 503 may come after the click.
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Unreachable { .. }
            | Self::Unauthorized { .. }
            | Self::Full { .. }
            | Self::StillThere { .. }
            | Self::NotRunning { .. } => false,
            Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::Quota { .. }
            | Self::TooMany { .. }
            | Self::Foreign { .. }
            | Self::Twice { .. }
            | Self::Answer { .. }
            | Self::TooLarge { .. }
            | Self::Ended { .. } => true,
            Self::Status { status, .. } => !matches!(status, 400 | 402 | 404 | 405 | 413 | 415 | 422 | 423),
            Self::GaveUp { last, .. } => last.is_ambiguous(),
        }
    }

    /// What the service says about a request whose content it refuses (400, 413, 422), where that was the answer.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Status {
                status: 400 | 413 | 422,
                message,
                ..
            } => Some(message),
            _ => None,
        }
    }

    /// The HTTP status, where one came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized { status, .. } | Self::Status { status, .. } => Some(*status),
            Self::Quota { .. } | Self::TooMany { .. } => Some(429),
            Self::GaveUp { last, .. } => last.status(),
            _ => None,
        }
    }

    /// How long the service asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Quota { retry_after, .. } | Self::TooMany { retry_after, .. } | Self::Status { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}
