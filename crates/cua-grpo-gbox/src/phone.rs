//! A box as a phone: the Android seam on the wire of the service.

use crate::error::GboxError;
use crate::pool::{BoxLease, BoxPool};
use crate::wire::{
    self, ActionOptions, ActionResult, Button, Click, Command, CommandResult, ModelAction, ModelRequest, ModelResult,
    MouseButton, Place, PlaceRef, PressButton, PressKey, Screenshot, ScreenshotRequest, Scroll, ScrollBy, Swipe,
    SwipePoints, TypeText, data_uri, decode_data_uri, duration_text,
};
use async_trait::async_trait;
use cua_grpo_android::action::{ButtonName, ClickOption};
use cua_grpo_android::{Acted, Device, DeviceError, DeviceSource, Gesture, LeaseRequest, Point, Screen, ShellOutput};
use std::collections::BTreeMap;
use std::time::Duration;

/// The environment variable that tells a simulated box its seed; a real box ignores it.
pub const SEED_ENV: &str = "CUA_SIM_SEED";
/// Label that names the task.
pub const TASK_LABEL: &str = "cua-grpo-task";
/// How long a finger is on its way, as the wire says it.
const SWIPE_DURATION: &str = "300ms";

#[async_trait]
impl DeviceSource for BoxPool {
    async fn lease(&self, request: &LeaseRequest) -> Result<Box<dyn Device>, DeviceError> {
        let envs = BTreeMap::from([(SEED_ENV.to_owned(), request.seed.to_string())]);
        let labels = BTreeMap::from([(TASK_LABEL.to_owned(), request.task.clone())]);
        let lease = BoxPool::lease(self, envs, labels).await.map_err(|error| match error {
            GboxError::Full { .. } => DeviceError::Full(error.to_string()),
            error => failed(error),
        })?;
        Ok(Box::new(BoxPhone::new(lease, request.settle)))
    }
}

/// A leased box as a phone.
#[derive(Debug)]
pub struct BoxPhone {
    lease: BoxLease,
    settle: Duration,
}

impl BoxPhone {
    /// A phone whose pictures come `settle` after each action. One that has settled at once is simulated: its clock moves
    /// with what it is asked for, waiting too.
    pub fn new(lease: BoxLease, settle: Duration) -> Self {
        Self { lease, settle }
    }

    /// The box.
    pub fn lease(&self) -> &BoxLease {
        &self.lease
    }

    /// Asks for a picture along with the result.
    fn options(&self) -> Option<ActionOptions> {
        Some(ActionOptions::after(self.settle))
    }

    /// What an action came to. An answer that is lost, or that may come after the deed, is no reason to do it again: the
    /// caller looks at the screen instead.
    fn acted(&self, result: Result<ActionResult, GboxError>) -> Acted {
        let result = match result {
            Ok(result) => result,
            Err(error) if error.refusal().is_none() && error.is_ambiguous() => {
                tracing::warn!(%error, box_id = self.lease.id(), "it is not known whether an action was done; looking");
                self.lease.note_unsure();
                return Err(DeviceError::Unsure(error.to_string()));
            }
            Err(error) => return Err(self.refused(error)),
        };
        Ok(after(result).unwrap_or_else(|error| {
            tracing::warn!(%error, box_id = self.lease.id(), "the picture of an action was not read; looking");
            None
        }))
    }

    async fn ground(&self, screen: &Screen, action: ModelAction) -> Result<ModelResult, DeviceError> {
        let body = ModelRequest {
            model: None,
            screenshot: data_uri(mime(&screen.image.bytes), &screen.image.bytes),
            action,
        };
        match self.lease.client().model(&body).await {
            Ok(reply) => Ok(reply.response),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// The error of a call that carries what the policy asked for. The policy is not told the name of the box, so that
    /// equal episodes read the same.
    fn refused(&self, error: GboxError) -> DeviceError {
        match error.refusal() {
            Some(reason) => DeviceError::Refused {
                reason: reason.replace(self.lease.id(), "the phone"),
                error: error.to_string(),
            },
            None => failed(error),
        }
    }
}

#[async_trait]
impl Device for BoxPhone {
    fn name(&self) -> &str {
        self.lease.id()
    }

    async fn screenshot(&mut self) -> Result<Screen, DeviceError> {
        let request = ScreenshotRequest::default();
        let screenshot = self.lease.client().screenshot(self.lease.id(), &request).await;
        read(&screenshot.map_err(failed)?)
    }

    async fn gesture(&mut self, gesture: &Gesture) -> Acted {
        let (client, id, options) = (self.lease.client(), self.lease.id(), self.options());
        let result = match *gesture {
            Gesture::Tap { at, how } => {
                let body = Click {
                    place: Place::Point(at.into()),
                    button: (how == ClickOption::Right).then_some(MouseButton::Right),
                    double: (how == ClickOption::Double).then_some(true),
                    modifier_keys: Vec::new(),
                    options,
                };
                client.click(id, &body).await
            }
            Gesture::Swipe { start, end } => {
                let body = Swipe::Points(SwipePoints {
                    start: PlaceRef::Point(start.into()),
                    end: PlaceRef::Point(end.into()),
                    duration: Some(SWIPE_DURATION.to_owned()),
                    options,
                });
                client.swipe(id, &body).await
            }
            Gesture::Scroll { at, right, down } => {
                let body = Scroll::By(ScrollBy {
                    x: at.x,
                    y: at.y,
                    scroll_x: right,
                    scroll_y: down,
                    options,
                });
                client.scroll(id, &body).await
            }
        };
        self.acted(result)
    }

    async fn type_text(&mut self, text: &str, field: Option<Point>) -> Acted {
        if let Some(field) = field {
            let body = Click {
                place: Place::Point(field.into()),
                button: None,
                double: None,
                modifier_keys: Vec::new(),
                options: None,
            };
            self.acted(self.lease.client().click(self.lease.id(), &body).await)?;
        }
        let body = TypeText {
            text: text.to_owned(),
            mode: None,
            press_enter: None,
            options: self.options(),
        };
        let result = self.lease.client().type_text(self.lease.id(), &body).await;
        self.acted(result)
    }

    async fn keys(&mut self, keys: &[String]) -> Acted {
        let body = PressKey {
            keys: keys.to_vec(),
            combination: Some(keys.len() > 1),
            options: self.options(),
        };
        let result = self.lease.client().press_key(self.lease.id(), &body).await;
        self.acted(result)
    }

    async fn button(&mut self, button: ButtonName) -> Acted {
        let button = match button {
            ButtonName::Back => Button::Back,
            ButtonName::Home => Button::Home,
            ButtonName::Menu => Button::Menu,
        };
        let body = PressButton {
            buttons: vec![button],
            options: self.options(),
        };
        let result = self.lease.client().press_button(self.lease.id(), &body).await;
        self.acted(result)
    }

    async fn shell(&mut self, command: &str, limit: Duration) -> Result<ShellOutput, DeviceError> {
        let command = shell(command, limit);
        let result = self.lease.client().command(self.lease.id(), &command).await;
        Ok(output(result.map_err(|error| match error.is_ambiguous() {
            true => DeviceError::Unsure(error.to_string()),
            false => failed(error),
        })?))
    }

    async fn query(&mut self, command: &str, limit: Duration) -> Result<ShellOutput, DeviceError> {
        let result = self.lease.client().query(self.lease.id(), &shell(command, limit)).await;
        Ok(output(result.map_err(failed)?))
    }

    async fn wait(&mut self, time: Duration) -> Result<(), DeviceError> {
        if self.settle.is_zero() {
            let command = format!("sleep {}", time.as_secs_f64());
            self.query(&command, time + Duration::from_secs(5)).await?;
        } else {
            tokio::time::sleep(time).await;
        }
        Ok(())
    }

    async fn locate(&mut self, screen: &Screen, target: &str) -> Result<Option<Point>, DeviceError> {
        let action = ModelAction::Click {
            target: target.to_owned(),
        };
        match self.ground(screen, action).await? {
            // -1 means "not found": a point beside the screen, which the caller does not take.
            ModelResult::Click(point) => Ok(Some(point.into())),
            other => Err(unexpected(&other)),
        }
    }

    async fn locate_drag(
        &mut self,
        screen: &Screen,
        target: &str,
        destination: &str,
    ) -> Result<(Option<Point>, Option<Point>), DeviceError> {
        let action = ModelAction::Drag {
            target: target.to_owned(),
            destination: destination.to_owned(),
        };
        match self.ground(screen, action).await? {
            ModelResult::Drag { target, destination } => Ok((Some(target.into()), Some(destination.into()))),
            other => Err(unexpected(&other)),
        }
    }

    async fn release(self: Box<Self>) {
        self.lease.release().await;
    }
}

fn failed(error: GboxError) -> DeviceError {
    DeviceError::Failed(error.to_string())
}

fn unexpected(result: &ModelResult) -> DeviceError {
    failed(GboxError::Answer {
        operation: "find target".to_owned(),
        expected: "coordinates of the kind asked for",
        got: serde_json::to_string(result).unwrap_or_else(|error| error.to_string()),
    })
}

/// The picture that came with a result, where the service sent one.
fn after(result: ActionResult) -> Acted {
    let after = result.screenshot.and_then(|screenshots| screenshots.after);
    after
        .filter(|after| !after.uri.is_empty())
        .as_ref()
        .map(read)
        .transpose()
}

/// Reads an inline picture.
fn read(screenshot: &Screenshot) -> Result<Screen, DeviceError> {
    let wrong = |got: String| {
        failed(GboxError::Answer {
            operation: "read screenshot".to_owned(),
            expected: "an inline PNG or JPEG",
            got,
        })
    };
    let bytes = decode_data_uri(&screenshot.uri).map_err(|error| wrong(error.to_string()))?;
    let screen = Screen::read(bytes).map_err(|error| wrong(error.0))?;
    Ok(screen.with_state(screenshot.state))
}

fn mime(bytes: &[u8]) -> &'static str {
    image::guess_format(bytes).map_or("image/png", |format| format.to_mime_type())
}

fn shell(command: &str, limit: Duration) -> Command {
    Command {
        command: command.to_owned(),
        timeout: Some(duration_text(limit)),
        ..Command::default()
    }
}

fn output(result: CommandResult) -> ShellOutput {
    ShellOutput {
        timed_out: result.exit_code == CommandResult::TIMED_OUT,
        exit_code: result.exit_code,
        stdout: result.stdout,
        stderr: result.stderr,
    }
}

impl From<Point> for wire::Point {
    fn from(point: Point) -> Self {
        Self { x: point.x, y: point.y }
    }
}

impl From<wire::Point> for Point {
    fn from(point: wire::Point) -> Self {
        Self { x: point.x, y: point.y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_another_kind_is_told_as_the_wire_has_it() {
        let text = unexpected(&ModelResult::Click(wire::Point { x: 1.0, y: 2.5 })).to_string();
        let wire = r#"got {"type":"click","coordinates":{"x":1.0,"y":2.5}}"#;
        assert!(text.contains(wire), "{text}");
    }
}
