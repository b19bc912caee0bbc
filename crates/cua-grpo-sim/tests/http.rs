//! The API over a loopback port, with the wire types of the client.
#![allow(clippy::unwrap_used)]

use cua_grpo_gbox::wire::{
    ActionOptions, ActionResult, BoxList, BoxObject, BoxStatus, Click, Command, CommandResult, CreateBox,
    CreateBoxConfig, Display, ErrorBody, ModelAction, ModelRequest, ModelResponse, ModelResult, Place, Point,
    PressButton, ScreenLayout, Screenshot, decode_data_uri,
};
use cua_grpo_sim::{Faults, PhoneKind, SimConfig, SimServer};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

struct Api {
    server: SimServer,
    http: reqwest::Client,
}

impl Api {
    async fn new(config: SimConfig) -> Self {
        Self {
            server: SimServer::start(config).await.unwrap(),
            http: reqwest::Client::new(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.server.base_url()))
            .bearer_auth("any")
    }

    async fn post(&self, path: &str, body: impl Serialize) -> Response {
        self.request(Method::POST, path).json(&body).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn create(&self, seed: u64) -> BoxObject {
        let envs = BTreeMap::from([("CUA_SIM_SEED".to_owned(), seed.to_string())]);
        let labels = BTreeMap::from([("run".to_owned(), format!("r{seed}"))]);
        let config = CreateBoxConfig {
            envs,
            labels,
            ..Default::default()
        };
        let response = self
            .post(
                "/boxes/android",
                CreateBox {
                    config: Some(config),
                    ..Default::default()
                },
            )
            .await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json().await.unwrap()
    }

    async fn shell(&self, id: &str, command: &str) -> CommandResult {
        let body = Command {
            command: command.to_owned(),
            ..Default::default()
        };
        ok(self.post(&format!("/boxes/{id}/commands"), body).await).await
    }
}

async fn ok<T: DeserializeOwned>(response: Response) -> T {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn error(response: Response, status: StatusCode) -> String {
    assert_eq!(response.status(), status);
    let body: ErrorBody = response.json().await.unwrap();
    assert_eq!(body.status_code, Some(status.as_u16()));
    format!("{:?}", body.message)
}

#[tokio::test]
async fn one_episode() {
    let api = Api::new(SimConfig::default()).await;
    let object = api.create(3).await;
    let id = object.id.as_str();
    assert_eq!((object.kind.as_str(), object.status), ("android", BoxStatus::Running));
    assert_eq!(object.config.envs["CUA_SIM_SEED"], "3");

    let display: Display = ok(api.get(&format!("/boxes/{id}/display")).await).await;
    assert_eq!((display.resolution.width, display.resolution.height), (192.0, 384.0));

    api.shell(id, "settings put global wifi_on 0").await;
    api.shell(
        id,
        "am start -n 'com.android.settings/.Settings$NetworkDashboardActivity'",
    )
    .await;
    while api.server.with_phone(id, |phone| phone.startup().is_some()).unwrap() {
        let back = PressButton {
            buttons: vec![cua_grpo_gbox::wire::Button::Back],
            options: None,
        };
        ok::<ActionResult>(api.post(&format!("/boxes/{id}/actions/press-button"), back).await).await;
    }

    // An empty body is as good as `{}`.
    let shot: Screenshot = ok(api
        .request(Method::POST, &format!("/boxes/{id}/actions/screenshot"))
        .send()
        .await
        .unwrap())
    .await;
    let png = decode_data_uri(&shot.uri).unwrap();
    let image = image::load_from_memory(&png).unwrap();
    assert_eq!((image.width(), image.height()), (192, 384));

    let ask = |target: &str| ModelRequest {
        model: None,
        screenshot: shot.uri.clone(),
        action: ModelAction::Click {
            target: target.to_owned(),
        },
    };
    let found: ModelResponse = ok(api.post("/model", ask("the Wi-Fi switch")).await).await;
    let missing: ModelResponse = ok(api.post("/model", ask("Dark theme")).await).await;
    assert_eq!(missing.response, ModelResult::Click(Point { x: -1.0, y: -1.0 }));
    let ModelResult::Click(point) = found.response else {
        panic!("asked for a click")
    };

    let click = Click {
        place: Place::Point(point),
        button: None,
        double: None,
        modifier_keys: Vec::new(),
        options: Some(ActionOptions::after(Duration::ZERO)),
    };
    let result: ActionResult = ok(api.post(&format!("/boxes/{id}/actions/click"), click).await).await;
    let pictures = result.screenshot.unwrap();
    assert!(pictures.before.is_none() && pictures.trace.is_none());
    let after = decode_data_uri(&pictures.after.unwrap().uri).unwrap();
    assert_ne!(after, png, "the switch moved");
    assert_eq!(
        after,
        api.server
            .with_phone(id, |phone| phone.screenshot_png().unwrap())
            .unwrap()
    );
    assert_eq!(api.shell(id, "settings get global wifi_on").await.stdout, "1\n");

    let layout: ScreenLayout = ok(api.get(&format!("/boxes/{id}/actions/screen-layout")).await).await;
    assert!(layout.content.contains("text=\"Wi-Fi\"") && layout.content.contains("Network &amp; internet"));

    for _ in 0..2 {
        let gone = api.post(&format!("/boxes/{id}/terminate"), json!({})).await;
        assert_eq!(gone.status(), StatusCode::OK);
        assert!(gone.headers().get("content-type").is_none() && gone.bytes().await.unwrap().is_empty());
    }
    let object: BoxObject = ok(api.get(&format!("/boxes/{id}")).await).await;
    assert_eq!(
        (object.status, object.reason.as_deref()),
        (BoxStatus::Terminated, Some("Box terminated by user"))
    );
    let refused = api
        .post(&format!("/boxes/{id}/actions/tap"), json!({ "x": 1, "y": 1 }))
        .await;
    assert!(error(refused, StatusCode::BAD_REQUEST).await.contains("terminated"));
    api.server.shutdown().await;
}

#[tokio::test]
async fn every_action_form_is_taken() {
    // What can be named on the home screen of each phone.
    for (phone, named) in [(PhoneKind::Small, "Home"), (PhoneKind::Pixel, "Chrome")] {
        every_action_form_is_taken_by(phone, named).await;
    }
}

async fn every_action_form_is_taken_by(phone: PhoneKind, named: &str) {
    let api = Api::new(SimConfig {
        phone: phone.into(),
        ..SimConfig::default()
    })
    .await;
    let id = api.create(1).await.id;
    let home = PressButton {
        buttons: vec![cua_grpo_gbox::wire::Button::Home],
        options: None,
    };
    let table = [
        ("click", json!({ "x": 5.5, "y": 7 })),
        ("click", json!({ "target": named, "button": "right", "double": true })),
        ("tap", json!({ "target": named })),
        ("long-press", json!({ "x": 1, "y": 2, "duration": "1s" })),
        ("swipe", json!({ "direction": "left" })),
        (
            "swipe",
            json!({ "direction": "upLeft", "distance": "short", "location": named }),
        ),
        (
            "swipe",
            json!({ "start": { "x": 1, "y": 2 }, "end": named, "duration": "300ms" }),
        ),
        ("scroll", json!({ "x": 96, "y": 192, "scrollX": 0, "scrollY": 100 })),
        ("scroll", json!({ "direction": "up", "distance": 64 })),
        ("drag", json!({ "start": named, "end": { "x": 3, "y": 4 } })),
        ("drag", json!({ "path": [{ "x": 1, "y": 2 }, { "x": 3, "y": 4 }] })),
        (
            "type",
            json!({ "text": "hello", "mode": "replace", "pressEnter": true }),
        ),
        ("press-key", json!({ "keys": ["enter"], "combination": false })),
        ("press", json!({ "keys": ["backspace"] })),
        (
            "press-button",
            json!({ "buttons": ["volumeUp", "home"], "options": { "screenshot": true } }),
        ),
    ];
    for (name, body) in table {
        ok::<ActionResult>(api.post(&format!("/boxes/{id}/actions/press-button"), &home).await).await;
        let result: ActionResult = ok(api.post(&format!("/boxes/{id}/actions/{name}"), &body).await).await;
        assert!(result.action_id.is_some(), "{name} {body}");
        assert_eq!(result.screenshot.is_some(), body.get("options").is_some());
    }
    let wrong = [
        ("click", json!({})),
        ("click", json!({ "x": 1 })),
        ("click", json!({ "target": "Nothing like this" })),
        ("click", json!({ "x": 1, "y": 1, "button": "double" })),
        ("swipe", json!({ "direction": "sideways" })),
        ("press-key", json!({ "keys": ["Enter"] })),
        ("press-key", json!({ "keys": [] })),
        ("press-button", json!({ "buttons": ["homer"] })),
        ("scroll", json!({ "direction": "upLeft" })),
        (
            "tap",
            json!({ "x": 1, "y": 1, "options": { "screenshot": { "outputFormat": "url" } } }),
        ),
        (
            "screenshot",
            json!({ "clip": { "x": 0, "y": 0, "width": 5000, "height": 1 } }),
        ),
    ];
    for (name, body) in wrong {
        let response = api.post(&format!("/boxes/{id}/actions/{name}"), &body).await;
        error(response, StatusCode::BAD_REQUEST).await;
    }
    let not_served =
        json!({ "screenshot": "data:image/png;base64,AAAA", "action": { "type": "click", "target": "x" } });
    error(api.post("/model", not_served).await, StatusCode::BAD_REQUEST).await;
    error(api.get("/nothing").await, StatusCode::NOT_FOUND).await;
    error(api.get("/boxes/none").await, StatusCode::NOT_FOUND).await;
    error(api.post("/boxes/linux", json!({})).await, StatusCode::BAD_REQUEST).await;
    let seed = json!({ "config": { "envs": { "CUA_SIM_SEED": "x" } } });
    error(api.post("/boxes/android", seed).await, StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn lists_filter_and_page() {
    let api = Api::new(SimConfig::default()).await;
    for seed in 0..12 {
        let id = api.create(seed).await.id;
        if seed % 3 == 0 {
            api.post(&format!("/boxes/{id}/terminate"), json!({})).await;
        }
    }
    let page: BoxList = ok(api.get("/boxes").await).await;
    assert_eq!(
        (page.data.len(), page.total, page.page, page.page_size),
        (10, 12, 1, 10)
    );
    let page: BoxList = ok(api.get("/boxes?page=2").await).await;
    assert_eq!(page.data.len(), 2);
    let running: BoxList = ok(api.get("/boxes?status=running%2Cpending&type=android").await).await;
    assert_eq!(running.total, 8);
    let labelled: BoxList = ok(api.get("/boxes?labels%5Brun%5D=r7").await).await;
    assert_eq!(labelled.total, 1);
    assert_eq!(labelled.data[0].config.labels["run"], "r7");
}

#[tokio::test]
async fn keys_quota_and_expiry() {
    let config = SimConfig {
        api_key: Some("gbox_secret".into()),
        quota: 1,
        ..Default::default()
    };
    let api = Api::new(config).await;
    let create = |key: &str, body: Value| {
        let request = api
            .http
            .post(format!("{}/boxes/android", api.server.base_url()))
            .bearer_auth(key);
        async move { request.json(&body).send().await.unwrap() }
    };
    error(create("wrong", json!({})).await, StatusCode::UNAUTHORIZED).await;
    let none = api
        .http
        .get(format!("{}/boxes", api.server.base_url()))
        .send()
        .await
        .unwrap();
    error(none, StatusCode::UNAUTHORIZED).await;
    let first = create("gbox_secret", json!({ "config": { "expiresIn": "150ms" } })).await;
    let first: BoxObject = ok(first).await;
    let seed: u64 = first.config.envs["CUA_SIM_SEED"].parse().unwrap();
    assert!(seed < 1 << 53, "a drawn seed is recorded");
    let full = create("gbox_secret", json!({})).await;
    assert_eq!(full.headers()["retry-after"], "1");
    error(full, StatusCode::TOO_MANY_REQUESTS).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        create("gbox_secret", json!({})).await.status(),
        StatusCode::CREATED,
        "the first has expired"
    );
}

#[tokio::test]
async fn boots_take_their_time() {
    let mut config = SimConfig::default();
    config.latency.boot = Duration::from_millis(120);
    let api = Api::new(config).await;
    let late = api.post("/boxes/android", json!({ "timeout": "20ms" })).await;
    error(late, StatusCode::REQUEST_TIMEOUT).await;
    assert_eq!(api.server.stats().live_boxes, 0, "a box that came too late is deleted");
    let pending: BoxObject = ok(api.post("/boxes/android", json!({ "wait": false })).await).await;
    assert_eq!(pending.status, BoxStatus::Pending);
    let waited: BoxObject = ok(api.post("/boxes/android", json!({ "timeout": "30s" })).await).await;
    assert_eq!(waited.status, BoxStatus::Running);
    let object: BoxObject = ok(api.get(&format!("/boxes/{}", pending.id)).await).await;
    assert_eq!(object.status, BoxStatus::Running);
}

#[tokio::test]
async fn faults_come_as_ordered() {
    let faults = Faults {
        unavailable: 0.3,
        death_after: 0,
        refused_actions: 0.0,
        seed: 1,
        ..Default::default()
    };
    let api = Api::new(SimConfig {
        faults,
        ..Default::default()
    })
    .await;
    let mut refused = 0;
    for _ in 0..200 {
        refused += u64::from(api.get("/boxes").await.status() == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(refused, api.server.stats().refused);
    assert!((40..=80).contains(&refused), "{refused} of 200 refused");

    let faults = Faults {
        deaths: 1.0,
        death_after: 2,
        refused_actions: 0.0,
        seed: 1,
        ..Default::default()
    };
    let api = Api::new(SimConfig {
        faults,
        ..Default::default()
    })
    .await;
    let id = api.create(1).await.id;
    for _ in 0..2 {
        api.shell(&id, "echo alive").await;
    }
    let dead = api
        .post(&format!("/boxes/{id}/commands"), json!({ "command": "echo" }))
        .await;
    error(dead, StatusCode::BAD_REQUEST).await;
    let object: BoxObject = ok(api.get(&format!("/boxes/{id}")).await).await;
    assert_eq!((object.status, api.server.stats().deaths), (BoxStatus::Error, 1));
}

#[tokio::test]
async fn actions_are_refused_as_ordered_and_nothing_else_is() {
    let faults = Faults {
        refused_actions: 1.0,
        ..Default::default()
    };
    let api = Api::new(SimConfig {
        faults,
        ..Default::default()
    })
    .await;
    let id = api.create(1).await.id;
    let refused = api
        .post(&format!("/boxes/{id}/actions/click"), json!({ "x": 1, "y": 1 }))
        .await;
    assert!(error(refused, StatusCode::BAD_REQUEST).await.contains("on purpose"));
    api.shell(&id, "echo alive").await;
    let seen = api.post(&format!("/boxes/{id}/actions/screenshot"), json!({})).await;
    assert_eq!(seen.status(), StatusCode::OK);
    let layout = api.get(&format!("/boxes/{id}/actions/screen-layout")).await;
    assert_eq!(layout.status(), StatusCode::OK);
}
