//! A service that sends back the key it was sent, and messages in the words of the wire.

use crate::double::Double;
use crate::raw::{Raw, Then, head};
use cua_grpo_gbox::wire::{Command, CreateBox, ModelAction, ModelRequest, PressKey, ScreenshotRequest};
use cua_grpo_gbox::{BoxFilter, BoxPool, ClientConfig, GboxClient, GboxError, PoolConfig, RetryPolicy, boxes_of_runs};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "Planted-Key/8f3a\u{e9}";

fn client(base_url: &str) -> GboxClient {
    let retry = RetryPolicy {
        max_retries: 0,
        outage_budget: Duration::ZERO,
        ..RetryPolicy::default()
    };
    let config = ClientConfig {
        retry,
        ..ClientConfig::new(KEY)
    };
    GboxClient::new(config.at(base_url)).unwrap()
}

/// As whoever searches a log would.
fn holds(text: &str) -> bool {
    let text = text.to_lowercase();
    let key = KEY.to_lowercase();
    let escaped = [key.replace('/', "\\/"), key.escape_unicode().to_string()];
    text.contains(&key) || text.contains("8f3a") || escaped.iter().any(|escaped| text.contains(escaped))
}

/// The key as JSON may write it.
fn spellings() -> [String; 4] {
    let unicode: String = KEY.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    [
        KEY.to_owned(),
        KEY.replace('/', "\\/"),
        unicode,
        KEY.to_uppercase().replace('\u{c9}', "\u{e9}"),
    ]
}

fn model() -> ModelRequest {
    ModelRequest {
        model: None,
        screenshot: "data:,".to_owned(),
        action: ModelAction::Click {
            target: "OK".to_owned(),
        },
    }
}

/// What every kind of call makes of this answer.
async fn all(base_url: &str) -> Vec<Result<String, GboxError>> {
    fn told<T: std::fmt::Debug>(result: Result<T, GboxError>) -> Result<String, GboxError> {
        result.map(|value| format!("{value:?}"))
    }
    let client = client(base_url);
    let (command, shot) = (Command::default(), ScreenshotRequest::default());
    let keys = PressKey {
        keys: Vec::new(),
        combination: None,
        options: None,
    };
    let pool = BoxPool::new(client.clone(), PoolConfig::default()).unwrap();
    vec![
        told(client.get_box("b").await),
        told(client.list_boxes(&BoxFilter::default(), 1).await),
        told(boxes_of_runs(&client).await),
        told(client.command("b", &command).await),
        told(client.query("b", &command).await),
        told(client.screenshot("b", &shot).await),
        told(client.screen_layout("b").await),
        told(client.display("b").await),
        told(client.model(&model()).await),
        told(client.press_key("b", &keys).await),
        told(client.terminate("b", false).await),
        told(pool.preflight().await),
        told(client.create_android(&CreateBox::default()).await),
    ]
}

/// A server that gives this to everybody.
async fn answering(status: &str, body: &str) -> Raw {
    let more = format!("content-length: {}\r\n", body.len());
    Raw::start(head(status, &more) + body, Then::Close).await
}

#[tokio::test]
async fn a_key_that_comes_back_is_in_no_error_and_no_result() {
    let statuses = [
        "200 OK",
        "400 Bad Request",
        "401 Unauthorized",
        "404 Not Found",
        "429 Too Many Requests",
        "500 Oops",
    ];
    for (status, key) in statuses
        .into_iter()
        .flat_map(|status| spellings().map(|key| (status, key)))
    {
        let message = format!(r#"{{"message": "bad key Bearer {key}", "id": "{key}"}}"#);
        let (many, error) = (
            format!(r#"{{"message": ["{key}", "x"]}}"#),
            format!(r#"{{"error": "{key}{key}"}}"#),
        );
        let result = format!(
            r#"{{"stdout": "{key}", "stderr": "x{key}y\n", "exitCode": 3, "uri": "{key}", "content": "{key}",
                "message": "{key}", "{key}": 1, "actual": {{"{key}": ["{key}"]}},
                "data": [{{"id": "b", "status": "{key}", "config": {{"labels": {{"cua-grpo-run": "{key}", "{key}": ""}}}}}}],
                "orientation": "{key}", "resolution": {{"width": "{key}", "height": 1}},
                "response": {{"type": "{key}", "coordinates": 1}}}}"#
        );
        let bare = format!("<html>\u{1}{key} {}{key}", "x".repeat(100));
        for body in [message, many, error, result, bare] {
            let raw = answering(status, &body).await;
            for told in all(&raw.base_url).await {
                let told = told.unwrap_or_else(|error| format!("{error} {error:?}"));
                assert!(!holds(&told), "{status} {body}: {told}");
            }
            let sent = raw.heads();
            assert!(
                sent.iter().all(|head| head.contains("earer Planted-Key/8f3a")),
                "it was sent"
            );
        }
    }
    // A host of a redirect is written in small letters.
    let raw = Raw::start(
        head(
            "302 Found",
            "location: http://planted-key-8f3a.example/\r\ncontent-length: 0\r\n",
        ),
        Then::Close,
    )
    .await;
    let config = ClientConfig::new("Planted-Key-8F3A").at(&raw.base_url);
    let error = GboxClient::new(config).unwrap().get_box("b").await.unwrap_err();
    assert!(error.to_string().contains("redirects to http://***.example"), "{error}");
}

#[tokio::test]
async fn what_a_command_prints_is_whole_but_for_the_key() {
    let double = Double::start().await;
    double.with(|service| {
        service.printed = Some(json!({"stdout": "a \"key\"\n", "stderr": "\u{1b}[1m", "exitCode": 3}));
    });
    // The key of the double is `key`: too short to guard anything, so outputs stay as they are.
    let result = double.client().query("b", &Command::default()).await.unwrap();
    assert_eq!((&*result.stdout, &*result.stderr), ("a \"key\"\n", "\u{1b}[1m"));
}

/// Every value of a body in turn is of another kind.
fn changed(value: &Value) -> Vec<Value> {
    let odd = || {
        [
            json!(null),
            json!([]),
            json!([1]),
            json!({}),
            json!("?"),
            json!(5),
            json!(-1.5),
            json!(true),
        ]
    };
    let mut all: Vec<Value> = odd().into();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                for inner in changed(value) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), inner);
                    all.push(fields.into());
                }
                let mut fields = fields.clone();
                fields.remove(name);
                all.push(fields.into());
            }
        }
        Value::Array(values) => all.extend(values.iter().flat_map(changed).map(|inner| json!([inner]))),
        _ => {}
    }
    all
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_said_in_the_words_of_the_wire() {
    let point = json!({"x": 1, "y": 2});
    let picture = json!({"uri": "", "presignedUrl": "", "state": 1});
    let response =
        |coordinates: Value, kind: &str| json!({"id": "", "response": {"type": kind, "coordinates": coordinates}});
    let bodies = [
        json!({"id": "b", "type": "android", "status": "running", "createdAt": "", "updatedAt": "", "expiresAt": "",
               "reason": "", "config": {"os": {"version": "13"}, "deviceType": "", "workingDir": "", "labels": {"a": "b"},
               "envs": {"a": "b"}, "cpu": 2, "memory": 1, "storage": 1}}),
        json!({"data": [], "page": 1, "pageSize": 1, "total": 0}),
        json!({"stdout": "", "stderr": "", "exitCode": 0}),
        json!({"uri": ""}),
        json!({"content": ""}),
        json!({"orientation": "", "resolution": {"width": 1, "height": 1}}),
        response(point.clone(), "click"),
        response(json!({"target": point.clone(), "destination": point}), "drag"),
        response(json!({"x": 1, "y": 1, "scrollX": 1, "scrollY": 1}), "scroll"),
        json!({"actionId": "", "message": "", "actual": null,
               "screenshot": {"before": picture.clone(), "after": picture.clone(), "trace": picture}}),
    ];
    let ours = [
        "struct",
        "enum ",
        "variant of",
        "tuple",
        "unit ",
        "Loose",
        "ModelResult",
        "f64",
        "u64",
        "BoxObject",
    ];
    let mut count = 0;
    for body in bodies.iter().flat_map(changed) {
        let raw = answering("200 OK", &body.to_string()).await;
        for error in all(&raw.base_url).await.into_iter().filter_map(Result::err) {
            count += 1;
            let text = error.to_string();
            let named = ours.iter().find(|word| text.contains(**word));
            assert!(named.is_none(), "{named:?} in {text}");
        }
    }
    assert!(count > 1000, "{count} errors");
}
