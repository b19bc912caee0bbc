//! What can go wrong with a request on purpose, before or after it is carried out.

use super::{config::Mishap, reply::ApiError, state::SimState};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll},
};

/// Carries a request out, or has a mishap with it.
pub(super) async fn run(state: &SimState, request: Request, body: &Bytes, next: Next) -> Result<Response, ApiError> {
    let path = request.uri().path().to_owned();
    let deed = deed(&path, body, &state.config.faults.questions);
    let mishap = state.mishap(path.ends_with("/terminate"));
    note(state, &path, deed, mishap.is_some());
    let Some(mishap) = mishap else {
        return Ok(next.run(request).await);
    };
    let busy = |status| ApiError::busy(status, "a mishap on purpose: a fault of the simulator");
    let (unavailable, limited) = (StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS);
    match mishap {
        Mishap::Unavailable => return Err(busy(unavailable)),
        Mishap::Limited => return Err(busy(limited)),
        Mishap::Stuck => {
            return Err(ApiError::new(
                StatusCode::LOCKED,
                "stuck on purpose: a fault of the simulator",
            ));
        }
        Mishap::Hang => std::future::pending().await,
        _ => {}
    }
    let response = next.run(request).await;
    match mishap {
        Mishap::UnavailableAfter => return Err(busy(unavailable)),
        Mishap::LimitedAfter => return Err(busy(limited)),
        Mishap::HangAfter => std::future::pending().await,
        _ => {}
    }
    Ok(spoilt(response, mishap).await)
}

/// Actions that only look, or that the phone itself knows nothing of.
const NO_ACTS: [&str; 7] = [
    "screenshot",
    "screen-layout",
    "elements/",
    "extract",
    "clipboard",
    "settings",
    "recording/",
];

/// Whether a path changes the screen.
pub(super) fn acts(path: &str) -> bool {
    let action = path.split_once("/actions/").map(|(_, action)| action);
    action.is_some_and(|action| !NO_ACTS.iter().any(|name| action.starts_with(name)))
}

/// A mark of what a request does to a phone; `None` when it only looks. `questions` are commands that only read.
fn deed(path: &str, body: &Bytes, questions: &[String]) -> Option<u64> {
    const LOOKS: [&str; 3] = ["settings get", "dumpsys", "content query"];
    let only_looks = || {
        let text = String::from_utf8_lossy(body);
        let asks = |question: &String| text.contains(&serde_json::Value::from(question.as_str()).to_string());
        LOOKS.iter().any(|words| text.contains(words)) || questions.iter().any(asks)
    };
    let acts = acts(path) || ((path.ends_with("/commands") || path.ends_with("/run-code")) && !only_looks());
    acts.then(|| {
        let mut hasher = DefaultHasher::new();
        (path, body.as_ref()).hash(&mut hasher);
        hasher.finish()
    })
}

/// Counts deeds, and those that are asked for again although they may have been done. Who looks at the screen in between
/// may do the same once more: the policy wants it.
fn note(state: &SimState, path: &str, deed: Option<u64>, mishap: bool) {
    let box_id = path.split_once("/boxes/").and_then(|(_, rest)| rest.split('/').next());
    let Some(box_id) = box_id else { return };
    let mut doubts = state.doubts();
    match deed {
        Some(deed) => {
            state.deeds.fetch_add(1, Ordering::Relaxed);
            if doubts.get(box_id) == Some(&deed) {
                state.repeated.fetch_add(1, Ordering::Relaxed);
            }
            if mishap {
                doubts.insert(box_id.to_owned(), deed);
            } else {
                doubts.remove(box_id);
            }
        }
        None if path.ends_with("/actions/screenshot") => _ = doubts.remove(box_id),
        None => {}
    }
}

/// The answer with a body that does not end as it should.
async fn spoilt(response: Response, mishap: Mishap) -> Response {
    let (mut head, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let length = match mishap {
        Mishap::Huge => Some(GIGABYTE),
        Mishap::Endless => None,
        _ => Some(whole.len().max(2) as u64),
    };
    head.headers.remove(header::CONTENT_LENGTH);
    if let Some(length) = length {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let half = whole.slice(..whole.len() / 2);
    let left = match mishap {
        Mishap::Huge => Left::Spaces(GIGABYTE),
        Mishap::Endless => Left::Spaces(u64::MAX),
        Mishap::Truncate if !half.is_empty() => Left::Half(half),
        _ => Left::Nothing,
    };
    Response::from_parts(head, Body::new(Spoilt(left))).into_response()
}

const GIGABYTE: u64 = 1 << 30;
static SPACES: [u8; 65_536] = [b' '; 65_536];

/// What is still to come of a spoilt body.
enum Left {
    Half(Bytes),
    Spaces(u64),
    Nothing,
}

struct Spoilt(Left);

impl hyper::body::Body for Spoilt {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match std::mem::replace(&mut self.0, Left::Nothing) {
            Left::Half(half) => half,
            Left::Spaces(0) => return Poll::Ready(None),
            Left::Spaces(left) => {
                let piece =
                    Bytes::from_static(&SPACES).slice(..SPACES.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                self.0 = Left::Spaces(if left == u64::MAX {
                    left
                } else {
                    left - piece.len() as u64
                });
                piece
            }
            Left::Nothing => return Poll::Ready(Some(Err(io::Error::other("broken off on purpose")))),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
