//! HTTP to the box service: bearer key, JSON, timeouts, statuses into errors, and tries as [`crate::retry`] decides.

use crate::body::{self, BodyError, BodyLimits};
use crate::error::GboxError;
use crate::host::is_this_machine;
use crate::patience::{Patience, Queue};
use crate::printable::printable;
use crate::retry::{Remedy, RetryPolicy, Safety, remedy};
use cua_grpo_core::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Where the service is and how to talk to it.
#[derive(Clone, PartialEq)]
pub struct ClientConfig {
    /// Base of all paths, with or without a slash at the end. Default `https://gbox.ai/api/v1`. No user, password or
    /// query may stand in it.
    pub base_url: String,
    /// The key, sent to the host of `base_url` alone. A simulator without a key takes any.
    pub api_key: Secret,
    /// Limit of a call that does not wait for anything, its answer included. Default 60 s.
    pub timeout: Duration,
    /// Limit of connecting. Default 5 s.
    pub connect_timeout: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How large answers may be.
    pub bodies: BodyLimits,
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
            bodies: BodyLimits::default(),
        }
    }

    /// The same for a service elsewhere, e.g. a simulator.
    pub fn at(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Checks the base URL; the message has no password in it.
    fn check(&self) -> Result<(), GboxError> {
        let wrong = |what: &str| Err(GboxError::Config(format!("gbox_base_url: {what}")));
        let Ok(url) = reqwest::Url::parse(&self.base_url) else {
            return wrong("expected an address with http:// or https://");
        };
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return wrong("expected an address with http:// or https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("expected an address without user and password; the key is given by GBOX_API_KEY");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("expected an address without `?` and `#`; the key is given by GBOX_API_KEY");
        }
        Ok(())
    }
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig")
            .field("base_url", &self.base_url)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("retry", &self.retry)
            .field("bodies", &self.bodies)
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
    /// Limit of one try, in place of the configured one.
    pub timeout: Option<Duration>,
    /// Most bytes of the answer.
    pub most: u64,
}

/// Sends calls. Cheap to clone: connections are shared.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    config: Arc<ClientConfig>,
    retries: Arc<AtomicU64>,
    patience: Patience,
    /// When all calls end, once the end is asked for.
    end: watch::Sender<Option<Instant>>,
    /// Limit of a call with all its tries, which then waits for no outage and outlives the end.
    brief: Option<Duration>,
}

impl Transport {
    pub(crate) fn new(config: ClientConfig) -> Result<Self, GboxError> {
        config.check()?;
        let url = reqwest::Url::parse(&config.base_url).ok();
        let http = match url.as_ref().and_then(|url| url.host_str()).is_some_and(is_this_machine) {
            true => reqwest::Client::builder().no_proxy(),
            false => reqwest::Client::builder(),
        };
        let http = http
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            // A redirected request would carry the key elsewhere, and a click there would be one more.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| GboxError::Config(error.to_string()))?;
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        let config = Arc::new(ClientConfig { base_url, ..config });
        Ok(Self {
            http,
            config,
            retries: Arc::default(),
            patience: Patience::default(),
            end: watch::Sender::new(None),
            brief: None,
        })
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Tries made after a failure, in total.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Who waits for the service.
    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// The same, whose calls take at most `limit` with all their tries, wait for no outage, and are made also after the
    /// end was asked for.
    pub(crate) fn brief(&self, limit: Duration) -> Self {
        Self {
            brief: Some(limit),
            ..self.clone()
        }
    }

    /// Lets all calls that are not brief end within `grace`.
    pub(crate) fn end(&self, grace: Duration) {
        self.end.send_replace(Some(Instant::now() + grace));
    }

    /// Whether the end was asked for.
    pub(crate) fn ending(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits until the end is asked for.
    pub(crate) async fn asked_to_end(&self) {
        // `self` holds the sender, so there is always one.
        let _ = self.end.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits until calls have to end.
    pub(crate) async fn ended(&self) {
        let mut end = self.end.subscribe();
        let at = match end.wait_for(Option::is_some).await {
            Ok(at) => *at,
            Err(_) => None, // `self` holds the sender.
        };
        match at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Sends `call` and reads a JSON answer.
    pub(crate) async fn json<B: Serialize, T: DeserializeOwned>(
        &self,
        call: Call<'_, B>,
        expected: &'static str,
    ) -> Result<T, GboxError> {
        let bytes = self.bytes(&call).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let start = printable(&String::from_utf8_lossy(&bytes[..bytes.len().min(480)]), 120);
            GboxError::Answer {
                operation: call.operation,
                expected,
                got: format!("{} in {start:?}", crate::wire::in_words(&error)),
            }
        })
    }

    /// Sends `call`, whose answer has no content.
    pub(crate) async fn empty<B: Serialize>(&self, call: Call<'_, B>) -> Result<(), GboxError> {
        self.bytes(&call).await.map(|_| ())
    }

    async fn bytes<B: Serialize>(&self, call: &Call<'_, B>) -> Result<Vec<u8>, GboxError> {
        let operation = || call.operation.clone();
        if let Some(limit) = self.brief {
            let all = tokio::time::timeout(limit, self.tries(call)).await;
            return all.unwrap_or_else(|_| {
                Err(GboxError::TimedOut {
                    operation: operation(),
                    limit,
                })
            });
        }
        tokio::select! {
            biased;
            () = self.ended() => Err(GboxError::Ended { operation: operation() }),
            answer = self.tries(call) => answer,
        }
    }

    async fn tries<B: Serialize>(&self, call: &Call<'_, B>) -> Result<Vec<u8>, GboxError> {
        let policy = &self.config.retry;
        let (mut retry, mut waiting, mut failed) = (0, None, None);
        loop {
            let error = match self.once(call).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            let since = *failed.get_or_insert_with(Instant::now);
            let remedy = match (call.safety, remedy(call.safety, &error)) {
                // The pool sends creates again.
                (Safety::Creating, _) => Remedy::None,
                (_, Remedy::Wait) if self.brief.is_some() => {
                    // Whoever is patient afterwards has waited since then.
                    self.patience.refused(Queue::Asking, since);
                    Remedy::Again
                }
                (_, remedy) => remedy,
            };
            let wait = match remedy {
                Remedy::None => return Err(error),
                Remedy::Again => {
                    retry += 1;
                    let Some(wait) = policy.wait(&error, retry) else {
                        return Err(error);
                    };
                    tracing::warn!(%error, retry, wait_s = wait.as_secs_f64(), "trying again");
                    wait
                }
                Remedy::Wait => {
                    let waiting = waiting.get_or_insert_with(|| self.patience.wait(Queue::Asking, since));
                    waiting.next(policy, error)?
                }
            };
            self.note_retry();
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts a request that is sent again.
    pub(crate) fn note_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    async fn once<B: Serialize>(&self, call: &Call<'_, B>) -> Result<Vec<u8>, GboxError> {
        let limit = call.timeout.unwrap_or(self.config.timeout);
        let (answer, operation) = (self.answer(call, limit), call.operation.clone());
        // The client's own limit covers the body too; this one holds whatever it does.
        let answer = tokio::time::timeout(limit + Duration::from_secs(1), answer).await;
        let answer = answer.unwrap_or(Err(GboxError::TimedOut { operation, limit }));
        let taken = match &answer {
            Ok(_) => true,
            Err(error) => error.status().is_some() && remedy(Safety::Reading, error) != Remedy::Wait,
        };
        if taken {
            let queue = match (call.safety, &answer) {
                (Safety::Creating, Ok(_)) => Queue::Creating,
                _ => Queue::Asking,
            };
            self.patience.answered(queue);
        }
        answer
    }

    async fn answer<B: Serialize>(&self, call: &Call<'_, B>, limit: Duration) -> Result<Vec<u8>, GboxError> {
        let failed = |error: reqwest::Error| self.failure(&call.operation, limit, &error);
        let response = self.request(call, limit).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let (operation, key) = (call.operation.clone(), &self.config.api_key);
        if response.status().is_success() {
            let body = body::read(response, call.most).await;
            return body.map(|body| body::without(key, body)).map_err(|error| match error {
                BodyError::Lost(error) => failed(error),
                BodyError::TooLarge => GboxError::TooLarge {
                    operation,
                    limit: call.most,
                },
            });
        }
        let retry_after = asked_wait(response.headers());
        if response.status().is_redirection() {
            let message = redirection(response.headers(), key);
            return Err(GboxError::Status {
                operation,
                status,
                message,
                retry_after: None,
            });
        }
        let message = body::error_message(response, self.config.bodies.error, key).await;
        Err(match status {
            401 | 403 => GboxError::Unauthorized {
                operation,
                status,
                message,
            },
            429 if call.safety == Safety::Creating => GboxError::Quota {
                operation,
                message,
                retry_after,
            },
            429 => GboxError::TooMany {
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
        let (operation, key) = (operation.to_owned(), &self.config.api_key);
        let message = key.starred(&innermost(error)).into_owned();
        if error.is_connect() {
            let base_url = self.config.base_url.clone();
            return GboxError::Unreachable {
                operation,
                base_url,
                message,
            };
        }
        if error.is_timeout() {
            return GboxError::TimedOut { operation, limit };
        }
        if error.is_builder() {
            return GboxError::Config(message);
        }
        GboxError::Broken { operation, message }
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

/// Where an answer sends on to, without what may be secret in it.
fn redirection(headers: &HeaderMap, key: &Secret) -> String {
    let target = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let url = target.and_then(|target| reqwest::Url::parse(target).ok());
    match url.as_ref().and_then(|url| Some((url.scheme(), url.host_str()?))) {
        Some((scheme, host)) => format!(
            "it redirects to {}, where no key is sent; set gbox_base_url to the address itself",
            printable(&key.starred(&format!("{scheme}://{host}")), 200)
        ),
        None => "it redirects, which is not followed; set gbox_base_url to the address itself".to_owned(),
    }
}
