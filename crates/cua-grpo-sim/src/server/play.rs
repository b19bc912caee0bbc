//! One task instance on a simulated phone, for a person with a browser: a page with the screen, and what it asks for.
//!
//! It listens on the loopback address alone. Its address has a token that nobody can guess, requests of other pages are
//! refused by their origin and host, and the page loads nothing from elsewhere.

use super::{
    config::Limits,
    serve::{NoBody, serve, whole},
    start::SimError,
};
use crate::device::Device;
use crate::rehearse::{answer, answered, set_up};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use cua_grpo_android::{PhoneKind, tasks::TaskState};
use cua_grpo_core::Task;
use cua_grpo_gbox::wire::Button;
use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The page; its words in capitals are filled in.
const PAGE: &str = include_str!("play.html");
/// Most bytes of a body.
const BODY: usize = 64 * 1024;
/// Letters of what a check found that are shown.
const SHOWN: usize = 400;
/// Longest time that passes on the phone between two looks at it.
const LONGEST: Duration = Duration::from_secs(5);

/// Why a task cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The phone cannot be brought to the start of the task.
    #[error("task {task}: {problem}; `trainer tasks check` shows what is wrong with it")]
    SetUp {
        /// Its id.
        task: String,
        /// What is wrong.
        problem: String,
    },
    /// The port cannot be had.
    #[error(transparent)]
    Listen(#[from] SimError),
}

/// A task that is played. Dropping it ends it.
#[derive(Debug)]
pub struct PlayServer {
    url: String,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

#[derive(Debug)]
struct Game {
    token: String,
    /// The hosts that this server is called by.
    hosts: [String; 2],
    page: String,
    limits: Limits,
    state: TaskState,
    desk: Mutex<Desk>,
}

/// The phone, and when it was last looked at.
#[derive(Debug)]
struct Desk {
    device: Device,
    seen: Instant,
}

impl PlayServer {
    /// Sets `task` up on a phone of a kind and serves it on a loopback port; 0 takes a free one.
    ///
    /// # Errors
    /// [`PlayError`].
    pub async fn start(task: &Task, phone: PhoneKind, port: u16) -> Result<Self, PlayError> {
        Self::start_within(task, phone, port, Limits::default()).await
    }

    /// As [`PlayServer::start`], with other limits of what a client may take.
    ///
    /// # Errors
    /// [`PlayError`].
    pub async fn start_within(task: &Task, phone: PhoneKind, port: u16, limits: Limits) -> Result<Self, PlayError> {
        let wrong = |problem: String| PlayError::SetUp {
            task: task.id.clone(),
            problem,
        };
        let state: TaskState = task.payload().map_err(|fault| wrong(fault.to_string()))?;
        let device = set_up(task, &state, phone).map_err(wrong)?;
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |reason| SimError::Bind { address: bind, reason };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let token = uuid::Uuid::new_v4().simple().to_string();
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let game = Arc::new(Game {
            page: page(task, &state, &nonce),
            hosts: ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}")),
            token: token.clone(),
            limits,
            state,
            desk: Mutex::new(Desk {
                device,
                seen: Instant::now(),
            }),
        });
        let policy = format!(
            "default-src 'none'; img-src 'self' data:; connect-src 'self'; script-src 'nonce-{nonce}'; style-src \
             'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        let (stop, stopped) = watch::channel(false);
        let app = router(game, policy);
        let served = tokio::spawn(serve(listener, app, limits, stopped));
        let url = format!("http://127.0.0.1:{port}/play/{token}/");
        Ok(Self { url, stop, served })
    }

    /// The address of the page, with its token.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it, within two seconds.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(Duration::from_secs(2), &mut self.served).await;
    }
}

impl Drop for PlayServer {
    fn drop(&mut self) {
        self.served.abort();
    }
}

fn router(game: Arc<Game>, policy: HeaderValue) -> Router {
    Router::new()
        .route("/play/{token}/", get(page_of))
        .route("/play/{token}/screen.png", get(screen))
        .route("/play/{token}/act", post(act))
        .route("/play/{token}/check", post(check))
        .route_layer(middleware::from_fn_with_state(game.clone(), guard))
        .layer(middleware::map_response(move |mut response: Response| {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
            for (name, value) in [
                (header::CACHE_CONTROL, "no-store"),
                (header::REFERRER_POLICY, "no-referrer"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::X_FRAME_OPTIONS, "DENY"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            std::future::ready(response)
        }))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(game)
}

type Refusal = (StatusCode, &'static str);

/// Lets requests in that come from our own page: to a host of ours, from no other origin, with the token.
async fn guard(
    State(game): State<Arc<Game>>,
    Path(token): Path<String>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if !game.is_own(request.headers(), request.uri()) {
        return Err((StatusCode::FORBIDDEN, "this is for its own page alone"));
    }
    // Compared in whole, so that the time tells nothing of where they differ.
    let differ = token
        .bytes()
        .zip(game.token.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    if token.len() != game.token.len() || differ != 0 {
        return Err((StatusCode::NOT_FOUND, "no such address; take the one that was printed"));
    }
    let (head, body) = request.into_parts();
    let body = whole(body, BODY, game.limits.body).await.map_err(|why| match why {
        NoBody::TooLarge | NoBody::Broken(_) => (StatusCode::PAYLOAD_TOO_LARGE, "expected what the page sends"),
        NoBody::Late => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    })?;
    Ok(next.run(Request::from_parts(head, body.into())).await)
}

impl Game {
    /// Whether a request is to a host of ours, and from no page of another origin. What says so twice says nothing.
    fn is_own(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let own = |text: &str| self.hosts.iter().any(|host| host == text);
        let all = |name| {
            headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().unwrap_or_default())
        };
        let hosts: Vec<&str> = all(header::HOST).collect();
        let origins: Vec<&str> = all(header::ORIGIN).collect();
        let place = uri.authority().is_none_or(|place| own(place.as_str()));
        let host = matches!(hosts[..], [host] if own(host));
        let origin = match origins[..] {
            [] => true,
            [origin] => origin.strip_prefix("http://").is_some_and(own),
            _ => false,
        };
        place && host && origin
    }

    /// The phone, on which as much time has passed as here.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = desk.seen.elapsed().min(LONGEST);
        desk.seen = Instant::now();
        desk.device
            .phone
            .wait(i64::try_from(passed.as_millis()).unwrap_or_default());
        desk
    }
}

async fn page_of(State(game): State<Arc<Game>>) -> Html<String> {
    Html(game.page.clone())
}

async fn screen(State(game): State<Arc<Game>>) -> Result<Response, Refusal> {
    let picture = game.desk().device.picture();
    let png = picture
        .png()
        .map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "the screen cannot be encoded"))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// What a person does; places are shares of the screen.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Deed {
    Tap { at: (f64, f64) },
    LongPress { at: (f64, f64) },
    Swipe { from: (f64, f64), to: (f64, f64), ms: u32 },
    Type { text: String },
    Key { name: String },
    Button { name: Button },
}

/// Reads a body that says it is JSON, which a form of another page cannot say.
fn read<'a, T: Deserialize<'a>>(headers: &HeaderMap, body: &'a Bytes) -> Result<T, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected application/json"));
    }
    serde_json::from_slice(body).map_err(|_| (StatusCode::BAD_REQUEST, "expected what the page sends"))
}

async fn act(State(game): State<Arc<Game>>, headers: HeaderMap, body: Bytes) -> Result<StatusCode, Refusal> {
    let deed: Deed = read(&headers, &body)?;
    let mut desk = game.desk();
    let device = &mut desk.device;
    let (width, height) = device.phone.size();
    let place = |(x, y): (f64, f64)| {
        let part = |share: f64, size: u32| share.clamp(0.0, 0.9999) * f64::from(size);
        (part(x, width), part(y, height))
    };
    let phone = &mut *device.phone;
    match deed {
        Deed::Tap { at } => {
            let (x, y) = place(at);
            phone.tap(x, y);
        }
        Deed::LongPress { at } => {
            let (x, y) = place(at);
            phone.long_press(x, y);
        }
        Deed::Swipe { from, to, ms } => phone.swipe(place(from), place(to), i64::from(ms.clamp(50, 3000))),
        Deed::Type { text } => phone.type_text(&text, false),
        Deed::Key { name } => phone.press(&name),
        Deed::Button { name } => phone.button(name),
    }
    device.settle();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    report: String,
}

/// The verdict: all checks of the phone and what was reported.
#[derive(Debug, Serialize)]
struct Verdict {
    done: bool,
    checks: Vec<Outcome>,
}

/// What came of a check.
#[derive(Debug, Serialize)]
struct Outcome {
    check: String,
    expected: String,
    found: String,
    held: bool,
}

async fn check(State(game): State<Arc<Game>>, headers: HeaderMap, body: Bytes) -> Result<Json<Verdict>, Refusal> {
    let Asked { report } = read(&headers, &body)?;
    let mut desk = game.desk();
    let asked = game.state.checks.iter().map(|check| {
        let (held, found) = answer(&mut desk.device, check).unwrap_or_else(|problem| (false, problem));
        Outcome {
            check: check.command.clone(),
            expected: check.expect.clone(),
            found: found.chars().take(SHOWN).collect(),
            held,
        }
    });
    let mut checks: Vec<Outcome> = asked.collect();
    if let Some(expected) = game.state.report.as_ref().and_then(|report| report.expect.clone()) {
        checks.push(Outcome {
            check: "the report".to_owned(),
            expected,
            held: answered(&game.state, &report).unwrap_or(false),
            found: report,
        });
    }
    let done = !checks.is_empty() && checks.iter().all(|outcome| outcome.held);
    Ok(Json(Verdict { done, checks }))
}

/// The page of a task.
fn page(task: &Task, state: &TaskState, nonce: &str) -> String {
    let asks = state.report.as_ref().is_some_and(|report| report.expect.is_some());
    let turns = task
        .max_turns
        .map_or(String::new(), |turns| format!(", at most {turns} turns"));
    PAGE.replace("NONCE", nonce)
        .replace("HIDDEN", if asks { "" } else { "hidden" })
        .replace("TURNS", &turns)
        .replace("TASK", &escape(&task.id))
        .replace("INSTRUCTION", &escape(&task.instruction))
}

fn escape(text: &str) -> String {
    let signs = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")];
    signs
        .iter()
        .fold(text.to_owned(), |text, (sign, name)| text.replace(*sign, name))
}
