//! Answers that no service should give: bodies without end, broken off, sent elsewhere, lists of strange boxes.

use crate::double::{Double, client_at};
use crate::raw::{Raw, Then, head};
use cua_grpo_gbox::wire::{Click, Place, Point, ScreenshotRequest};
use cua_grpo_gbox::{BodyLimits, BoxFilter, BoxPool, ClientConfig, GboxClient, GboxError, PoolConfig, boxes_of_run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn click() -> Click {
    Click {
        place: Place::Point(Point { x: 1.0, y: 1.0 }),
        button: None,
        double: None,
        modifier_keys: Vec::new(),
        options: None,
    }
}

/// A client that reads little.
fn small(base_url: &str) -> GboxClient {
    let bodies = BodyLimits {
        json: 100_000,
        text: 200_000,
        picture: 300_000,
        error: 1000,
    };
    let config = ClientConfig {
        bodies,
        timeout: Duration::from_secs(20),
        ..ClientConfig::new("key")
    };
    GboxClient::new(config.at(base_url)).unwrap()
}

static SPACES: [u8; 4096] = [b' '; 4096];

#[tokio::test]
async fn a_body_without_end_is_read_up_to_the_limit_of_its_kind() {
    let announced = head("200 OK", "content-length: 1000000000\r\n");
    let chunked = head("200 OK", "transfer-encoding: chunked\r\n");
    for (answer, then) in [
        (head("200 OK", ""), Then::Endless(&SPACES)),
        (announced, Then::Endless(&SPACES)),
        (chunked, Then::Endless(b"8\r\n        \r\n")),
    ] {
        let raw = Raw::start(answer, then).await;
        let client = small(&raw.base_url);
        // By its size, and not by the 20 s of a call.
        let limit = |error: GboxError| match error {
            GboxError::TooLarge { limit, .. } => limit,
            other => panic!("{other}"),
        };
        assert_eq!(limit(client.get_box("b").await.unwrap_err()), 100_000);
        assert_eq!(limit(client.screen_layout("b").await.unwrap_err()), 200_000);
        let asked = ScreenshotRequest::default();
        assert_eq!(limit(client.screenshot("b", &asked).await.unwrap_err()), 300_000);
        let clicked = client.click("b", &click()).await.unwrap_err();
        assert!(clicked.is_ambiguous(), "it was clicked");
        assert_eq!(limit(clicked), 300_000);
        assert_eq!(raw.requests(), 4, "none is tried again");
    }
    // The text of an error is cut, and what it was is known.
    let raw = Raw::start(head("404 Not Found", ""), Then::Endless(b"no such box\x1b[2J ")).await;
    let error = small(&raw.base_url).get_box("b").await.unwrap_err();
    let text = error.to_string();
    assert!(error.status() == Some(404) && text.len() < 500, "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[tokio::test]
async fn a_body_that_only_drips_ends_with_the_time_of_its_call() {
    for status in ["200 OK", "401 Unauthorized"] {
        let raw = Raw::start(head(status, ""), Then::Drip).await;
        let config = ClientConfig {
            timeout: Duration::from_millis(200),
            ..ClientConfig::new("key")
        };
        let client = GboxClient::new(config.at(&raw.base_url)).unwrap();
        let begin = Instant::now();
        let error = client.click("b", &click()).await.unwrap_err();
        // It would drip for ever. The bound is far above 200 ms for machines that are busy.
        assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
        match error {
            GboxError::TimedOut { .. } => assert_eq!(status, "200 OK"),
            GboxError::Unauthorized { .. } => assert_eq!(status, "401 Unauthorized"),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again_unless_it_was_an_action() {
    let cut = format!("{}{{\"message\":\"do", head("200 OK", "content-length: 40\r\n"));
    for answer in [String::new(), head("200 OK", "content-length: 40\r\n"), cut] {
        let raw = Raw::start(answer, Then::Close).await;
        let client = client_at(&raw.base_url);
        let error = client.click("b", &click()).await.unwrap_err();
        assert!(matches!(error, GboxError::Broken { .. }), "{error}");
        assert!(error.is_ambiguous());
        assert_eq!(raw.requests(), 1, "a click that may have been done");
        client.get_box("b").await.unwrap_err();
        assert_eq!(raw.requests(), 4, "three looks");
    }
    // An answer that is whole and no JSON.
    let raw = Raw::start(
        format!("{}{{\"me", head("200 OK", "content-length: 4\r\n")),
        Then::Close,
    )
    .await;
    let client = client_at(&raw.base_url);
    let error = client.click("b", &click()).await.unwrap_err();
    assert!(matches!(error, GboxError::Answer { .. }) && error.is_ambiguous());
    assert_eq!(raw.requests(), 1);
}

#[tokio::test]
async fn the_key_goes_to_its_own_host_alone() {
    let elsewhere = Raw::start(head("200 OK", "content-length: 2\r\n") + "{}", Then::Close).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let target = format!("{}/secret?token=1", elsewhere.base_url);
        let more = format!("location: {target}\r\ncontent-length: 0\r\n");
        let raw = Raw::start(head(status, &more), Then::Close).await;
        let client = client_at(&raw.base_url);
        for error in [
            client.get_box("b").await.unwrap_err(),
            client.click("b", &click()).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(
                text.contains("redirects to http://127.0.0.1") && text.contains("gbox_base_url"),
                "{text}"
            );
            assert!(!text.contains("token"), "{text}");
        }
        assert_eq!((raw.requests(), elsewhere.requests()), (2, 0), "{status}");
        assert!(raw.heads()[0].to_lowercase().contains("bearer key"));
    }
}

#[test]
fn a_base_url_has_no_password_and_none_is_shown() {
    for url in [
        "https://user:hunter2@gbox.ai/api/v1",
        "https://hunter2@gbox.ai",
        "https://gbox.ai/api?key=hunter2",
        "https://gbox.ai/#hunter2",
        "ftp://user:hunter2@gbox.ai",
        "hunter2",
        "http://",
        "",
    ] {
        let error = GboxClient::new(ClientConfig::new("key").at(url)).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("gbox_base_url") && !text.contains("hunter2"),
            "{url}: {text}"
        );
    }
    for url in [
        "https://gbox.ai/api/v1/",
        "http://localhost:28080/api/v1",
        "http://[::1]:80",
    ] {
        GboxClient::new(ClientConfig::new("key").at(url)).unwrap();
    }
}

/// What a terminal would obey: a colour, and signs that turn the direction of what follows.
#[tokio::test]
async fn texts_of_a_service_are_short_and_plain_wherever_they_come_from() {
    const EVIL: &str = "\u{1b}[2J\u{202e}evil\u{2066}\u{9b}31m\r\n";
    let plain = |text: String| {
        assert!(text.contains("evil") && text.len() < 1000, "{text:?}");
        let odd = |c: char| c.is_control() || "\u{202e}\u{2066}".contains(c);
        assert!(!text.contains(odd), "{text:?}");
    };
    let double = Double::start().await;
    double.with(|service| service.broken = Some(EVIL));
    let pool = BoxPool::new(double.client(), PoolConfig::default()).unwrap();
    plain(
        pool.lease(BTreeMap::new(), BTreeMap::new())
            .await
            .unwrap_err()
            .to_string(),
    );
    let body = json!({"message": EVIL}).to_string();
    let length = format!("Content-Length: {}\r\n", body.len());
    let raw = Raw::start(head("404 Not Found", &length), Then::Endless(body.leak().as_bytes())).await;
    plain(small(&raw.base_url).get_box("a").await.unwrap_err().to_string());
    double.with(|service| {
        service.unfiltered = true;
        service.boxes.insert("a".into(), listed("a", EVIL, "mine"));
    });
    let found = boxes_of_run(&double.client(), "mine").await.unwrap();
    plain(found[0].status.clone());
}

/// A box of a run.
fn listed(id: &str, status: &str, run: &str) -> Value {
    json!({"id": id, "type": "android", "status": status, "config": {"labels": {"cua-grpo-run": run}}})
}

#[tokio::test]
async fn strange_boxes_of_others_and_lists_without_pages_block_nothing() {
    let double = Double::start().await;
    double.with(|service| {
        service.unfiltered = true;
        let mut strange = |id: &str, object: Value| service.boxes.insert(id.to_owned(), object);
        strange(
            "a",
            json!({"id": "a", "status": "hibernating", "config": {"labels": {"cua-grpo-run": "other"}}}),
        );
        strange("b", json!({"id": "b", "status": 7, "config": null}));
        strange("c", json!(null));
        strange("d", json!({"id": ["d"], "status": "running"}));
        strange(
            "e",
            json!({"id": "../boxes/other", "status": "running", "config": {"labels": {"cua-grpo-run": "mine"}}}),
        );
        strange(
            "f",
            json!({"id": "f", "config": {"labels": {"cua-grpo-run": "mine", "n": 1}, "cpu": "many"}}),
        );
        for number in 0..250 {
            let id = format!("x{number}");
            strange(
                &id,
                listed(&id, "running", if number % 2 == 0 { "mine" } else { "other" }),
            );
        }
        strange("z", listed("z", "terminated", "mine"));
    });
    let client = double.client();
    let mine = boxes_of_run(&client, "mine").await.unwrap();
    assert_eq!(mine.len(), 126, "every second of 250, and one without a status");
    assert!(mine.iter().all(|listed| listed.labels["cua-grpo-run"] == "mine"));
    assert_eq!(
        double.with(|service| service.count("GET /boxes")),
        2,
        "a list that ignores `page` is asked until it repeats"
    );
    assert_eq!(client.list_all(&BoxFilter::default()).await.unwrap().len(), 254);
}
