//! An episode as the original agent plays it through the Python SDK: its calls, in its order, with its bodies and headers.
#![allow(clippy::unwrap_used)]

use cua_grpo_sim::{SimConfig, SimServer};
use reqwest::Method;
use serde_json::{Value, json};

/// The SDK's side of a connection.
struct Sdk {
    server: SimServer,
    http: reqwest::Client,
    /// Calls so far, as `METHOD path`.
    calls: Vec<String>,
}

impl Sdk {
    async fn new() -> Self {
        Self {
            server: SimServer::start(SimConfig::default()).await.unwrap(),
            http: reqwest::Client::new(),
            calls: Vec::new(),
        }
    }

    /// Sends what the SDK sends: the type of JSON on all that is no GET, also without a body.
    async fn call(&mut self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.calls
            .push(format!("{method} {}", path.rsplit('/').next().unwrap()));
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.server.base_url()))
            .header("authorization", "Bearer gbox_any")
            .header("accept", "application/json")
            .header("user-agent", "GboxClient/Python 0.1.0-alpha.41")
            .header("x-stainless-lang", "python")
            .header("x-stainless-retry-count", "0");
        if method != Method::GET {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string());
        let answer = request.body(body.unwrap_or_default()).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn ok(&mut self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// The screenshot that begins every turn.
    async fn look(&mut self, id: &str) -> String {
        let path = format!("/boxes/{id}/actions/screenshot");
        let shot = self.ok(Method::POST, &path, json!({ "outputFormat": "base64" })).await;
        let uri = shot["uri"].as_str().unwrap().to_owned();
        assert!(uri.starts_with("data:image/png;base64,"));
        uri
    }

    async fn ground(&mut self, screenshot: &str, action: Value) -> Value {
        let body = json!({ "model": "gbox-handy-1", "screenshot": screenshot, "action": action });
        self.ok(Method::POST, "/model", body).await["response"]["coordinates"].take()
    }

    async fn act(&mut self, id: &str, name: &str, body: Value) {
        let result = self
            .ok(Method::POST, &format!("/boxes/{id}/actions/{name}"), body)
            .await;
        assert!(
            result["actionId"].is_string() && result["message"].is_string(),
            "{result}"
        );
    }

    async fn command(&mut self, id: &str, command: &str) -> String {
        let path = format!("/boxes/{id}/commands");
        let result = self.ok(Method::POST, &path, json!({ "command": command })).await;
        result["stdout"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_episode_of_the_original_agent() {
    let mut sdk = Sdk::new().await;
    let create =
        json!({ "config": { "expiresIn": "15m", "envs": { "CUA_SIM_SEED": "3" } }, "timeout": "60s", "wait": true });
    let object = sdk.ok(Method::POST, "/boxes/android", create).await;
    let id = object["id"].as_str().unwrap().to_owned();
    assert_eq!(object["status"], "running");
    // What the episode begins with is not the agent's: the app's list of notes, without a dialog before it.
    sdk.command(&id, "am start -n com.android.notes/.Notes").await;
    sdk.server.with_phone(&id, |phone| {
        if phone.startup().is_some() {
            phone.key(cua_grpo_sim::Key::Back);
        }
    });
    sdk.command(&id, "am start -n com.android.notes/.Notes").await;
    sdk.calls.clear();

    // A click: one question for coordinates, then the click with all its fields.
    let shot = sdk.look(&id).await;
    let at = sdk
        .ground(
            &shot,
            json!({ "type": "click", "target": "New note row, color white, size medium" }),
        )
        .await;
    let click = json!({ "x": at["x"], "y": at["y"], "button": "left", "double": false });
    sdk.act(&id, "click", click.clone()).await;

    // An input: a click on the field, then the text.
    let shot = sdk.look(&id).await;
    let at = sdk
        .ground(&shot, json!({ "type": "click", "target": "Note text" }))
        .await;
    sdk.act(&id, "click", json!({ "x": at["x"], "y": at["y"] })).await;
    sdk.act(&id, "type", json!({ "text": "Buy milk" })).await;

    // A swipe: a drag whose answer the agent misreads, then two clicks.
    let shot = sdk.look(&id).await;
    let drag = json!({ "type": "drag", "target": "Note text", "destination": "Save" });
    let drag = sdk.ground(&shot, drag).await;
    assert!(drag["target"]["x"].is_number() && drag["destination"]["y"].is_number() && drag.get("start").is_none());
    let start = sdk
        .ground(&shot, json!({ "type": "click", "target": "Note text" }))
        .await;
    let end = sdk.ground(&shot, json!({ "type": "click", "target": "Save" })).await;
    sdk.act(&id, "swipe", json!({ "start": start, "end": end, "duration": "300ms" }))
        .await;

    // A scroll: coordinates that never reach the wire.
    let shot = sdk.look(&id).await;
    let scroll = sdk
        .ground(
            &shot,
            json!({ "type": "scroll", "location": "Note text", "direction": "down" }),
        )
        .await;
    assert!(
        scroll["scrollY"].as_f64().unwrap() < 0.0,
        "gesture-wise: down reveals what is above"
    );
    sdk.act(&id, "scroll", json!({ "direction": "down", "distance": 300 }))
        .await;

    // Keys and buttons ask for no coordinates.
    sdk.look(&id).await;
    sdk.act(&id, "press-key", json!({ "keys": ["enter"], "combination": false }))
        .await;
    let shot = sdk.look(&id).await;
    let at = sdk
        .ground(&shot, json!({ "type": "click", "target": "Save button" }))
        .await;
    sdk.act(
        &id,
        "click",
        json!({ "x": at["x"], "y": at["y"], "button": "left", "double": false }),
    )
    .await;
    sdk.look(&id).await;
    sdk.act(&id, "press-button", json!({ "buttons": ["home"] })).await;
    let (looks, models, acts) = (7, 1 + 1 + 3 + 1 + 1, 1 + 2 + 1 + 1 + 1 + 1 + 1);
    assert_eq!(sdk.calls.len(), looks + models + acts);

    // What is not there has no coordinates, and what the agent makes of a double click is no button.
    let shot = sdk.look(&id).await;
    let none = sdk
        .ground(&shot, json!({ "type": "click", "target": "a purple giraffe" }))
        .await;
    assert_eq!(none, json!({ "x": -1.0, "y": -1.0 }));
    let double = json!({ "x": 5, "y": 5, "button": "double", "double": false });
    let (status, error) = sdk
        .call(Method::POST, &format!("/boxes/{id}/actions/click"), Some(double))
        .await;
    assert_eq!((status, error["statusCode"].as_u64()), (400, Some(400)));

    // The reward: the box is fetched once more, then asked by the validators.
    let object = sdk.call(Method::GET, &format!("/boxes/{id}"), None).await.1;
    let config = &object["config"];
    assert!(config["cpu"].is_number() && config["memory"].is_number() && config["storage"].is_number());
    assert!(config["labels"].is_object() && config["os"]["version"] == "13");
    let focus = "dumpsys window | grep mCurrentFocus || dumpsys activity | grep mResumedActivity";
    assert!(sdk.command(&id, focus).await.contains("launcher"));
    for setting in [
        "global wifi_on",
        "global airplane_mode_on",
        "global zen_mode",
        "system screen_brightness",
    ] {
        let value = sdk.command(&id, &format!("settings get {setting}")).await;
        assert!(
            value.trim().parse::<i64>().is_ok() && value.ends_with('\n'),
            "{setting}: {value:?}"
        );
    }
    let bluetooth = "settings get global bluetooth_on || settings get secure bluetooth_on";
    assert!(sdk.command(&id, bluetooth).await.trim().parse::<i64>().is_ok());
    assert_eq!(
        sdk.command(&id, "content query --uri content://notes | grep milk | wc -l")
            .await,
        "1\n"
    );

    // The end: a POST and a GET, which must not fail.
    for _ in 0..2 {
        let (status, _) = sdk
            .call(Method::POST, &format!("/boxes/{id}/terminate"), Some(json!({})))
            .await;
        let (read, object) = sdk.call(Method::GET, &format!("/boxes/{id}"), None).await;
        assert_eq!((status, read, &object["status"]), (200, 200, &json!("terminated")));
        assert!(object["reason"].is_string());
    }
    assert_eq!(sdk.server.stats().live_boxes, 0);
}
