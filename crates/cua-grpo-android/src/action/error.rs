//! What can be wrong with a reply, in words for the policy.

/// What is wrong with a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// There is no call.
    #[error("no tool call: expected <tool_call>{{\"name\": ..., \"arguments\": ...}}</tool_call>")]
    NoCall,
    /// A call is not closed, e.g. because the reply was cut off.
    #[error("tool call is not closed: expected </tool_call>")]
    Unclosed,
    /// The inside of a call is not JSON.
    #[error("tool call is not valid JSON: {0}")]
    Json(String),
    /// There is no such tool.
    #[error("unknown tool {0:?}: expected one of perform_action, sleep, report_task_complete")]
    Tool(String),
    /// A field must be given.
    #[error("{what}: missing {field:?}")]
    Missing {
        /// The object.
        what: String,
        /// The field.
        field: &'static str,
    },
    /// A field is not known here.
    #[error("{what}: unknown field {field:?}; known: {known}")]
    Unknown {
        /// The object.
        what: String,
        /// The field.
        field: String,
        /// The fields that may stand here.
        known: String,
    },
    /// A field has the wrong type.
    #[error("{what}: expected {expected}, got {got}")]
    Type {
        /// The field.
        what: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        got: &'static str,
    },
    /// A field has the right type but not a possible value.
    #[error("{what}: expected {expected}, got {got}")]
    Value {
        /// The field.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A place is given in two ways.
    #[error("{what}: give {first} or {second}, not both")]
    Both {
        /// The object.
        what: String,
        /// One way.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}
