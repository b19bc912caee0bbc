//! Carries out actions on a leased box: finds targets, acts, and looks again in the same round trip.

use crate::action::{Action, ClickOption, SwipePath, Target};
use crate::error::GboxError;
use crate::pool::BoxLease;
use crate::screen::Screen;
use crate::wire::{
    ActionOptions, ActionResult, Click, ModelAction, ModelRequest, ModelResult, MouseButton, Place, PlaceRef, Point,
    PressButton, PressKey, ScreenshotRequest, Scroll, ScrollBy, Swipe, SwipePoints, TypeText,
};
use std::time::Duration;

/// Half of the way of a directed swipe, as a part of the screen.
const SWIPE_REACH: f64 = 0.3;
/// How long a finger is on its way, as the wire says it.
const SWIPE_DURATION: &str = "300ms";

/// Why an action was not carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ActError {
    /// The policy asked for something that is not there, or that the service refuses; the text is for the policy.
    #[error("{0}")]
    Policy(String),
    /// The service failed.
    #[error(transparent)]
    Service(#[from] GboxError),
}

/// A leased box and what it shows.
#[derive(Debug)]
pub struct Device {
    lease: BoxLease,
    settle: Duration,
    screen: Screen,
}

impl Device {
    /// Looks for the first time. `settle` is the wait between an action and the picture after it.
    ///
    /// # Errors
    /// The lease is handed back with the failure of the screenshot.
    pub async fn open(lease: BoxLease, settle: Duration) -> Result<Self, (BoxLease, GboxError)> {
        match look(&lease).await {
            Ok(screen) => Ok(Self { lease, settle, screen }),
            Err(error) => Err((lease, error)),
        }
    }

    /// The box.
    pub fn lease(&self) -> &BoxLease {
        &self.lease
    }

    /// Gives the box back.
    pub fn into_lease(self) -> BoxLease {
        self.lease
    }

    /// What it showed last.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Carries out one action, looks again, and tells which points of the old screenshot were touched.
    ///
    /// [`Action::Report`] does nothing here.
    ///
    /// # Errors
    /// [`ActError::Policy`] when a target is not on the screen, or when the service refuses what the policy asked for
    /// (400, 413, 422) while the box still answers; else the service's failure.
    pub async fn perform(&mut self, action: &Action) -> Result<Vec<Point>, ActError> {
        match self.act(action).await {
            Ok(points) => Ok(points),
            Err(Trouble::Policy(text)) => Err(ActError::Policy(text)),
            Err(Trouble::Service(error)) => Err(ActError::Service(error)),
            Err(Trouble::Refused(error)) => match look(&self.lease).await {
                // A box that is gone refuses everything; one that shows its screen refused this action.
                Ok(screen) => {
                    self.screen = screen;
                    Err(ActError::Policy(refusal(&error, self.lease.id())))
                }
                Err(_) => Err(ActError::Service(error)),
            },
        }
    }

    async fn act(&mut self, action: &Action) -> Result<Vec<Point>, Trouble> {
        let client = self.lease.client().clone();
        let id = self.lease.id().to_owned();
        let options = Some(ActionOptions::after(self.settle));
        let (result, points) = match action {
            Action::Report { .. } => return Ok(Vec::new()),
            Action::Sleep { duration } => {
                tokio::time::sleep(Duration::from_secs_f64(*duration)).await;
                self.screen = look(&self.lease).await?;
                return Ok(Vec::new());
            }
            Action::Click { target, option } => {
                let point = self.find(target).await?;
                let button = (*option == ClickOption::Right).then_some(MouseButton::Right);
                let double = (*option == ClickOption::Double).then_some(true);
                let body = Click {
                    place: Place::Point(point),
                    button,
                    double,
                    modifier_keys: Vec::new(),
                    options,
                };
                (acted(client.click(&id, &body).await)?, vec![point])
            }
            Action::Swipe { path } => {
                let (start, end) = self.ends(path).await?;
                let body = Swipe::Points(SwipePoints {
                    start: PlaceRef::Point(start),
                    end: PlaceRef::Point(end),
                    duration: Some(SWIPE_DURATION.to_owned()),
                    options,
                });
                (acted(client.swipe(&id, &body).await)?, vec![start, end])
            }
            Action::Scroll {
                direction,
                target,
                distance,
            } => {
                let at = match target {
                    Some(target) => self.find(target).await?,
                    None => self.screen.center(),
                };
                let (x, y) = direction.step();
                let amount = |size: f64| distance.unwrap_or(size / 2.0);
                let (scroll_x, scroll_y) = (x * amount(self.screen.width), y * amount(self.screen.height));
                let body = Scroll::By(ScrollBy {
                    x: at.x,
                    y: at.y,
                    scroll_x,
                    scroll_y,
                    options,
                });
                (acted(client.scroll(&id, &body).await)?, vec![at])
            }
            Action::Input { text, target } => {
                let mut points = Vec::new();
                if let Some(target) = target {
                    let place = self.find(target).await?;
                    points.push(place);
                    let place = Place::Point(place);
                    let body = Click {
                        place,
                        button: None,
                        double: None,
                        modifier_keys: Vec::new(),
                        options: None,
                    };
                    acted(client.click(&id, &body).await)?;
                }
                let body = TypeText {
                    text: text.clone(),
                    mode: None,
                    press_enter: None,
                    options,
                };
                (acted(client.type_text(&id, &body).await)?, points)
            }
            Action::KeyPress { keys } => {
                let body = PressKey {
                    keys: keys.clone(),
                    combination: Some(keys.len() > 1),
                    options,
                };
                (acted(client.press_key(&id, &body).await)?, Vec::new())
            }
            Action::ButtonPress { button } => {
                let body = PressButton {
                    buttons: vec![button.to_wire()],
                    options,
                };
                (acted(client.press_button(&id, &body).await)?, Vec::new())
            }
        };
        self.screen = self.after(result).await?;
        Ok(points)
    }

    /// The picture that came with the result; a separate one where the service sent none.
    async fn after(&self, result: ActionResult) -> Result<Screen, GboxError> {
        let after = result.screenshot.and_then(|screenshots| screenshots.after);
        match after.filter(|after| !after.uri.is_empty()) {
            Some(after) => Screen::read(after),
            None => {
                tokio::time::sleep(self.settle).await;
                look(&self.lease).await
            }
        }
    }

    async fn ends(&self, path: &SwipePath) -> Result<(Point, Point), Trouble> {
        match path {
            SwipePath::Towards(direction) => {
                let (x, y) = direction.step();
                let center = self.screen.center();
                let (x, y) = (
                    x * SWIPE_REACH * self.screen.width,
                    y * SWIPE_REACH * self.screen.height,
                );
                Ok((
                    Point {
                        x: center.x - x,
                        y: center.y - y,
                    },
                    Point {
                        x: center.x + x,
                        y: center.y + y,
                    },
                ))
            }
            SwipePath::Between {
                start: Target::Described(start),
                end: Target::Described(end),
            } => {
                let (target, destination) = (start.sentence(), end.sentence());
                let action = ModelAction::Drag {
                    target: target.clone(),
                    destination: destination.clone(),
                };
                match self.ground(action).await? {
                    ModelResult::Drag {
                        target: from,
                        destination: to,
                    } => Ok((self.on_screen(from, &target)?, self.on_screen(to, &destination)?)),
                    other => Err(unexpected(&other).into()),
                }
            }
            SwipePath::Between { start, end } => Ok((self.find(start).await?, self.find(end).await?)),
        }
    }

    async fn find(&self, target: &Target) -> Result<Point, Trouble> {
        match target {
            Target::Coordinate { x, y } => Ok(self.screen.pixel(*x, *y)),
            Target::Described(description) => {
                let target = description.sentence();
                match self.ground(ModelAction::Click { target: target.clone() }).await? {
                    ModelResult::Click(point) => self.on_screen(point, &target),
                    other => Err(unexpected(&other).into()),
                }
            }
        }
    }

    async fn ground(&self, action: ModelAction) -> Result<ModelResult, Trouble> {
        let body = ModelRequest {
            model: None,
            screenshot: self.screen.uri.clone(),
            action,
        };
        Ok(acted(self.lease.client().model(&body).await)?.response)
    }

    /// -1 means "not found"; a point beside the screen is as useless.
    fn on_screen(&self, point: Point, target: &str) -> Result<Point, Trouble> {
        if self.screen.contains(point) {
            return Ok(point);
        }
        Err(Trouble::Policy(format!("no {target:?} on the screen")))
    }
}

/// Why [`Device::act`] stopped.
enum Trouble {
    /// The policy's mistake, found here.
    Policy(String),
    /// The service refuses the content of a call that carries what the policy asked for.
    Refused(GboxError),
    /// The service failed.
    Service(GboxError),
}

impl From<GboxError> for Trouble {
    fn from(error: GboxError) -> Self {
        Self::Service(error)
    }
}

/// The result of a call that carries what the policy asked for.
fn acted<T>(result: Result<T, GboxError>) -> Result<T, Trouble> {
    result.map_err(|error| match error.refusal() {
        Some(_) => Trouble::Refused(error),
        None => Trouble::Service(error),
    })
}

/// What the policy is told. The name of the box is no part of it, so that equal episodes read the same.
fn refusal(error: &GboxError, box_id: &str) -> String {
    let reason = error.refusal().unwrap_or_default().replace(box_id, "the phone");
    match reason.trim() {
        "" => "the phone refuses this action".to_owned(),
        reason => format!("the phone refuses this action: {reason}"),
    }
}

fn unexpected(result: &ModelResult) -> GboxError {
    GboxError::Answer {
        operation: "find target".to_owned(),
        expected: "coordinates of the kind asked for",
        got: format!("{result:?}"),
    }
}

async fn look(lease: &BoxLease) -> Result<Screen, GboxError> {
    Screen::read(
        lease
            .client()
            .screenshot(lease.id(), &ScreenshotRequest::default())
            .await?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_does_not_name_the_box() {
        let error = |message: &str| GboxError::Status {
            operation: "click".to_owned(),
            status: 400,
            message: message.to_owned(),
            retry_after: None,
        };
        assert_eq!(
            refusal(&error("box 4f-1: no key \"hop\""), "4f-1"),
            "the phone refuses this action: box the phone: no key \"hop\""
        );
        assert_eq!(refusal(&error(" "), "4f-1"), "the phone refuses this action");
    }
}
