//! Errors as the API answers them, and reading of bodies.

use crate::device::FileError;
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequestParts, Query},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use cua_grpo_gbox::wire::{ErrorBody, ErrorMessage};
use serde::de::DeserializeOwned;
use std::fmt;

/// An answer other than success.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    retry_after: bool,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: false,
        }
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Too many boxes or too much work; the client may come again in a second.
    pub fn busy(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: true,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Missing(_) => Self::not_found(error.to_string()),
            error => Self::bad(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            status_code: Some(self.status.as_u16()),
            message: Some(ErrorMessage::One(self.message)),
            error: self.status.canonical_reason().map(str::to_owned),
        };
        let mut response = (self.status, Json(body)).into_response();
        if self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The parameters behind the `?` of a path.
#[derive(Debug)]
pub(super) struct Parameters(pub Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = Query::try_from_uri(&parts.uri);
        query
            .map(|Query(pairs)| Self(pairs))
            .map_err(|error| ApiError::bad(error.to_string()))
    }
}

impl Parameters {
    /// The value of a parameter; the last one counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().rev().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name)
            .ok_or_else(|| ApiError::bad(format!("{name}: expected a value, got none")))
    }

    /// A whole number above 0, or a default.
    pub fn count(&self, name: &str, default: u32) -> Result<u32, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let number = text
            .parse::<f64>()
            .ok()
            .filter(|number| number.fract() == 0.0 && (1.0..1e9).contains(number));
        let number =
            number.ok_or_else(|| ApiError::bad(format!("{name}: expected a whole number above 0, got {text:?}")));
        number.map(|number| number as u32)
    }

    /// The words of a list, each one of those that are known.
    pub fn words(&self, name: &str, known: &[&str]) -> Result<Option<Vec<&str>>, ApiError> {
        // A list comes as one value with commas, or as several values.
        let brackets = format!("{name}[]");
        let values = self.0.iter().filter(|(found, _)| found == name || *found == brackets);
        let words: Vec<&str> = values.flat_map(|(_, value)| value.split(',')).map(str::trim).collect();
        match words.iter().find(|word| !known.contains(word)) {
            Some(word) => Err(ApiError::bad(format!(
                "{name}: expected of {}, got {word:?}",
                known.join(", ")
            ))),
            None => Ok((!words.is_empty()).then_some(words)),
        }
    }
}

/// Reads a JSON body; an empty one counts as `{}`.
pub(super) fn read<T: DeserializeOwned>(what: &str, body: &Bytes) -> Result<T, ApiError> {
    let bytes: &[u8] = if body.iter().all(u8::is_ascii_whitespace) {
        b"{}"
    } else {
        body
    };
    serde_json::from_slice(bytes).map_err(|error| ApiError::bad(format!("read {what}: {error}")))
}
