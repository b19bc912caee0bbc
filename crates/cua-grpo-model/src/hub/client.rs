//! Requests to the Hub: where a file is, and its content. The token goes to the Hub's own host and to no other.

use super::address::shown;
use super::cache::Blob;
use super::found::{Found, Transfer};
use super::pace::Pace;
use super::room;
use crate::plain_text::MOST_TEXT;
use cua_grpo_core::Secret;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::time::Duration;
use ureq::http::{Response, Uri, header};
use ureq::{Agent, Body};

/// Most addresses that are followed for one file.
const MOST_HOPS: usize = 10;

/// Why a file is not here.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server's answer was this status.
    Status(u16),
    /// The server's answer is not what a Hub says.
    Unusable(String),
    /// The connection.
    Broken(String),
    /// The disk of the cache.
    Disk(String),
}

impl Failure {
    /// Of the files of the cache.
    pub(super) fn of_disk(error: std::io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// Asks one Hub.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<Secret>,
    retries: usize,
    patience: Duration,
}

impl Client {
    pub(super) fn new(endpoint: &str, token: Option<&Secret>, retries: usize, patience: Duration) -> Self {
        let agent = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .accept_encoding("identity")
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .build()
            .into();
        Self {
            agent,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.cloned(),
            retries,
            patience,
        }
    }

    /// The file `file` of the model `name`.
    ///
    /// # Errors
    /// [`Failure::Unusable`] when commit or tag are no plain names, or a file that is no weights is too large.
    pub(super) fn find(&self, name: &str, file: &str) -> Result<Found, Failure> {
        let address = format!("{}/{name}/resolve/main/{file}", self.endpoint);
        let address: Uri = address
            .parse()
            .map_err(|error| Failure::Unusable(format!("the address {address}: {error}")))?;
        let (mut commit, mut tag) = (None, None);
        let response = self.follow(&address, "bytes=0-0", &mut |response| {
            let text = |name: &str| Some(self.starred(response.headers().get(name)?.to_str().ok()?));
            commit = text("x-repo-commit").or(commit.take());
            tag = text("x-linked-etag").or_else(|| text("etag")).or(tag.take());
        })?;
        let size = size(&response)?;
        if !file.ends_with(".safetensors") && size > MOST_TEXT {
            return Err(Failure::Unusable(format!(
                "expected at most {MOST_TEXT} bytes, found {size}"
            )));
        }
        let plain = |what: &str, text: Option<String>| {
            let text = text.ok_or_else(|| Failure::Unusable(format!("expected a {what}, found none")))?;
            let bare = text.trim_start_matches("W/").trim_matches('"');
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if bare.is_empty() || bare.len() > 128 || bare.starts_with('.') || !bare.bytes().all(fits) {
                let shown: String = text.chars().take(80).collect();
                return Err(Failure::Unusable(format!(
                    "expected a {what} of letters and digits, found {shown:?}"
                )));
            }
            Ok(bare.to_owned())
        };
        Ok(Found {
            address,
            commit: plain("commit", commit)?,
            tag: plain("tag of the content", tag)?,
            size,
            name: file.to_owned(),
        })
    }

    /// Fetches the content of `found` into `blob`; what is there already is not fetched again.
    ///
    /// # Errors
    /// [`Failure`]; what has arrived is kept.
    pub(super) fn download(&self, found: &Found, blob: &Blob, watch: &mut dyn Transfer) -> Result<(), Failure> {
        let mut attempt = 0;
        loop {
            match self.continue_download(found, blob, watch) {
                Ok(()) => break,
                Err(Failure::Broken(_)) if attempt < self.retries => {
                    std::thread::sleep(Duration::from_millis(300 + 100 * (attempt as u64).pow(2).min(97)));
                    attempt += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
        watch.finish();
        blob.finish().map_err(Failure::of_disk)
    }

    fn continue_download(&self, found: &Found, blob: &Blob, watch: &mut dyn Transfer) -> Result<(), Failure> {
        let disk = Failure::of_disk;
        let mut part = OpenOptions::new()
            .append(true)
            .create(true)
            .open(blob.part())
            .map_err(disk)?;
        let mut there = part.metadata().map_err(disk)?.len();
        if there > found.size {
            part.set_len(0).map_err(disk)?;
            there = 0;
        }
        room::check(&blob.part(), found.size - there).map_err(Failure::Disk)?;
        watch.start(&found.name, found.size);
        watch.advance(there);
        if there == found.size {
            return Ok(());
        }
        let response = self.follow(&found.address, &format!("bytes={there}-"), &mut |_| {})?;
        if response.status() != 206 && there > 0 {
            // The server begins anew.
            part.set_len(0).map_err(disk)?;
            watch.start(&found.name, found.size);
            there = 0;
        }
        if response.status() == 206 && begin(&response) != Some(there) {
            return Err(Failure::Unusable(format!(
                "expected its bytes from {there} on, found others ({:?})",
                response.headers().get(header::CONTENT_RANGE)
            )));
        }
        let mut content = response.into_body().into_reader();
        let mut piece = vec![0; 1 << 16];
        let mut pace = Pace::new(self.patience);
        while there < found.size {
            // No more than was announced, whatever the server sends.
            let room = piece
                .len()
                .min(usize::try_from(found.size - there).unwrap_or(usize::MAX));
            let broken = |error: std::io::Error| Failure::Broken(error.to_string());
            match content.read(&mut piece[..room]).map_err(broken)? {
                0 => {
                    return Err(Failure::Broken(format!(
                        "the connection ended after {there} of {} bytes",
                        found.size
                    )));
                }
                count => {
                    part.write_all(&piece[..count]).map_err(disk)?;
                    there += count as u64;
                    watch.advance(count as u64);
                    pace.advance(count as u64).map_err(Failure::Broken)?;
                }
            }
        }
        part.flush().map_err(disk)
    }

    /// The answer at the end of the redirects from `address`; `see` is shown every answer of the Hub's own host.
    fn follow(
        &self,
        address: &Uri,
        range: &str,
        see: &mut dyn FnMut(&Response<Body>),
    ) -> Result<Response<Body>, Failure> {
        let mut address = address.clone();
        for _ in 0..MOST_HOPS {
            let own = self.is_own(&address);
            let mut request = self.agent.get(&address).header(header::RANGE, range);
            if let Some(token) = self.token.as_ref().filter(|_| own) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
            }
            let response = request.call().map_err(|error| Failure::Broken(error.to_string()))?;
            if own {
                see(&response);
            }
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !status.is_redirection() {
                return Err(Failure::Status(status.as_u16()));
            }
            let location = response
                .headers()
                .get(header::LOCATION)
                .and_then(|text| text.to_str().ok());
            let location = location.ok_or_else(|| Failure::Unusable("a redirect without an address".to_owned()))?;
            address = target(&address, location).map_err(|why| {
                Failure::Unusable(format!("a redirect to {:?}: {why}", self.starred(&shown(location))))
            })?;
        }
        Err(Failure::Unusable(format!("more than {MOST_HOPS} redirects")))
    }

    /// What came from outside, with asterisks in place of the token.
    fn starred(&self, text: &str) -> String {
        let token = self.token.as_ref();
        token.map_or_else(|| text.to_owned(), |token| token.starred(text).into_owned())
    }

    /// Whether `address` is one of the Hub: scheme, host and port are its own.
    fn is_own(&self, address: &Uri) -> bool {
        let origin = |uri: &Uri| {
            let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
            let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
            (scheme, uri.host().unwrap_or_default().to_ascii_lowercase(), port)
        };
        self.endpoint
            .parse()
            .is_ok_and(|endpoint: Uri| origin(&endpoint) == origin(address))
    }
}

/// Where a redirect from `address` leads, or what is wrong with it.
fn target(address: &Uri, location: &str) -> Result<Uri, String> {
    let to: Uri = location.parse().map_err(|error| format!("{error}"))?;
    if to.host().is_some() && to.scheme().is_none() || to.host().is_none() && !location.starts_with('/') {
        return Err("expected a whole address, or a path".to_owned());
    }
    if to.host().is_some() {
        return Ok(to);
    }
    let mut parts = address.clone().into_parts();
    parts.path_and_query = to.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

/// Where the part of a content begins that is in an answer.
fn begin(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let begin = range.trim().strip_prefix("bytes")?.trim().split('-').next()?;
    begin.parse().ok()
}

/// The length of the whole content.
fn size(response: &Response<Body>) -> Result<u64, Failure> {
    let text = |name: header::HeaderName| response.headers().get(name)?.to_str().ok();
    let size = match response.status().as_u16() {
        206 => text(header::CONTENT_RANGE)
            .and_then(|range| range.rsplit_once('/'))
            .map(|(_, size)| size),
        _ => text(header::CONTENT_LENGTH),
    };
    let size = size.and_then(|size| size.parse().ok());
    size.ok_or_else(|| Failure::Unusable("expected the length of the file, found none".to_owned()))
}
