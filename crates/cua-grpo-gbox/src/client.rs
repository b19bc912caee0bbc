//! The typed client: a method an endpoint.

use crate::error::GboxError;
use crate::patience::{Outages, Patience, Waits};
use crate::retry::{RetryPolicy, Safety};
use crate::transport::{Call, ClientConfig, Transport};
use crate::wire::{
    ActionResult, BoxObject, BoxPage, BoxStatus, Click, Command, CommandResult, CreateBox, Display, Drag, ListedBox,
    LongPress, ModelRequest, ModelResponse, PressButton, PressKey, ScreenLayout, Screenshot, ScreenshotRequest, Scroll,
    Swipe, Tap, Terminate, TypeText, is_box_id, parse_duration,
};
use reqwest::Method;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How much longer than the service the client waits, unless a plain call has less time: so the service's own verdict
/// always arrives.
const MARGIN: Duration = Duration::from_secs(30);
/// Boxes that are asked for on one page of a list.
const PAGE: u32 = 100;
/// Most pages of one list.
const MOST_PAGES: u32 = 100;

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

    /// Times that calls waited for the service.
    pub fn outages(&self) -> Outages {
        self.transport.patience().outages()
    }

    /// The wait for the service that goes on now, for whoever shows it.
    pub fn waits(&self) -> Option<Waits> {
        self.transport.patience().now()
    }

    /// The same for a moment in which nothing is waited for: a call takes at most `limit` with all its tries, and is made
    /// also after [`GboxClient::end`].
    #[must_use]
    pub fn brief(&self, limit: Duration) -> Self {
        Self {
            transport: self.transport.brief(limit),
        }
    }

    /// Lets all calls that are not [`GboxClient::brief`], those under way and those to come, fail after `grace`.
    pub fn end(&self, grace: Duration) {
        self.transport.end(grace);
    }

    /// Whether [`GboxClient::end`] was called.
    pub fn ending(&self) -> bool {
        self.transport.ending()
    }

    /// Waits until [`GboxClient::end`] is called.
    pub(crate) async fn asked_to_end(&self) {
        self.transport.asked_to_end().await;
    }

    /// Waits until calls have to end.
    pub(crate) async fn ended(&self) {
        self.transport.ended().await;
    }

    pub(crate) fn patience(&self) -> &Patience {
        self.transport.patience()
    }

    pub(crate) fn policy(&self) -> &RetryPolicy {
        &self.transport.config().retry
    }

    pub(crate) fn note_retry(&self) {
        self.transport.note_retry();
    }

    /// The configuration, to make another client of it.
    pub(crate) fn config(&self) -> &ClientConfig {
        self.transport.config()
    }

    fn bodies(&self) -> &crate::body::BodyLimits {
        &self.transport.config().bodies
    }

    /// `POST /boxes/android`. Never tried again: after an ambiguous failure look for the box by its labels.
    ///
    /// # Errors
    /// 401, quota, 408 when the box did not boot in time, and failures of the network.
    pub async fn create_android(&self, body: &CreateBox) -> Result<BoxObject, GboxError> {
        let server = self.server_limit(body.timeout.as_deref())?;
        let call = Call {
            timeout: Some(server.unwrap_or(Duration::from_secs(30)) + self.margin()),
            ..self.post("create box", Safety::Creating, "/boxes/android".to_owned(), body)
        };
        let object: BoxObject = self.transport.json(call, "a box object").await?;
        if is_box_id(&object.id) {
            return Ok(object);
        }
        Err(GboxError::Answer {
            operation: "create box".to_owned(),
            expected: "a box whose id has letters, digits, `-` and `_` alone",
            got: format!("{:?}", crate::printable::printable(&object.id, 80)),
        })
    }

    /// `GET /boxes/{id}`.
    ///
    /// # Errors
    /// 404 for an unknown box, and failures of the network.
    pub async fn get_box(&self, id: &str) -> Result<BoxObject, GboxError> {
        let call = self.get("get box", format!("/boxes/{id}"));
        let object: BoxObject = self.transport.json(call, "a box object").await?;
        if object.id == id {
            return Ok(object);
        }
        Err(GboxError::Answer {
            operation: "get box".to_owned(),
            expected: "the box that was asked for",
            got: format!("box {:?} for {id}", crate::printable::printable(&object.id, 80)),
        })
    }

    /// `GET /boxes`, one page of 100 boxes; pages count from 1. What is no box in it is left out.
    ///
    /// # Errors
    /// Failures of the account and the network.
    pub async fn list_boxes(&self, filter: &BoxFilter, page: u32) -> Result<BoxPage, GboxError> {
        let mut call = self.get("list boxes", "/boxes".to_owned());
        call.query.push(("page".to_owned(), page.to_string()));
        call.query.push(("pageSize".to_owned(), PAGE.to_string()));
        if !filter.statuses.is_empty() {
            let words: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
            call.query.push(("status".to_owned(), words.join(",")));
        }
        for (label, value) in &filter.labels {
            call.query.push((format!("labels[{label}]"), value.clone()));
        }
        self.transport.json(call, "a list of boxes").await
    }

    /// All pages of [`GboxClient::list_boxes`]. It ends with the first page that is one of those before, so a service that
    /// does not know pages is asked twice.
    ///
    /// # Errors
    /// Failures of the account and the network, and a list of more than 10,000 boxes.
    pub async fn list_all(&self, filter: &BoxFilter) -> Result<Vec<ListedBox>, GboxError> {
        let (mut seen, mut pages, mut all) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for number in 1..=MOST_PAGES {
            let page = self.list_boxes(filter, number).await?;
            let size = page.page_size.filter(|size| *size > 0).unwrap_or(PAGE as usize);
            let whole = page.boxes.len() + page.unreadable >= size;
            let (repeats, before) = (!pages.insert(page.mark), all.len());
            all.extend(page.boxes.into_iter().filter(|listed| seen.insert(listed.id.clone())));
            if !whole || repeats || (all.len() == before && page.unreadable == 0) {
                return Ok(all);
            }
        }
        Err(GboxError::Answer {
            operation: "list boxes".to_owned(),
            expected: "at most 10,000 boxes",
            got: format!("{} boxes on {MOST_PAGES} pages and no end", all.len()),
        })
    }

    /// `POST /boxes/{id}/terminate`. A box that is already gone (404) counts as terminated.
    ///
    /// # Errors
    /// Failures of the account and the network.
    pub async fn terminate(&self, id: &str, wait: bool) -> Result<(), GboxError> {
        let body = Terminate { wait: Some(wait) };
        let call = self.post(
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
            .json(self.get("get display", format!("/boxes/{id}/display")), "a display")
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
            timeout: server.map(|limit| limit + self.margin()),
            most: self.bodies().text,
            ..self.post("run command", safety, format!("/boxes/{id}/commands"), body)
        };
        self.transport.json(call, "the result of a command").await
    }

    /// `POST /boxes/{id}/actions/screenshot`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn screenshot(&self, id: &str, body: &ScreenshotRequest) -> Result<Screenshot, GboxError> {
        let path = format!("/boxes/{id}/actions/screenshot");
        let call = Call {
            most: self.bodies().picture,
            ..self.post("take screenshot", Safety::Reading, path, body)
        };
        self.transport.json(call, "a screenshot").await
    }

    /// `GET /boxes/{id}/actions/screen-layout`.
    ///
    /// # Errors
    /// Failures of the box and the network.
    pub async fn screen_layout(&self, id: &str) -> Result<ScreenLayout, GboxError> {
        let call = Call {
            most: self.bodies().text,
            ..self.get("get screen layout", format!("/boxes/{id}/actions/screen-layout"))
        };
        self.transport.json(call, "a screen layout").await
    }

    /// `POST /model`: from a description to coordinates of the screenshot; -1 means "not found".
    ///
    /// # Errors
    /// Failures of the account and the network.
    pub async fn model(&self, body: &ModelRequest) -> Result<ModelResponse, GboxError> {
        let call = self.post("find target", Safety::Reading, "/model".to_owned(), body);
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
        let call = Call {
            most: self.bodies().picture,
            ..self.post(name, Safety::Acting, format!("/boxes/{id}/actions/{name}"), body)
        };
        self.transport.json(call, "the result of an action").await
    }

    fn margin(&self) -> Duration {
        MARGIN.min(self.config().timeout)
    }

    fn server_limit(&self, text: Option<&str>) -> Result<Option<Duration>, GboxError> {
        let parsed = text.map(parse_duration).transpose();
        parsed.map_err(|error| GboxError::Config(error.to_string()))
    }

    /// A reading call whose answer is small.
    fn get(&self, operation: &str, path: String) -> Call<'static, ()> {
        let (method, safety) = (Method::GET, Safety::Reading);
        Call {
            operation: operation.to_owned(),
            safety,
            method,
            path,
            query: Vec::new(),
            body: None,
            timeout: None,
            most: self.bodies().json,
        }
    }

    /// A call whose answer is small.
    fn post<'a, B>(&self, operation: &str, safety: Safety, path: String, body: &'a B) -> Call<'a, B> {
        let (method, query) = (Method::POST, Vec::new());
        Call {
            operation: operation.to_owned(),
            safety,
            method,
            path,
            query,
            body: Some(body),
            timeout: None,
            most: self.bodies().json,
        }
    }
}
