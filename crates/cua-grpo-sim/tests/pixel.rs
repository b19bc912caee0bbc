//! The full phone behind the server: screen, layout, shell and file endpoints agree, and templates are proved on it.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::Catalogue;
use cua_grpo_sim::{PhoneKind, PhoneSpec, Proof, SimConfig, SimServer};
use serde_json::{Value, json};

struct Api {
    server: SimServer,
    client: reqwest::Client,
    id: String,
}

impl Api {
    async fn new() -> Self {
        let config = SimConfig {
            phone: PhoneSpec::from(PhoneKind::Pixel),
            ..SimConfig::default()
        };
        let server = SimServer::start(config).await.unwrap();
        let client = reqwest::Client::new();
        let mut api = Self {
            server,
            client,
            id: String::new(),
        };
        let body = json!({ "wait": true, "config": { "envs": { "CUA_SIM_SEED": "5" } } });
        let born = api.post("boxes/android", &body).await;
        api.id = born["id"].as_str().unwrap().to_owned();
        api
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth("k").send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.server.base_url());
        self.send(self.client.post(url).json(body)).await
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/boxes/{}/{path}", self.server.base_url(), self.id);
        self.send(self.client.get(url)).await
    }

    async fn shell(&self, line: &str) -> String {
        let answer = self
            .post(&format!("boxes/{}/commands", self.id), &json!({ "command": line }))
            .await;
        answer["stdout"].as_str().unwrap().to_owned()
    }

    async fn act(&self, action: &str, body: Value) -> Value {
        self.post(&format!("boxes/{}/actions/{action}", self.id), &body).await
    }
}

#[tokio::test]
async fn screen_layout_shell_and_files_agree() {
    let api = Api::new().await;
    api.shell("svc wifi disable; am start -a android.settings.WIFI_SETTINGS")
        .await;
    let on = |layout: &str| {
        // The switch that comes after the title; the settings beside it are those of other pages.
        let (_, row) = layout.split_once("text=\"Wi-Fi\"").unwrap();
        let switch = row.split("<node").find(|node| node.contains("Switch")).unwrap();
        switch.contains("checked=\"true\"")
    };
    let layout = |value: Value| value["content"].as_str().unwrap().to_owned();
    assert!(!on(&layout(api.get("actions/screen-layout").await)));
    api.act("tap", json!({ "target": "Wi-Fi" })).await;
    assert!(on(&layout(api.get("actions/screen-layout").await)));
    assert_eq!(api.shell("settings get global wifi_on").await, "1\n");

    api.shell("echo hello > /sdcard/Download/greeting.txt").await;
    let read = api.get("fs/read?path=/sdcard/Download/greeting.txt").await;
    assert_eq!(read["content"], "hello\n");
    api.shell("am start -n com.google.android.documentsui/com.android.documentsui.files.FilesActivity")
        .await;
    let seen = api.server.phones().with_handset(&api.id, |phone| {
        let state = phone.pixel().unwrap().phone().state();
        state.files.contains_key("/sdcard/Download/greeting.txt")
    });
    assert_eq!(seen, Some(true));
}

#[tokio::test]
async fn a_screen_that_stays_is_served_again_as_it_was() {
    let api = Api::new().await;
    let first = api.act("screenshot", json!({})).await;
    let second = api.act("screenshot", json!({})).await;
    assert_eq!(first["uri"], second["uri"]);
    api.act("press-button", json!({ "buttons": ["volumeUp"] })).await;
    assert_ne!(first["uri"], api.act("screenshot", json!({})).await["uri"]);
}

#[test]
fn templates_are_proved_on_the_full_phone() {
    let built_in = Catalogue::built_in();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/tasks");
    let files = Catalogue::with_files(&[folder]).unwrap();
    let mut wrong = Vec::new();
    for template in built_in.templates().iter().chain(files.own()) {
        let proof = Proof::of(template, 2, PhoneKind::Pixel);
        eprintln!("{proof}");
        if !proof.holds() {
            wrong.push(proof.template);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
