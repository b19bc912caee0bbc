//! Requests to the simulator changed at random: each is answered, none ends the server or the phone.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers are not seen as tests; figures are shown with --nocapture"
)]

use cua_grpo_core::testing::fuzz::run;
use cua_grpo_sim::{PhoneKind, SimConfig, SimServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// Words that mean something in paths, commands or bodies.
const WORDS: [&str; 16] = [
    "null",
    "[",
    "{",
    "1e308",
    "-1",
    "$A",
    "; settings put system a b",
    "`",
    "\"",
    "%00",
    "&page=18446744073709551615",
    "/../",
    "data:image/png;base64,",
    "1h",
    "am start -n com.android.settings/.Settings",
    "\u{1F600}",
];

/// Valid requests: method, path and body. `ID` stands for the box.
fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let traced = json!({"screenshot": {"phases": ["before", "after", "trace"], "outputFormat": "base64"}});
    let pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let bound = json!({"boundingBox": {"x": 0, "y": 0, "width": 9, "height": 9}, "centerX": 4, "centerY": 4});
    let labels = json!({"a": "b"});
    let act = |name, body| ("POST", name, body);
    vec![
        act(
            "/boxes/android",
            json!({"timeout": "1m", "wait": true, "config": {"expiresIn": "15m", "keepAlive": "5m", "labels": labels,
                "envs": {"CUA_SIM_SEED": "5"}, "deviceType": "virtual"}}),
        ),
        (
            "GET",
            "/boxes?page=1&pageSize=10&status=running&labels[a]=b",
            Value::Null,
        ),
        ("GET", "/boxes/ID", Value::Null),
        ("GET", "/boxes/ID/display", Value::Null),
        ("GET", "/boxes/ID/actions/screen-layout", Value::Null),
        act(
            "/boxes/ID/commands",
            json!({"command": "A=1; settings put global wifi_on $A && settings list global | grep wifi", "envs": {"B": "2"},
                "timeout": "5s", "workingDir": "/"}),
        ),
        act(
            "/boxes/ID/actions/screenshot",
            json!({"outputFormat": "base64", "clip": {"x": 1, "y": 1, "width": 5, "height": 5}}),
        ),
        act(
            "/boxes/ID/actions/click",
            json!({"x": 20, "y": 40.5, "button": "left", "double": true, "options": traced}),
        ),
        act("/boxes/ID/actions/click", json!({"target": bound, "options": traced})),
        act("/boxes/ID/actions/click", json!({"target": "Wi-Fi"})),
        act("/boxes/ID/actions/tap", json!({"x": 20, "y": 40, "options": traced})),
        act(
            "/boxes/ID/actions/long-press",
            json!({"x": 20, "y": 40, "duration": "500ms"}),
        ),
        act(
            "/boxes/ID/actions/swipe",
            json!({"start": {"x": 90, "y": 200}, "end": {"x": 90, "y": 20}, "duration": "300ms", "options": traced}),
        ),
        act(
            "/boxes/ID/actions/swipe",
            json!({"direction": "up", "distance": "long"}),
        ),
        act(
            "/boxes/ID/actions/scroll",
            json!({"x": 90, "y": 90, "scrollX": 0, "scrollY": 100, "options": traced}),
        ),
        act(
            "/boxes/ID/actions/scroll",
            json!({"direction": "down", "distance": 100}),
        ),
        act(
            "/boxes/ID/actions/drag",
            json!({"path": [{"x": 9, "y": 9}, {"x": 50, "y": 50}], "duration": "100ms"}),
        ),
        act(
            "/boxes/ID/actions/drag",
            json!({"start": {"x": 9, "y": 9}, "end": {"x": 50, "y": 50}}),
        ),
        act(
            "/boxes/ID/actions/type",
            json!({"text": "caf\u{e9} \u{1F600}", "mode": "append", "pressEnter": true}),
        ),
        act(
            "/boxes/ID/actions/press-key",
            json!({"keys": ["control", "a"], "combination": true}),
        ),
        act("/boxes/ID/actions/press-button", json!({"buttons": ["home", "back"]})),
        act(
            "/model",
            json!({"model": "gbox-handy-1", "screenshot": pixel, "action": {"type": "click", "target": "Wi-Fi"}}),
        ),
        act(
            "/model",
            json!({"screenshot": pixel, "action": {"type": "drag", "target": "Wi-Fi", "destination": "Apps"}}),
        ),
    ]
    .into_iter()
    .chain(beside_the_screen())
    .collect()
}

/// Valid requests for what a box has beside its screen.
fn beside_the_screen() -> Vec<(&'static str, &'static str, Value)> {
    let act = |name, body| ("POST", name, body);
    let touch = json!({"points": [{"start": {"x": 9, "y": 60}, "actions": [{"type": "move", "x": 9, "y": 90, "duration": "9ms"},
        {"type": "wait", "duration": "9ms"}]}]});
    vec![
        act(
            "/boxes/ID/run-code",
            json!({"code": "echo $1 > a.txt; cat a.txt", "argv": ["x"], "language": "bash"}),
        ),
        act(
            "/boxes/ID/commands",
            json!({"command": "pm list packages -3; ls -l /sdcard 2>/dev/null | head -n 3"}),
        ),
        act("/boxes/ID/actions/touch", touch),
        act(
            "/boxes/ID/actions/move",
            json!({"x": 9, "y": 60, "includeScreenshot": true, "screenshotDelay": "1ms"}),
        ),
        act(
            "/boxes/ID/actions/screen-rotation",
            json!({"orientation": "landscapeLeft"}),
        ),
        act(
            "/boxes/ID/actions/extract",
            json!({"instruction": "x", "schema": {"properties": {"a": {"type": "array"}}}}),
        ),
        act(
            "/boxes/ID/actions/elements/detect",
            json!({"screenshot": {"outputFormat": "storageKey"}}),
        ),
        act("/boxes/ID/actions/clipboard", json!({"content": "text"})),
        ("PUT", "/boxes/ID/actions/settings", json!({"scale": 0.5})),
        act("/boxes/ID/actions/recording/start", Value::Null),
        act("/boxes/ID/actions/recording/stop", Value::Null),
        act("/boxes/ID/resolution", json!({"width": 96, "height": 192})),
        act(
            "/boxes/ID/fs/write",
            json!({"path": "a/b.txt", "content": "text", "workingDir": "/sdcard"}),
        ),
        ("GET", "/boxes/ID/fs/list?path=/sdcard&depth=2", Value::Null),
        ("GET", "/boxes/ID/fs/read?path=b.txt&workingDir=/sdcard/a", Value::Null),
        act(
            "/boxes/ID/fs/rename",
            json!({"oldPath": "/sdcard/a", "newPath": "/sdcard/c"}),
        ),
        ("DELETE", "/boxes/ID/fs", json!({"path": "/sdcard/c"})),
        act(
            "/boxes/ID/android/packages",
            json!({"apk": "https://example.com/org.own.app.apk", "open": true}),
        ),
        (
            "GET",
            "/boxes/ID/android/packages?pkgType=system,thirdParty&runningFilter=running",
            Value::Null,
        ),
        act(
            "/boxes/ID/android/packages/org.own.app/open",
            json!({"activityName": ".MainActivity"}),
        ),
        act("/boxes/ID/android/packages/org.own.app/backup", Value::Null),
        (
            "DELETE",
            "/boxes/ID/android/packages/org.own.app",
            json!({"keepData": true}),
        ),
        act("/boxes/ID/browser/tabs", json!({"url": "https://example.com"})),
        act(
            "/boxes/ID/proxy",
            json!({"host": "h", "port": 80, "auth": {"username": "a", "password": "b"}}),
        ),
        act("/boxes/ID/media/albums", json!({"name": "Trip"})),
        act("/boxes/ID/live-view-url", json!({"expiresIn": "1m"})),
        ("GET", "/devices?page=1&pageSize=3", Value::Null),
        ("GET", "/snapshots", Value::Null),
    ]
}

/// A client of the simulator with one box.
struct Client {
    runtime: tokio::runtime::Runtime,
    server: SimServer,
    http: reqwest::Client,
    id: String,
    answers: BTreeMap<u16, usize>,
}

impl Client {
    fn start(phone: PhoneKind) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.enable_all().worker_threads(2).build().unwrap();
        let config = SimConfig {
            phone: phone.into(),
            ..SimConfig::default()
        };
        let server = runtime.block_on(SimServer::start(config)).unwrap();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let mut client = Self {
            runtime,
            server,
            http,
            id: String::new(),
            answers: BTreeMap::new(),
        };
        client.born();
        client
    }

    fn born(&mut self) {
        let (status, body) = self.ask(Method::POST, "/boxes/android", b"{\"wait\": true}").unwrap();
        assert_eq!(status, 201);
        self.id = body["id"].as_str().unwrap().to_owned();
    }

    /// The answer; `None` for what is no request.
    fn ask(&self, method: Method, path: &str, body: &[u8]) -> Option<(u16, Value)> {
        let url = format!("{}{}", self.server.base_url(), path.replace("ID", &self.id));
        let request = self.http.request(method, url).bearer_auth("any");
        let request = request.header("content-type", "application/json").body(body.to_vec());
        let request = request.build().ok()?;
        let answer = self.runtime.block_on(async {
            let answer = self.http.execute(request).await?;
            let status = answer.status().as_u16();
            answer.bytes().await.map(|bytes| (status, bytes))
        });
        let (status, bytes) = answer.unwrap_or_else(|error| panic!("no answer: {error:?}"));
        Some((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// The phone still works; one that a request has ended is replaced.
    fn look(&mut self) {
        if self.ask(Method::GET, "/boxes/ID", b"").unwrap().1["status"] != "running" {
            self.born();
        }
        let (status, _) = self.ask(Method::POST, "/boxes/ID/actions/screenshot", b"{}").unwrap();
        assert_eq!(status, 200, "the phone is lost");
    }

    /// Asks with what stands in `input`: method, path, and the body behind a line's end.
    fn put(&mut self, input: &[u8]) {
        let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let head = String::from_utf8_lossy(&input[..end]).into_owned();
        let (method, path) = head.split_once(' ').unwrap_or(("POST", &head));
        let Ok(method) = Method::from_bytes(method.as_bytes()) else {
            return;
        };
        let Some((status, body)) = self.ask(method, path, input.get(end + 1..).unwrap_or_default()) else {
            return;
        };
        *self.answers.entry(status).or_default() += 1;
        assert!(status < 500, "{status}: {body}");
        if let (201, Some(id)) = (status, body["id"].as_str()) {
            self.ask(Method::DELETE, &format!("/boxes/{id}"), b"").unwrap();
        }
    }

    /// Writes bytes to a connection of its own, and reads until it is closed.
    fn write(&self, input: &[u8]) {
        let place = self
            .server
            .base_url()
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap();
        self.runtime.block_on(async {
            let mut stream = TcpStream::connect(place).await.unwrap();
            // A connection that is refused half-way is an answer, too.
            let _ = stream.write_all(input).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            assert!(read.is_ok(), "the connection stays open");
        });
    }
}

#[test]
fn bodies_and_paths() {
    PhoneKind::ALL.into_iter().for_each(bodies_and_paths_on);
}

fn bodies_and_paths_on(phone: PhoneKind) {
    let mut client = Client::start(phone);
    let requests = requests();
    for (method, path, body) in &requests {
        client.put(format!("{method} {path}\n{body}").as_bytes());
    }
    let valid = client.answers.clone();
    assert!(valid.get(&200).copied().unwrap_or(0) > 15, "most are valid: {valid:?}");
    let mut count = 0;
    let inputs = run(
        "requests",
        |mutator| {
            let (method, path, body) = &requests[mutator.below(requests.len())];
            let (mut path, mut text) = (path.as_bytes().to_vec(), body.to_string().into_bytes());
            match mutator.below(4) {
                0 => path = mutator.bytes(&path, &WORDS),
                1 => text = mutator.bytes(&text, &WORDS),
                _ => text = mutator.json(body).to_string().into_bytes(),
            }
            path.retain(|byte| *byte != b'\n');
            [method.as_bytes(), b" ", &path, b"\n", &text].concat()
        },
        |input| {
            client.put(input);
            count += 1;
            if count % 50 == 0 {
                client.look();
            }
        },
    );
    client.look();
    println!("requests: {inputs} inputs, {:?}", client.answers);
}

#[test]
fn connections() {
    PhoneKind::ALL.into_iter().for_each(connections_on);
}

fn connections_on(phone: PhoneKind) {
    let mut client = Client::start(phone);
    let requests = requests();
    let inputs = run(
        "connections",
        |mutator| {
            let (method, path, body) = &requests[mutator.below(requests.len())];
            let body = body.to_string();
            let text = format!(
                "{method} /api/v1{path} HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer any\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let words = [
                "\r\n",
                "transfer-encoding: chunked\r\n",
                "HTTP/1.1",
                "0\r\n\r\n",
                "expect: 100-continue\r\n",
            ];
            mutator.bytes(text.as_bytes(), &words)
        },
        |input| client.write(input),
    );
    client.look();
    println!("connections: {inputs} inputs");
}
