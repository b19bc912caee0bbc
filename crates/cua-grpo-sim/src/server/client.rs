//! What a request's head tells of its client: where it reaches us, and whether it speaks an old dialect.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use std::convert::Infallible;

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// Host and port by which this client reaches us.
    host: String,
    secure: bool,
    /// The JavaScript SDK 0.1, of before this API had its present form: actions always give pictures there.
    pub old: bool,
}

impl Caller {
    /// The beginning of addresses that this client can open.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }

    /// The same for WebSockets.
    pub fn socket_origin(&self) -> String {
        format!("{}://{}", if self.secure { "wss" } else { "ws" }, self.host)
    }

    /// The host without its port.
    pub fn host_name(&self) -> &str {
        let end = self.host.rfind(':').filter(|end| !self.host[*end..].contains(']'));
        end.map_or(&self.host, |end| &self.host[..end])
    }

    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let old_version = text("x-stainless-package-version").is_some_and(|version| version.starts_with("0.1."));
        Self {
            host: text(header::HOST.as_str()).unwrap_or("localhost").to_owned(),
            secure: text("x-forwarded-proto") == Some("https"),
            old: text("x-stainless-lang") == Some("js") && old_version,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_old_dialect_is_known_by_its_name() {
        let table = [
            ("js", "0.1.1", true),
            ("js", "0.44.0", false),
            ("python", "0.1.0-alpha.41", false),
        ];
        for (language, version, old) in table {
            let mut headers = HeaderMap::new();
            headers.insert("x-stainless-lang", language.parse().unwrap());
            headers.insert("x-stainless-package-version", version.parse().unwrap());
            headers.insert("host", "127.0.0.1:80".parse().unwrap());
            let caller = Caller::of(&headers);
            assert_eq!((caller.old, caller.origin().as_str()), (old, "http://127.0.0.1:80"));
            assert_eq!(caller.host_name(), "127.0.0.1");
        }
    }
}
