//! Bodies that come as a form with files, or as JSON with the same fields.

use super::reply::{ApiError, read};
use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
    http::header,
};
use serde_json::Value;

/// Fields that a form may have.
const MOST_FIELDS: usize = 200;

/// A field of a form.
#[derive(Debug)]
struct Field {
    name: String,
    /// Name of the file, if it is one.
    file: Option<String>,
    bytes: Bytes,
}

/// A body with named fields.
#[derive(Debug, Default)]
pub(super) struct Form {
    fields: Vec<Field>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let broken = |error: &dyn std::fmt::Display| ApiError::bad(format!("read form: {error}"));
        if !kind.starts_with("multipart/form-data") {
            let body = Bytes::from_request(request, state)
                .await
                .map_err(|error| broken(&error))?;
            return Self::from_json(&body);
        }
        let mut multipart = Multipart::from_request(request, state)
            .await
            .map_err(|error| broken(&error))?;
        let mut form = Self::default();
        while let Some(field) = multipart.next_field().await.map_err(|error| broken(&error))? {
            if form.fields.len() >= MOST_FIELDS {
                return Err(ApiError::bad(format!(
                    "read form: expected at most {MOST_FIELDS} fields"
                )));
            }
            let name = field.name().unwrap_or_default().trim_end_matches("[]").to_owned();
            let file = field.file_name().map(str::to_owned);
            let bytes = field.bytes().await.map_err(|error| broken(&error))?;
            form.fields.push(Field { name, file, bytes });
        }
        Ok(form)
    }
}

impl Form {
    /// A JSON object: texts, truth values and lists of texts become fields.
    fn from_json(body: &Bytes) -> Result<Self, ApiError> {
        let object: serde_json::Map<String, Value> = read("body", body)?;
        let mut form = Self::default();
        for (name, value) in object {
            let values = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                let text = match value {
                    Value::String(text) => text,
                    Value::Bool(truth) => truth.to_string(),
                    other => return Err(ApiError::bad(format!("{name}: expected a text, got {other}"))),
                };
                form.fields.push(Field {
                    name: name.clone(),
                    file: None,
                    bytes: text.into(),
                });
            }
        }
        Ok(form)
    }

    fn find(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A field as text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let text = self.find(name).map(|field| std::str::from_utf8(&field.bytes));
        text.transpose()
            .map_err(|_| ApiError::bad(format!("{name}: expected text, got other bytes")))
    }

    /// A field that must be there, as text.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// A field that is true or false, or not there.
    pub fn truth(&self, name: &str) -> Result<bool, ApiError> {
        match self.text(name)? {
            None | Some("" | "false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ApiError::bad(format!("{name}: expected true or false, got {other:?}"))),
        }
    }

    /// The bytes of a field that must be there, a file or not.
    pub fn bytes(&self, name: &str) -> Result<Bytes, ApiError> {
        self.find(name)
            .map(|field| field.bytes.clone())
            .ok_or_else(|| missing(name))
    }

    /// All files of a name, with theirs.
    pub fn files(&self, name: &str) -> Vec<(&str, Bytes)> {
        let files = self.fields.iter().filter(|field| field.name == name);
        files
            .filter_map(|field| Some((field.file.as_deref()?, field.bytes.clone())))
            .collect()
    }

    /// Whether there is a field of a name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::bad(format!("{name}: expected a value, got none"))
}
