//! The page on which a person plays a task, over HTTP: it shows the phone, does what it is told, and lets nobody else in.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::Catalogue;
use cua_grpo_sim::{PhoneKind, PlayServer};
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};

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
