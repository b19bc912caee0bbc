//! The typed client: a method an endpoint.

use crate::error::GboxError;
use crate::retry::Safety;
use crate::transport::{Call, ClientConfig, Transport};
use crate::wire::{
    ActionResult, BoxList, BoxObject, BoxStatus, Click, Command, CommandResult, CreateBox, Display, Drag, LongPress,
    ModelRequest, ModelResponse, PressButton, PressKey, ScreenLayout, Screenshot, ScreenshotRequest, Scroll, Swipe,
    Tap, Terminate, TypeText, parse_duration,
};
use reqwest::Method;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How much longer than the service the client waits: so the service's own verdict always arrives.
const MARGIN: Duration = Duration::from_secs(30);

/// Which boxes to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoxFilter {
    /// Only these statuses; the service's choice when empty.
    pub statuses: Vec<BoxStatus>,
    /// Only boxes with these labels.
    pub labels: BTreeMap<String, String>,
}

/// Talks to the box service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GboxClient {
    transport: Transport,
}

impl GboxClient {
    /// A client for one account. Nothing is sent yet.
    ///
    /// # Errors
    /// [`GboxError::Config`] when the base URL is none.
    pub fn new(config: ClientConfig) -> Result<Self, GboxError> {
        Ok(Self {
            transport: Transport::new(config)?,
        })
    }

    /// Where the service is.
    pub fn base_url(&self) -> &str {
        &self.transport.config().base_url
    }

    /// Tries made after transient failures, in total.
    pub fn retries(&self) -> u64 {
        self.transport.retries()
    }

    /// `POST /boxes/android`. Never tried again: after an ambiguous failure look for the box by its labels.
    ///
    /// # Errors
    /// 401, quota, 408 when the box did not boot in time, and failures of the network.
    pub async fn create_android(&self, body: &CreateBox) -> Result<BoxObject, GboxError> {
        let server = self.server_limit(body.timeout.as_deref())?;
        let call = Call {
            timeout: Some(server.unwrap_or(Duration::from_secs(30)) + MARGIN),
            ..post("create box", Safety::Creating, "/boxes/android".to_owned(), body)
        };
        self.transport.json(call, "a box object").await
    }

    /// `GET /boxes/{id}`.
    ///
    /// # Errors
    /// 404 for an unknown box, and failures of the network.
    pub async fn get_box(&self, id: &str) -> Result<BoxObject, GboxError> {
        self.transport
            .json(get("get box", format!("/boxes/{id}")), "a box object")
            .await
    }

    /// `GET /boxes`, one page of 100 boxes; pages count from 1.
    ///
    /// # Errors
    /// Failures of the account and the network.
    pub async fn list_boxes(&self, filter: &BoxFilter, page: u32) -> Result<BoxList, GboxError> {
        let mut call = get("list boxes", "/boxes".to_owned());
        call.query.push(("page".to_owned(), page.to_string()));
        call.query.push(("pageSize".to_owned(), "100".to_owned()));
        if !filter.statuses.is_empty() {
            let words: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
            call.query.push(("status".to_owned(), words.join(",")));
        }
        for (label, value) in &filter.labels {
            call.query.push((format!("labels[{label}]"), value.clone()));
        }
        self.transport.json(call, "a list of boxes").await
    }

    /// `POST /boxes/{id}/terminate`. A box that is already gone (404) counts as terminated.
    ///
    /// # Errors
    /// Failures of the account and the network.
    pub async fn terminate(&self, id: &str, wait: bool) -> Result<(), GboxError> {
        let body = Terminate { wait: Some(wait) };
        let call = post(
            "terminate box",
            Safety::Reading,
            format!("/boxes/{id}/terminate"),
            &body,
        );
        match self.transport.empty(call).await {
            Err(error) if error.status() == Some(404) => Ok(()),
            other => other,
        }
    }

    /// `GET /boxes/{id}/display`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn display(&self, id: &str) -> Result<Display, GboxError> {
        self.transport
            .json(get("get display", format!("/boxes/{id}/display")), "a display")
            .await
    }

    /// `POST /boxes/{id}/commands` with a command that changes nothing, so that it may be tried again.
    ///
    /// # Errors
    /// Failures of the box and the network; a command that fails is a result, not an error.
    pub async fn query(&self, id: &str, body: &Command) -> Result<CommandResult, GboxError> {
        self.run_command(id, body, Safety::Reading).await
    }

    /// `POST /boxes/{id}/commands`.
    ///
    /// # Errors
    /// Failures of the box and the network; a command that fails is a result, not an error.
    pub async fn command(&self, id: &str, body: &Command) -> Result<CommandResult, GboxError> {
        self.run_command(id, body, Safety::Acting).await
    }

    async fn run_command(&self, id: &str, body: &Command, safety: Safety) -> Result<CommandResult, GboxError> {
        let server = self.server_limit(body.timeout.as_deref())?;
        let call = Call {
            timeout: server.map(|limit| limit + MARGIN),
            ..post("run command", safety, format!("/boxes/{id}/commands"), body)
        };
        self.transport.json(call, "the result of a command").await
    }

    /// `POST /boxes/{id}/actions/screenshot`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn screenshot(&self, id: &str, body: &ScreenshotRequest) -> Result<Screenshot, GboxError> {
        let call = post(
            "take screenshot",
            Safety::Reading,
            format!("/boxes/{id}/actions/screenshot"),
            body,
        );
        self.transport.json(call, "a screenshot").await
    }

    /// `GET /boxes/{id}/actions/screen-layout`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn screen_layout(&self, id: &str) -> Result<ScreenLayout, GboxError> {
        let call = get("get screen layout", format!("/boxes/{id}/actions/screen-layout"));
        self.transport.json(call, "a screen layout").await
    }

    /// `POST /model`: from a description to coordinates of the screenshot; -1 means "not found".
    ///
    /// # Errors
    /// Failures of the account and the network.
    pub async fn model(&self, body: &ModelRequest) -> Result<ModelResponse, GboxError> {
        let call = post("find target", Safety::Reading, "/model".to_owned(), body);
        self.transport.json(call, "coordinates").await
    }

    /// `click`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn click(&self, id: &str, body: &Click) -> Result<ActionResult, GboxError> {
        self.act(id, "click", body).await
    }

    /// `tap`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn tap(&self, id: &str, body: &Tap) -> Result<ActionResult, GboxError> {
        self.act(id, "tap", body).await
    }

    /// `long-press`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn long_press(&self, id: &str, body: &LongPress) -> Result<ActionResult, GboxError> {
        self.act(id, "long-press", body).await
    }

    /// `swipe`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn swipe(&self, id: &str, body: &Swipe) -> Result<ActionResult, GboxError> {
        self.act(id, "swipe", body).await
    }

    /// `scroll`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn scroll(&self, id: &str, body: &Scroll) -> Result<ActionResult, GboxError> {
        self.act(id, "scroll", body).await
    }

    /// `drag`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn drag(&self, id: &str, body: &Drag) -> Result<ActionResult, GboxError> {
        self.act(id, "drag", body).await
    }

    /// `type`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn type_text(&self, id: &str, body: &TypeText) -> Result<ActionResult, GboxError> {
        self.act(id, "type", body).await
    }

    /// `press-key`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn press_key(&self, id: &str, body: &PressKey) -> Result<ActionResult, GboxError> {
        self.act(id, "press-key", body).await
    }

    /// `press-button`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn press_button(&self, id: &str, body: &PressButton) -> Result<ActionResult, GboxError> {
        self.act(id, "press-button", body).await
    }

    async fn act<B: Serialize>(&self, id: &str, name: &'static str, body: &B) -> Result<ActionResult, GboxError> {
        let call = post(name, Safety::Acting, format!("/boxes/{id}/actions/{name}"), body);
        self.transport.json(call, "the result of an action").await
    }

    fn server_limit(&self, text: Option<&str>) -> Result<Option<Duration>, GboxError> {
        let parsed = text.map(parse_duration).transpose();
        parsed.map_err(|error| GboxError::Config(error.to_string()))
    }
}

fn get(operation: &str, path: String) -> Call<'static, ()> {
    let (method, safety) = (Method::GET, Safety::Reading);
    Call {
        operation: operation.to_owned(),
        safety,
        method,
        path,
        query: Vec::new(),
        body: None,
        timeout: None,
    }
}

fn post<'a, B>(operation: &str, safety: Safety, path: String, body: &'a B) -> Call<'a, B> {
    let (method, query) = (Method::POST, Vec::new());
    Call {
        operation: operation.to_owned(),
        safety,
        method,
        path,
        query,
        body: Some(body),
        timeout: None,
    }
}
