//! How the judge is asked: one call, its limits, and what is tried again.

use crate::answer::{shortened, verdict};
use crate::error::JudgeError;
use crate::question::Shown;
use cua_grpo_core::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};
use std::time::Duration;

/// Most bytes of an answer.
pub(crate) const LARGEST: usize = 1 << 20;
/// Most bytes of an error that are read.
const LARGEST_ERROR: usize = 64 << 10;
/// Longest wait that a service may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// When a question is asked again that a service did not answer: reading twice does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries after the first. Default 4.
    pub most: u32,
    /// Wait before the first of them, which doubles each time. Default 500 ms.
    pub first: Duration,
    /// Longest wait of our own. Default 20 s.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            most: 4,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(20),
        }
    }
}

/// Who judges, and what it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeConfig {
    /// Base URL of the service, such as `https://host/v1`. No user, password or query may stand in it.
    pub base_url: String,
    /// Name of the model there.
    pub model: String,
    /// The key, sent to the host of `base_url` alone.
    pub api_key: Option<Secret>,
    /// Limit of a try, its answer included. Default 60 s.
    pub timeout: Duration,
    /// What it sees.
    pub shown: Shown,
    /// Questions at once. Default 8.
    pub at_once: usize,
    /// What is tried again.
    pub retry: Retry,
}

impl JudgeConfig {
    /// The model `model` of the service at `base_url`, with defaults.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            timeout: Duration::from_secs(60),
            shown: Shown::default(),
            at_once: 8,
            retry: Retry::default(),
        }
    }

    fn endpoint(&self) -> Result<Url, JudgeError> {
        let wrong = |what: &str| JudgeError::Config(what.to_owned());
        let address = format!("{}/chat/completions", self.base_url.trim_end_matches('/'));
        let url = Url::parse(&address).map_err(|_| wrong("expected an address with http:// or https://"))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(wrong("expected an address with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "expected an address without user, password, `?` and `#`; the key goes into CUA_JUDGE_API_KEY",
            ));
        }
        Ok(url)
    }
}

/// Asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    key: Option<Secret>,
    timeout: Duration,
    retry: Retry,
}

/// Whether a host is this machine, which a proxy would look for on its own.
fn is_this_machine(host: &str) -> bool {
    let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

impl Client {
    pub(crate) fn new(config: &JudgeConfig) -> Result<Self, JudgeError> {
        let url = config.endpoint()?;
        let http = match url.host_str().is_some_and(is_this_machine) {
            true => reqwest::Client::builder().no_proxy(),
            false => reqwest::Client::builder(),
        };
        let http = http
            .connect_timeout(Duration::from_secs(5))
            // A redirected request would carry the key and the pictures elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| JudgeError::Config(error.to_string()))?;
        Ok(Self {
            http,
            url,
            key: config.api_key.clone(),
            timeout: config.timeout,
            retry: config.retry,
        })
    }

    /// Whether the task is done, as the judge says.
    pub(crate) async fn ask(&self, body: &[u8]) -> Result<bool, JudgeError> {
        let mut retry = 0;
        loop {
            let error = match self.once(body).await {
                Ok(answer) => return verdict(&answer),
                Err(error) => error,
            };
            if !error.is_transient() || retry >= self.retry.most {
                return Err(error);
            }
            let own = self
                .retry
                .first
                .saturating_mul(1 << retry.min(16))
                .min(self.retry.longest);
            let wait = match error {
                JudgeError::Status {
                    retry_after: Some(asked),
                    ..
                } => asked.min(LONGEST_WAIT),
                _ => own,
            };
            retry += 1;
            tracing::warn!(%error, retry, wait_s = wait.as_secs_f64(), "asking the judge again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, body: &[u8]) -> Result<Vec<u8>, JudgeError> {
        let limit = self.timeout;
        let answer = tokio::time::timeout(limit, self.answer(body)).await;
        answer.unwrap_or(Err(JudgeError::TimedOut { limit }))
    }

    async fn answer(&self, body: &[u8]) -> Result<Vec<u8>, JudgeError> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.reveal());
        }
        let sent = request.body(body.to_vec()).send().await;
        let mut response = sent.map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            let (body, whole) = self.read(&mut response, LARGEST).await?;
            return match whole {
                true => Ok(self.starred(body)),
                false => Err(JudgeError::TooLarge(LARGEST)),
            };
        }
        let retry_after = asked_wait(response.headers());
        // Whatever came of it is shown.
        let message = self.read(&mut response, LARGEST_ERROR).await.unwrap_or_default().0;
        let message = shortened(&said(&self.starred(message)));
        Err(JudgeError::Status {
            status,
            message,
            retry_after,
        })
    }

    /// The body up to `limit` bytes, and whether that is all of it.
    async fn read(&self, response: &mut Response, limit: usize) -> Result<(Vec<u8>, bool), JudgeError> {
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.failure(&error))? {
            let room = limit - bytes.len();
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                return Ok((bytes, false));
            }
        }
        Ok((bytes, true))
    }

    /// `bytes` with asterisks in place of the key.
    fn starred(&self, bytes: Vec<u8>) -> Vec<u8> {
        let starred = self.key.as_ref().and_then(|key| key.starred_bytes(&bytes));
        starred.unwrap_or(bytes)
    }

    fn failure(&self, error: &reqwest::Error) -> JudgeError {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let message = cause.to_string();
        let message = self
            .key
            .as_ref()
            .map_or(message.clone(), |key| key.starred(&message).into_owned());
        match error.is_connect() {
            true => JudgeError::Unreachable {
                base_url: self.url.as_str().trim_end_matches("/chat/completions").to_owned(),
                message,
            },
            false => JudgeError::Broken(message),
        }
    }
}

/// What an error says: `error.message` of the services' own form, else its text.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json = serde_json::from_str::<serde_json::Value>(&text).ok();
    let message = json.as_ref().and_then(|json| {
        let places = ["/error/message", "/message", "/detail", "/error"];
        places.iter().find_map(|place| json.pointer(place)?.as_str())
    });
    message.map_or_else(|| text.clone().into_owned(), str::to_owned)
}

/// The wait in seconds that the service asks for.
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
