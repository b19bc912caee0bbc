//! HTTP to the box service: bearer key, JSON, timeouts, statuses into errors, and tries as [`crate::retry`] decides.

use crate::error::GboxError;
use crate::retry::{RetryPolicy, Safety};
use crate::wire::{ErrorBody, ErrorMessage};
use cua_grpo_core::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where the service is and how to talk to it.
#[derive(Clone, PartialEq)]
pub struct ClientConfig {
    /// Base of all paths, with or without a slash at the end. Default `https://gbox.ai/api/v1`.
    pub base_url: String,
    /// The key. A simulator without a key takes any.
    pub api_key: Secret,
    /// Limit of a call that does not wait for anything. Default 60 s.
    pub timeout: Duration,
    /// Limit of connecting. Default 5 s.
    pub connect_timeout: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
}

impl ClientConfig {
    /// The service's own address.
    pub const PRODUCTION: &str = "https://gbox.ai/api/v1";

    /// Defaults with this key.
    pub fn new(api_key: impl Into<Secret>) -> Self {
        Self {
            base_url: Self::PRODUCTION.to_owned(),
            api_key: api_key.into(),
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            retry: RetryPolicy::default(),
        }
    }

    /// The same for a service elsewhere, e.g. a simulator.
    pub fn at(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig")
            .field("base_url", &self.base_url)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// One call, before it is sent.
pub(crate) struct Call<'a, B> {
    /// What is being done, for errors.
    pub operation: String,
    /// What it does to the service.
    pub safety: Safety,
    pub method: Method,
    /// Path below the base URL, with a slash first.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Option<&'a B>,
    /// Limit of the whole call, in place of the configured one.
    pub timeout: Option<Duration>,
}

/// Sends calls. Cheap to clone: connections are shared.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    config: Arc<ClientConfig>,
    retries: Arc<AtomicU64>,
}

impl Transport {
    pub(crate) fn new(config: ClientConfig) -> Result<Self, GboxError> {
        let scheme_ok = ["http://", "https://"]
            .iter()
            .any(|scheme| config.base_url.starts_with(scheme));
        if !scheme_ok {
            let got = &config.base_url;
            return Err(GboxError::Config(format!(
                "expected a base URL with http:// or https://, got {got:?}"
            )));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| GboxError::Config(error.to_string()))?;
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        let config = Arc::new(ClientConfig { base_url, ..config });
        Ok(Self {
            http,
            config,
            retries: Arc::default(),
        })
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Tries made after a failure, in total.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Sends `call` and reads a JSON answer.
    pub(crate) async fn json<B: Serialize, T: DeserializeOwned>(
        &self,
        call: Call<'_, B>,
        expected: &'static str,
    ) -> Result<T, GboxError> {
        let bytes = self.bytes(&call).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let start: String = String::from_utf8_lossy(&bytes).chars().take(120).collect();
            GboxError::Answer {
                operation: call.operation,
                expected,
                got: format!("{error} in {start:?}"),
            }
        })
    }

    /// Sends `call`, whose answer has no content.
    pub(crate) async fn empty<B: Serialize>(&self, call: Call<'_, B>) -> Result<(), GboxError> {
        self.bytes(&call).await.map(|_| ())
    }

    async fn bytes<B: Serialize>(&self, call: &Call<'_, B>) -> Result<Vec<u8>, GboxError> {
        let mut retry = 0;
        loop {
            let error = match self.once(call).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            retry += 1;
            let Some(wait) = self.config.retry.wait(call.safety, &error, retry) else {
                return Err(error);
            };
            self.retries.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, retry, wait_s = wait.as_secs_f64(), "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once<B: Serialize>(&self, call: &Call<'_, B>) -> Result<Vec<u8>, GboxError> {
        let limit = call.timeout.unwrap_or(self.config.timeout);
        let failed = |error: reqwest::Error| self.failure(&call.operation, limit, &error);
        let response = self.request(call, limit).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return response.bytes().await.map(|bytes| bytes.to_vec()).map_err(failed);
        }
        let retry_after = asked_wait(response.headers());
        let message = error_message(response).await;
        let operation = call.operation.clone();
        Err(match status {
            401 | 403 => GboxError::Unauthorized {
                operation,
                status,
                message,
            },
            429 => GboxError::Quota {
                operation,
                message,
                retry_after,
            },
            _ => GboxError::Status {
                operation,
                status,
                message,
                retry_after,
            },
        })
    }

    fn request<B: Serialize>(&self, call: &Call<'_, B>, limit: Duration) -> RequestBuilder {
        let url = format!("{}{}", self.config.base_url, call.path);
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .bearer_auth(self.config.api_key.reveal())
            .timeout(limit);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        match call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").json(body),
            None => request,
        }
    }

    fn failure(&self, operation: &str, limit: Duration, error: &reqwest::Error) -> GboxError {
        let operation = operation.to_owned();
        if error.is_connect() {
            let base_url = self.config.base_url.clone();
            return GboxError::Unreachable {
                operation,
                base_url,
                message: innermost(error),
            };
        }
        if error.is_timeout() {
            return GboxError::TimedOut { operation, limit };
        }
        if error.is_builder() {
            return GboxError::Config(innermost(error));
        }
        GboxError::Broken {
            operation,
            message: innermost(error),
        }
    }
}

/// The deepest cause: reqwest's own text only repeats the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The wait that the service asks for: `retry-after-ms`, else `retry-after` in seconds.
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|ms| ms / 1000.0)
        .or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What the service says about an error, at most a few hundred characters.
async fn error_message(response: Response) -> String {
    let text = match response.text().await {
        Ok(text) => text,
        Err(error) => return format!("its text could not be read: {}", innermost(&error)),
    };
    let message = serde_json::from_str::<ErrorBody>(&text)
        .ok()
        .and_then(|body| match body.message {
            Some(ErrorMessage::One(message)) => Some(message),
            Some(ErrorMessage::Many(messages)) => Some(messages.join("; ")),
            None => body.error,
        });
    // A terminal and a log get one line, without control sequences.
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    message.unwrap_or(text).chars().take(300).map(printable).collect()
}
