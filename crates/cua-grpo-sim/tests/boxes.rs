//! What a box has beside its screen: one state behind files, shell, packages and pictures, and the bounds of each.
#![allow(clippy::unwrap_used)]

use cua_grpo_sim::{Limits, PhoneKind, SimConfig, SimServer};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

struct Api {
    server: SimServer,
    http: reqwest::Client,
    id: String,
}

impl Api {
    async fn new(config: SimConfig) -> Self {
        let server = SimServer::start(config).await.unwrap();
        let mut api = Self {
            server,
            http: reqwest::Client::new(),
            id: String::new(),
        };
        let config = json!({ "config": { "envs": { "CUA_SIM_SEED": "3" } } });
        api.id = api.post("/boxes/android", config).await.1["id"]
            .as_str()
            .unwrap()
            .to_owned();
        api
    }

    /// A box with a phone of a kind.
    async fn on(phone: PhoneKind) -> Self {
        Self::new(SimConfig {
            phone: phone.into(),
            ..SimConfig::default()
        })
        .await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = path.replace("ID", &format!("/boxes/{}", self.id));
        self.http
            .request(method, format!("{}{path}", self.server.base_url()))
            .bearer_auth("any")
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request(Method::GET, path)).await
    }

    async fn shell(&self, command: &str) -> String {
        let (status, result) = self.post("ID/commands", json!({ "command": command })).await;
        assert_eq!(status, 200, "{result}");
        result["stdout"].as_str().unwrap().to_owned()
    }

    async fn state(&self) -> u64 {
        self.post("ID/actions/screenshot", json!({})).await.1["state"]
            .as_u64()
            .unwrap()
    }
}

#[tokio::test]
async fn requests_and_the_shell_share_one_state() {
    for phone in PhoneKind::ALL {
        share_one_state(phone).await;
    }
}

async fn share_one_state(phone: PhoneKind) {
    let api = Api::on(phone).await;
    let fresh = api.state().await;
    let number = |phone: &mut cua_grpo_sim::Handset| phone.number();
    assert_eq!(Some(fresh), api.server.phones().with_handset(&api.id, number));

    api.post("ID/fs/write", json!({ "path": "a/b.txt", "content": "one\n" }))
        .await;
    assert_eq!(api.shell("cat a/b.txt && rm -r a && ls").await, "one\n");
    assert_eq!(api.get("ID/fs/read?path=a/b.txt").await.0, 404);
    assert_eq!(api.state().await, fresh, "what was removed leaves nothing");
    api.shell("mkdir -p /sdcard/DCIM/Trip; screencap -p /sdcard/DCIM/Trip/x.png")
        .await;
    let album = api.get("ID/media/albums/Trip").await.1;
    assert_eq!(album["mediaCount"], 1);
    assert_ne!(api.state().await, fresh, "a file is a part of the state");

    let install = json!({ "apk": "https://example.com/org.own.app.apk", "open": true });
    let (status, installed) = api.post("ID/android/packages", install).await;
    assert_eq!((status, installed["packageName"].as_str()), (200, Some("org.own.app")));
    assert_eq!(
        api.shell("pm list packages -3; ls /data/app").await,
        "package:org.own.app\norg.own.app-1\n"
    );
    let layout = api.get("ID/actions/screen-layout").await.1;
    assert!(layout["content"].as_str().unwrap().contains("package=\"org.own.app\""));
    api.shell("input keyevent KEYCODE_BACK; pm uninstall org.own.app").await;
    assert_eq!(api.get("ID/android/apps/org.own.app").await.0, 404);

    api.post("ID/actions/screen-rotation", json!({ "orientation": "landscapeRight" }))
        .await;
    assert_eq!(api.shell("settings get system user_rotation").await, "3\n");
    api.shell("settings put system user_rotation 2").await;
    assert_eq!(api.get("ID/display").await.1["orientation"], "portraitUpsideDown");
    api.post("ID/proxy", json!({ "host": "h", "port": 81 })).await;
    assert_eq!(api.shell("settings get global http_proxy").await, "h:81\n");
    api.shell("settings delete global http_proxy").await;
    assert_eq!(api.get("ID/proxy").await.1["host"], "");
}

#[tokio::test]
async fn a_snapshot_is_an_exact_copy_that_goes_its_own_way() {
    for phone in PhoneKind::ALL {
        a_copy_goes_its_own_way(&Api::on(phone).await).await;
    }
}

async fn a_copy_goes_its_own_way(api: &Api) {
    api.shell("echo a > f.txt; settings put global wifi_on 0").await;
    let state = api.state().await;
    assert_eq!(
        api.post(&format!("/snapshots/{}", api.id), json!({ "name": "s" }))
            .await
            .0,
        201
    );
    let (status, copy) = api
        .post("/boxes/android", json!({ "config": { "snapshotName": "s" } }))
        .await;
    let id = copy["id"].as_str().unwrap();
    assert_eq!(status, 201);
    let shot = api.post(&format!("/boxes/{id}/actions/screenshot"), json!({})).await.1;
    assert_eq!(shot["state"].as_u64(), Some(state));
    api.post(&format!("/boxes/{id}/commands"), json!({ "command": "rm f.txt" }))
        .await;
    assert_eq!(api.shell("cat f.txt").await, "a\n");
    assert_eq!(api.state().await, state);
    assert_eq!(
        api.post("/boxes/android", json!({ "config": { "snapshotName": "none" } }))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn pictures_and_places_follow_the_scale() {
    let api = Api::new(SimConfig::default()).await;
    let find = |shot: Value| json!({ "screenshot": shot["uri"], "action": { "type": "click", "target": "Home" } });
    for (scale, x, y) in [(1.0, 144.0, 368.0), (0.5, 72.0, 184.0), (0.25, 36.0, 92.0)] {
        let put = api
            .request(Method::PUT, "ID/actions/settings")
            .json(&json!({ "scale": scale }));
        assert_eq!(api.send(put).await.0, 200);
        api.shell("am start -n com.android.settings/.Settings").await;
        let shot = api.post("ID/actions/screenshot", json!({})).await.1;
        let (status, found) = api.post("/model", find(shot)).await;
        assert_eq!(status, 200, "{found}");
        assert_eq!(found["response"]["coordinates"], json!({ "x": x, "y": y }));
        let (_, clicked) = api.post("ID/actions/click", json!({ "x": x, "y": y })).await;
        assert_eq!(clicked["actual"]["x"], x);
        let focus = api.shell("dumpsys window | grep mCurrentFocus").await;
        assert!(
            focus.contains("launcher") || !focus.contains("settings"),
            "{scale}: {focus}"
        );
    }
    for scale in [json!(0.1), json!(1.01), json!("1"), Value::Null] {
        let put = api
            .request(Method::PUT, "ID/actions/settings")
            .json(&json!({ "scale": scale }));
        assert_eq!(api.send(put).await.0, 400, "{scale}");
    }
}

#[tokio::test]
async fn old_clients_get_what_they_expect() {
    let api = Api::new(SimConfig::default()).await;
    let tap = |old: bool| {
        let request = api
            .request(Method::POST, "ID/actions/tap")
            .json(&json!({ "x": 1, "y": 1 }));
        if old {
            request
                .header("x-stainless-lang", "js")
                .header("x-stainless-package-version", "0.1.1")
        } else {
            request
        }
    };
    assert!(api.send(tap(false)).await.1.get("screenshot").is_none());
    let shots = api.send(tap(true)).await.1["screenshot"].take();
    assert!(shots["before"]["uri"].is_string() && shots["highlight"]["uri"] == shots["trace"]["uri"]);
    let (status, result) = api.post("ID/commands", json!({ "commands": ["echo", "a  b"] })).await;
    assert_eq!((status, &result["stdout"]), (200, &json!("a  b\n")));
    assert_eq!(api.post("ID/actions/press", json!({ "keys": ["Enter"] })).await.0, 200);
    assert_eq!(
        api.post("ID/actions/press-key", json!({ "keys": ["Enter"] })).await.0,
        400
    );
}

#[tokio::test]
async fn addresses_without_a_key_are_signed() {
    let api = Api::new(SimConfig::default()).await;
    let shot = api.post(
        "ID/actions/screenshot",
        json!({ "outputFormat": "storageKey", "presignedExpiresIn": "40ms" }),
    );
    let url = shot.await.1["presignedUrl"].as_str().unwrap().to_owned();
    let good = api.http.get(&url).send().await.unwrap();
    assert_eq!(
        (good.status(), &good.headers()[header::CONTENT_TYPE]),
        (StatusCode::OK, &header::HeaderValue::from_static("image/png"))
    );
    let view = api.post("ID/live-view-url", json!({ "expiresIn": "1m" })).await.1;
    let (page, raw) = (
        view["url"].as_str().unwrap().to_owned(),
        view["rawUrl"].as_str().unwrap().to_owned(),
    );
    for url in [&page, &raw] {
        assert_eq!(
            api.http.get(url).send().await.unwrap().status(),
            StatusCode::OK,
            "{url}"
        );
    }
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    let longer = url.replace("expires=", "expires=9");
    for refused in [&url, &longer, &page.replace("/live/", "/live/x"), &format!("{page}0")] {
        let status = api.http.get(refused).send().await.unwrap().status();
        assert!(
            matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND),
            "{refused}: {status}"
        );
    }
    let other = api
        .http
        .get(format!("{}/boxes", api.server.base_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn files_have_bounds() {
    let limits = Limits {
        body_bytes: 1000,
        upload_bytes: 5000,
        ..Limits::default()
    };
    let api = Api::new(SimConfig {
        limits,
        ..SimConfig::default()
    })
    .await;
    let write = |size: usize| api.post("ID/fs/write", json!({ "path": "a", "content": "x".repeat(size) }));
    assert_eq!(write(4000).await.0, 200);
    assert_eq!(write(6000).await.0, 413);
    assert_eq!(
        api.post("ID/commands", json!({ "command": "x".repeat(2000) })).await.0,
        413
    );
    for path in ["", "a\0", "/", "/sdcard", "a/b"] {
        let (status, error) = api.post("ID/fs/write", json!({ "path": path, "content": "" })).await;
        assert!(
            status == 400 && error["message"].is_string(),
            "{path:?}: {status} {error}"
        );
    }
    assert_eq!(
        api.get("ID/fs/read?path=/../../../data/local/tmp/a").await.0,
        200,
        "the root is the highest"
    );
    assert_eq!(api.get("ID/fs/read?path=/etc/passwd").await.0, 404);
    assert_eq!(api.get("ID/fs/list?path=/&depth=1e9").await.0, 400);
    assert_eq!(api.get("ID/fs/list").await.0, 400);
    let (status, error) = api.post("ID/android/packages", json!({ "apk": 5 })).await;
    assert!(
        status == 400 && error["message"].as_str().unwrap().contains("apk"),
        "{error}"
    );
    let resolution = json!({ "width": 1e9, "height": 5 });
    assert_eq!(api.post("ID/resolution", resolution).await.0, 400);
}
