//! Infrastructure faults: what went wrong outside the policy, so that it is never mistaken for a bad action.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Where a fault arose. Kinds are told apart by their [`name`](FaultKind::name), under which they are counted and
/// saved; a project with seams of its own adds kinds with [`FaultKind::other`].
///
/// ```
/// use cua_grpo_core::FaultKind;
/// const JUDGE: FaultKind = FaultKind::other("judge");
/// assert_eq!(JUDGE.name(), "judge");
/// assert_ne!(JUDGE, FaultKind::Reward);
/// assert_eq!(FaultKind::other("reward"), FaultKind::Reward);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
#[non_exhaustive]
pub enum FaultKind {
    /// A device could not be had, was lost, or did not answer.
    Environment,
    /// There is no place for another environment before one of those that are up ends. It is no attempt: the engine starts
    /// the environment again later, and counts nothing.
    Full,
    /// The initial state could not be established, or the goal was already met before the first turn.
    Setup,
    /// The validator could not read the device's state.
    Validator,
    /// The sampler failed or was shut down.
    Sampler,
    /// Messages could not be turned into tokens (an image that does not decode, a template that fails).
    Renderer,
    /// The reward failed: a judge that does not answer, a number that is not finite.
    Reward,
    /// A kind that another project has added, by its name: lower case, with underscores.
    Other(Cow<'static, str>),
}

impl FaultKind {
    /// A kind of your own. One with the name of a kind above equals it.
    pub const fn other(name: &'static str) -> Self {
        Self::Other(Cow::Borrowed(name))
    }

    /// The name under which it is counted and saved, e.g. `environment`.
    pub fn name(&self) -> &str {
        match self {
            Self::Environment => "environment",
            Self::Full => "full",
            Self::Setup => "setup",
            Self::Validator => "validator",
            Self::Sampler => "sampler",
            Self::Renderer => "renderer",
            Self::Reward => "reward",
            Self::Other(name) => name,
        }
    }
}

impl PartialEq for FaultKind {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for FaultKind {}

impl Hash for FaultKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<String> for FaultKind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "environment" => Self::Environment,
            "full" => Self::Full,
            "setup" => Self::Setup,
            "validator" => Self::Validator,
            "sampler" => Self::Sampler,
            "renderer" => Self::Renderer,
            "reward" => Self::Reward,
            _ => Self::Other(Cow::Owned(name)),
        }
    }
}

impl From<FaultKind> for String {
    fn from(kind: FaultKind) -> Self {
        kind.name().to_owned()
    }
}

/// A fault excludes its episode from the group; it is counted and the slot is refilled.
///
/// Two faults are equal when kind, operation and message are. The source is not saved with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// Where it arose.
    pub kind: FaultKind,
    /// What was being done, e.g. `create box`.
    pub operation: String,
    /// What was expected and what came instead.
    pub message: String,
    #[serde(skip)]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault of `kind` while doing `operation`.
    pub fn new(kind: FaultKind, operation: impl Into<String>, message: impl ToString) -> Self {
        Self {
            kind,
            operation: operation.into(),
            message: message.to_string(),
            source: None,
        }
    }

    /// A fault whose message is that of `error`, and whose source is `error` itself.
    ///
    /// ```
    /// use cua_grpo_core::{Fault, FaultKind};
    /// use std::error::Error;
    /// let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer");
    /// let fault = Fault::from_error(FaultKind::Environment, "take screenshot", error);
    /// assert_eq!(fault.to_string(), "Environment fault in take screenshot: no answer");
    /// let source: &std::io::Error = fault.source().unwrap().downcast_ref().unwrap();
    /// assert_eq!(source.kind(), std::io::ErrorKind::TimedOut);
    /// ```
    pub fn from_error(
        kind: FaultKind,
        operation: impl Into<String>,
        error: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self::new(kind, operation, &error).with_source(error)
    }

    /// The same fault with the error that caused it, for callers that want to look into it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = Some(Arc::from(source.into()));
        Self { source, ..self }
    }
}

impl PartialEq for Fault {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.operation == other.operation && self.message == other.message
    }
}

impl Eq for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, message, .. } = self;
        match &self.kind {
            FaultKind::Other(name) => write!(f, "{name} fault in {operation}: {message}"),
            kind => write!(f, "{kind:?} fault in {operation}: {message}"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [FaultKind; 7] = [
        FaultKind::Environment,
        FaultKind::Full,
        FaultKind::Setup,
        FaultKind::Validator,
        FaultKind::Sampler,
        FaultKind::Renderer,
        FaultKind::Reward,
    ];

    #[test]
    fn a_kind_is_saved_by_its_name_and_comes_back() {
        for kind in KINDS {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(text, format!("\"{kind}\""));
            let back: FaultKind = serde_json::from_str(&text).unwrap();
            assert_eq!(
                format!("{back:?}"),
                format!("{kind:?}"),
                "the variant, not only the name"
            );
        }
        let judge: FaultKind = serde_json::from_str("\"judge\"").unwrap();
        assert_eq!(judge, FaultKind::other("judge"));
        assert!(KINDS.iter().all(|kind| *kind != judge));
    }

    #[test]
    fn a_fault_is_shared_with_its_source_and_saved_without() {
        let parsed = "x".parse::<u8>().unwrap_err();
        let fault = Fault::from_error(FaultKind::other("judge"), "read verdict", parsed.clone());
        let copy = fault.clone();
        assert_eq!(copy.source().unwrap().downcast_ref(), Some(&parsed));
        assert_eq!(copy.to_string(), format!("judge fault in read verdict: {parsed}"));

        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(
            text,
            format!(r#"{{"kind":"judge","operation":"read verdict","message":"{parsed}"}}"#)
        );
        let back: Fault = serde_json::from_str(&text).unwrap();
        assert_eq!(back, fault);
        assert!(back.source().is_none());
        assert_ne!(Fault::new(FaultKind::Setup, "read verdict", &parsed), fault);
        assert_ne!(Fault::new(FaultKind::other("judge"), "read verdict", "other"), fault);
    }
}
