//! A scripted box service: it keeps boxes and one switch, counts calls, and fails on demand.

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cua_grpo_gbox::{ClientConfig, GboxClient, RetryPolicy};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the service answers instead of its own answer.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The call it hits: method and the end of the path, e.g. `POST /click`.
    pub call: &'static str,
    /// The status; 0 answers, but only after the client has lost patience.
    pub status: u16,
    /// Header `retry-after-ms`.
    pub retry_after_ms: Option<u64>,
    /// Act before failing: the client cannot know.
    pub acts: bool,
}

impl Failure {
    pub fn new(call: &'static str, status: u16) -> Self {
        Self {
            call,
            status,
            retry_after_ms: None,
            acts: false,
        }
    }
}

#[derive(Debug, Default)]
pub struct Service {
    pub boxes: BTreeMap<String, Value>,
    pub most_running: usize,
    pub calls: Vec<(String, Value)>,
    pub failures: VecDeque<Failure>,
    pub wifi: bool,
    pub quota: Option<usize>,
    /// Leave the picture out of the results of actions.
    pub blind: bool,
    /// Lists have boxes of all labels and states.
    pub unfiltered: bool,
    /// Never answer, and do nothing.
    pub hung: bool,
    /// What creates are answered with, one after the other, in place of the box that was made.
    pub given: VecDeque<Value>,
    /// Boxes that are made come to nothing, for this reason.
    pub broken: Option<&'static str>,
    /// Acknowledge the ends of boxes with this status, and end none.
    pub lies: Option<u16>,
    /// What commands leave, in place of what they would.
    pub printed: Option<Value>,
}

impl Service {
    pub fn running(&self) -> usize {
        self.boxes
            .values()
            .filter(|object| object["status"] == "running")
            .count()
    }

    pub fn count(&self, call: &str) -> usize {
        self.calls.iter().filter(|(name, _)| name.ends_with(call)).count()
    }

    pub fn bodies(&self, call: &str) -> Vec<Value> {
        self.calls
            .iter()
            .filter(|(name, _)| name.ends_with(call))
            .map(|(_, body)| body.clone())
            .collect()
    }
}

#[derive(Clone)]
pub struct Double {
    pub base_url: String,
    pub service: Arc<Mutex<Service>>,
}

/// The size of the screen.
pub const SIZE: (u32, u32) = (40, 80);

impl Double {
    pub async fn start() -> Self {
        let service = Arc::new(Mutex::new(Service::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/api/v1/", listener.local_addr().unwrap());
        let api = Router::new()
            .route("/boxes/android", post(create))
            .route("/boxes", get(list))
            .route("/boxes/{id}", get(read))
            .route("/boxes/{id}/terminate", post(terminate))
            .route("/boxes/{id}/commands", post(command))
            .route("/boxes/{id}/actions/{name}", post(act))
            .route("/model", post(model))
            .layer(from_fn_with_state(service.clone(), record));
        let app = Router::new().nest("/api/v1", api).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base_url, service }
    }

    pub fn client(&self) -> GboxClient {
        client_at(&self.base_url)
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Service) -> T) -> T {
        look(&mut self.service.lock().unwrap())
    }

    pub fn fail(&self, failures: impl IntoIterator<Item = Failure>) {
        self.with(|service| service.failures.extend(failures));
    }
}

/// A client with little patience.
pub fn client_at(base_url: &str) -> GboxClient {
    let retry = RetryPolicy {
        max_retries: 2,
        base_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(2),
        outage_budget: Duration::from_millis(400),
    };
    let config = ClientConfig {
        retry,
        timeout: Duration::from_millis(300),
        ..ClientConfig::new("key")
    };
    GboxClient::new(config.at(base_url)).unwrap()
}

type Shared = State<Arc<Mutex<Service>>>;

async fn record(State(service): Shared, request: Request, next: Next) -> Response {
    let call = format!("{} {}", request.method(), request.uri().path());
    if request.headers().get("authorization").map(|value| value.as_bytes()) != Some(b"Bearer key".as_slice()) {
        return error(StatusCode::UNAUTHORIZED, "no such key");
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let failure = {
        let mut service = service.lock().unwrap();
        service
            .calls
            .push((call.clone(), serde_json::from_slice(&bytes).unwrap_or(Value::Null)));
        let (method, path) = service
            .failures
            .front()
            .map_or(("", ""), |f| f.call.split_once(' ').unwrap());
        if !method.is_empty() && call.starts_with(method) && call.ends_with(path) {
            service.failures.pop_front()
        } else {
            None
        }
    };
    if service.lock().unwrap().hung {
        std::future::pending::<()>().await;
    }
    let request = Request::from_parts(parts, bytes.into());
    let Some(failure) = failure else {
        return next.run(request).await;
    };
    if failure.acts {
        next.run(request).await;
    }
    if failure.status == 0 {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let status = StatusCode::from_u16(failure.status.max(200)).unwrap();
    let mut response = error(status, "injected");
    if let Some(wait) = failure.retry_after_ms {
        response.headers_mut().insert("retry-after-ms", wait.into());
    }
    response
}

fn error(status: StatusCode, message: &str) -> Response {
    (
        status,
        Json(json!({"statusCode": status.as_u16(), "message": message, "error": "Injected"})),
    )
        .into_response()
}

async fn create(State(service): Shared, Json(body): Json<Value>) -> Response {
    let mut service = service.lock().unwrap();
    if service.quota.is_some_and(|quota| service.running() >= quota) {
        return error(StatusCode::TOO_MANY_REQUESTS, "quota of boxes is used up");
    }
    let id = format!("box-{}", service.boxes.len());
    let mut object = json!({
        "id": id, "type": "android", "status": "running",
        "createdAt": "2025-01-01T00:00:00.000Z", "updatedAt": "2025-01-01T00:00:00.000Z", "expiresAt": null,
        "config": {"os": {"version": "13"}, "cpu": 2, "memory": 4096, "storage": 20,
                   "labels": body["config"]["labels"], "envs": body["config"]["envs"]},
        "unknownField": 1,
    });
    if let Some(reason) = service.broken {
        object["status"] = "error".into();
        object["reason"] = reason.repeat(100).into();
    }
    service.boxes.insert(id, object.clone());
    service.most_running = service.most_running.max(service.running());
    let object = service.given.pop_front().unwrap_or(object);
    (StatusCode::CREATED, Json(object)).into_response()
}

async fn list(State(service): Shared, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let service = service.lock().unwrap();
    let statuses = query.get("status").cloned().unwrap_or_default();
    let matches = |object: &&Value| {
        let status = statuses.is_empty() || statuses.split(',').any(|status| object["status"] == status);
        let labels = query.iter().all(|(key, value)| {
            let label = key.strip_prefix("labels[").and_then(|rest| rest.strip_suffix(']'));
            label.is_none_or(|label| object["config"]["labels"][label] == value.as_str())
        });
        status && labels
    };
    let matches = |object: &&Value| service.unfiltered || matches(object);
    let data: Vec<&Value> = service.boxes.values().filter(matches).collect();
    Json(json!({"data": data, "page": 1, "pageSize": 100, "total": data.len()}))
}

async fn read(State(service): Shared, Path(id): Path<String>) -> Response {
    match service.lock().unwrap().boxes.get(&id) {
        Some(object) => Json(object.clone()).into_response(),
        None => error(StatusCode::NOT_FOUND, "no such box"),
    }
}

async fn terminate(State(service): Shared, Path(id): Path<String>) -> Response {
    let mut service = service.lock().unwrap();
    if let Some(status) = service.lies {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    match service.boxes.get_mut(&id) {
        Some(object) => object["status"] = json!("terminated"),
        None => return error(StatusCode::NOT_FOUND, "no such box"),
    }
    StatusCode::OK.into_response()
}

async fn command(State(service): Shared, Json(body): Json<Value>) -> Json<Value> {
    let mut service = service.lock().unwrap();
    if let Some(printed) = &service.printed {
        return Json(printed.clone());
    }
    let (stdout, exit_code) = match body["command"].as_str().unwrap() {
        "settings get global wifi_on" => (format!("{}\n", u8::from(service.wifi)), 0.0),
        "settings put global wifi_on 0" => {
            service.wifi = false;
            (String::new(), 0.0)
        }
        "sleep" => (String::new(), 124.0),
        _ => (String::new(), 127.0),
    };
    Json(json!({"stdout": stdout, "stderr": "", "exitCode": exit_code}))
}

async fn act(
    State(service): Shared,
    Path((_, name)): Path<(String, String)>,
    _: HeaderMap,
    Json(body): Json<Value>,
) -> Json<Value> {
    let mut service = service.lock().unwrap();
    if name == "click" && body["x"] == 10.0 && body["y"] == 20.0 {
        service.wifi = !service.wifi;
    }
    let picture = picture(service.wifi);
    if name == "screenshot" {
        return Json(json!({"uri": picture}));
    }
    if service.blind {
        return Json(json!({"message": "done"}));
    }
    Json(json!({"actionId": "1", "message": "done", "screenshot": {"after": {"uri": picture}, "before": {"uri": ""}}}))
}

async fn model(Json(body): Json<Value>) -> Json<Value> {
    let place = |target: &Value| match target.as_str().unwrap() {
        "Wi-Fi" => json!({"x": 10, "y": 20}),
        "edge" => json!({"x": 39.5, "y": 79.5}),
        "beyond" => json!({"x": 40, "y": 20}),
        _ => json!({"x": -1, "y": -1}),
    };
    let action = &body["action"];
    let coordinates = match action["type"].as_str().unwrap() {
        "drag" => json!({"target": place(&action["target"]), "destination": place(&action["destination"])}),
        _ => place(&action["target"]),
    };
    Json(json!({"id": "1", "response": {"type": action["type"], "coordinates": coordinates}}))
}

/// A picture that shows the switch.
pub fn picture(wifi: bool) -> String {
    let colour = if wifi { [0, 255, 0] } else { [90, 90, 90] };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(SIZE.0, SIZE.1, image::Rgb(colour));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    cua_grpo_gbox::wire::data_uri("image/png", bytes.get_ref())
}
