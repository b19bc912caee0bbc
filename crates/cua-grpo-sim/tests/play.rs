//! The page on which a person plays a task, over HTTP: it shows the phone, does what it is told, and lets nobody else in.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::Catalogue;
use cua_grpo_sim::{Limits, PhoneKind, PlayServer};
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn started(template: &str, phone: PhoneKind) -> PlayServer {
    let task = Catalogue::built_in().find(template).unwrap().instance(3, phone);
    PlayServer::start(&task, phone, 0).await.unwrap()
}

async fn post(url: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let answer = Client::new()
        .post(format!("{url}{path}"))
        .json(&body)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn screen(url: &str) -> Vec<u8> {
    let answer = Client::new().get(format!("{url}screen.png")).send().await.unwrap();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "image/png");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_task_is_played_and_checked_on_each_phone() {
    for phone in PhoneKind::ALL {
        let server = started("go_home", phone).await;
        let url = server.url();
        let page = Client::new().get(url).send().await.unwrap();
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        let text = page.text().await.unwrap();
        assert!(
            text.to_lowercase().contains("home screen") && text.contains("go_home/3"),
            "{text}"
        );
        for left in ["http://", "https://", "NONCE", "HIDDEN", "INSTRUCTION", "TURNS"] {
            assert!(!text.contains(left), "{left}");
        }

        let (status, verdict) = post(url, "check", json!({})).await;
        assert_eq!(
            (status, &verdict["done"]),
            (StatusCode::OK, &json!(false)),
            "{phone}: {verdict}"
        );
        let before = screen(url).await;
        let (width, height) = image::load_from_memory(&before)
            .map(|image| (image.width(), image.height()))
            .unwrap();
        assert_eq!((width, height), cua_grpo_sim::PhoneSpec::from(phone).size());
        for deed in [
            json!({ "kind": "tap", "at": [0.5, 0.5] }),
            json!({ "kind": "long_press", "at": [2.0, -1.0] }),
            json!({ "kind": "swipe", "from": [0.5, 0.7], "to": [0.5, 0.3], "ms": 300 }),
            json!({ "kind": "type", "text": "hello" }),
            json!({ "kind": "key", "name": "enter" }),
            json!({ "kind": "button", "name": "back" }),
            json!({ "kind": "button", "name": "home" }),
            json!({ "kind": "button", "name": "home" }),
        ] {
            assert_eq!(
                post(url, "act", deed.clone()).await.0,
                StatusCode::NO_CONTENT,
                "{phone}: {deed}"
            );
        }
        assert_ne!(screen(url).await, before, "{phone}");
        let (_, verdict) = post(url, "check", json!({ "report": "" })).await;
        assert_eq!(verdict["done"], true, "{phone}: {verdict}");
        assert_eq!(verdict["checks"][0]["held"], true);
        server.shutdown().await;
    }
}

#[tokio::test]
async fn other_pages_and_guessed_addresses_are_refused() {
    let server = started("wifi", PhoneKind::Small).await;
    let url = server.url().to_owned();
    let place = url.trim_start_matches("http://").split('/').next().unwrap();
    assert!(place.starts_with("127.0.0.1:"), "{url}");
    let check = || Client::new().post(format!("{url}check")).json(&json!({}));
    let plain = || {
        let request = Client::new().post(format!("{url}check"));
        request.header(header::CONTENT_TYPE, "text/plain").body("{}")
    };
    let cases = [
        (check(), StatusCode::OK),
        (
            check().header(header::ORIGIN, format!("http://{place}")),
            StatusCode::OK,
        ),
        (
            check().header(header::ORIGIN, "http://example.org"),
            StatusCode::FORBIDDEN,
        ),
        (check().header(header::ORIGIN, "null"), StatusCode::FORBIDDEN),
        (check().header(header::HOST, "example.org"), StatusCode::FORBIDDEN),
        (plain(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (check().body("{\"x\": 1}"), StatusCode::BAD_REQUEST),
        (check().body("x".repeat(100_000)), StatusCode::PAYLOAD_TOO_LARGE),
        (Client::new().get(format!("{url}check")), StatusCode::METHOD_NOT_ALLOWED),
        (Client::new().get(format!("http://{place}/")), StatusCode::NOT_FOUND),
        (
            Client::new().get(format!("http://{place}/boxes")),
            StatusCode::NOT_FOUND,
        ),
        (
            Client::new().get(format!("http://{place}/play/0123/")),
            StatusCode::NOT_FOUND,
        ),
        (
            Client::new().get(format!("http://{place}/play/{}/screen.png", "0".repeat(32))),
            StatusCode::NOT_FOUND,
        ),
    ];
    for (index, (request, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(request.send().await.unwrap().status(), wanted, "case {index}");
    }
    drop(server);
    let ended = async {
        while Client::new().get(&url).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), ended)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_report_is_checked_and_a_set_up_that_fails_is_told() {
    let text = "templates:\n  - id: asks\n    category: own\n    difficulty: easy\n    max_turns: 5\n    instructions: ['Which \
                <b>volume</b> is it, {w}?']\n    parameters: {w: {choice: [now, then]}}\n    setup: [settings put system \
                volume_ring 3]\n    report: {equals: three}\n";
    let folder = tempfile::tempdir().unwrap();
    let load = |text: &str| {
        let file = folder.path().join("own.yaml");
        std::fs::write(&file, text).unwrap();
        Catalogue::with_files(&[file]).unwrap().own()[0].instance(1, PhoneKind::Small)
    };
    let server = PlayServer::start(&load(text), PhoneKind::Small, 0).await.unwrap();
    let page = Client::new()
        .get(server.url())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("&lt;b&gt;volume&lt;/b&gt;") && !page.contains("<b>"),
        "{page}"
    );
    for (report, done) in [("", false), ("four", false), ("Three", true)] {
        let (_, verdict) = post(server.url(), "check", json!({ "report": report })).await;
        assert_eq!(verdict["done"], done, "{report}: {verdict}");
    }
    let bad = load(&text.replace("settings put", "settings pat"));
    let error = PlayServer::start(&bad, PhoneKind::Small, 0)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("asks/1") && error.contains("settings pat"), "{error}");
}

#[tokio::test]
async fn what_says_twice_where_it_comes_from_is_refused_and_a_body_that_never_comes_ends() {
    let task = Catalogue::built_in()
        .find("wifi")
        .unwrap()
        .instance(3, PhoneKind::Small);
    let limits = Limits {
        body: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = PlayServer::start_within(&task, PhoneKind::Small, 0, limits)
        .await
        .unwrap();
    let url = server.url().to_owned();
    let rest = url.strip_prefix("http://").unwrap();
    let (place, path) = rest.split_once('/').unwrap();
    let answer = async |line: &str, headers: &str, body: &str| {
        let mut stream = TcpStream::connect(place).await.unwrap();
        let head = format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n{body}");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
        read.expect("an answer, or the end").unwrap();
        String::from_utf8_lossy(&bytes)
            .get(9..12)
            .map(str::to_owned)
            .unwrap_or_default()
    };
    let post = format!("POST /{path}check");
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    let host = format!("Host: {place}\r\n");
    for (line, headers, wanted) in [
        (post.clone(), format!("{host}{json}"), "200"),
        (post.clone(), format!("{host}Origin: http://{place}\r\n{json}"), "200"),
        (post.clone(), format!("{host}Host: example.org\r\n{json}"), "403"),
        (
            post.clone(),
            format!("{host}Origin: http://{place}\r\nOrigin: http://example.org\r\n{json}"),
            "403",
        ),
        (
            format!("POST http://example.org/{path}check"),
            format!("{host}{json}"),
            "403",
        ),
        (post.clone(), json.to_owned(), "403"),
    ] {
        assert_eq!(answer(&line, &headers, "{}").await, wanted, "{line} {headers}");
    }
    let never = format!("{host}Content-Type: application/json\r\nContent-Length: 20\r\n");
    assert_eq!(answer(&post, &never, "{").await, "408");
    server.shutdown().await;
}
