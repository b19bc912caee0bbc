//! Carries out actions on a phone: finds targets, acts, and looks again.

use crate::action::{Action, SwipePath, Target};
use crate::device::{Acted, Device, DeviceError, Gesture, ShellOutput};
use crate::screen::Point;
use crate::screen::Screen;
use std::time::Duration;

/// Half of the way of a directed swipe, as a part of the screen.
const SWIPE_REACH: f64 = 0.3;

/// Why an action was not carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ActError {
    /// The policy asked for something that is not there, or that the phone refuses; the text is for the policy.
    #[error("{0}")]
    Policy(String),
    /// The phone failed.
    #[error(transparent)]
    Device(DeviceError),
}

/// A phone and what it shows.
#[derive(Debug)]
pub struct LiveDevice {
    device: Box<dyn Device>,
    settle: Duration,
    screen: Screen,
}

impl LiveDevice {
    /// Looks for the first time. `settle` is the wait between an action and a picture that the phone does not send by
    /// itself.
    ///
    /// # Errors
    /// The phone is handed back with the failure of the screenshot.
    pub async fn open(mut device: Box<dyn Device>, settle: Duration) -> Result<Self, (Box<dyn Device>, DeviceError)> {
        match device.screenshot().await {
            Ok(screen) => Ok(Self { device, settle, screen }),
            Err(error) => Err((device, error)),
        }
    }

    /// The phone.
    pub fn device(&self) -> &dyn Device {
        self.device.as_ref()
    }

    /// The phone, to give it back or to ask it.
    pub fn into_device(self) -> Box<dyn Device> {
        self.device
    }

    /// Runs a shell command that only reads.
    ///
    /// # Errors
    /// The phone's failure.
    pub async fn query(&mut self, command: &str, limit: Duration) -> Result<ShellOutput, DeviceError> {
        self.device.query(command, limit).await
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
    /// [`ActError::Policy`] when a target is not on the screen, or when the phone refuses what the policy asked for
    /// while it still shows its screen; else the phone's failure.
    pub async fn perform(&mut self, action: &Action) -> Result<Vec<Point>, ActError> {
        let refused = match self.act(action).await {
            Ok(points) => return Ok(points),
            Err(ActError::Device(DeviceError::Refused { reason, error })) => (reason, error),
            Err(error) => return Err(error),
        };
        // A phone that is gone refuses everything; one that shows its screen refused this action.
        match self.device.screenshot().await {
            Ok(screen) => {
                self.screen = screen;
                Err(ActError::Policy(match refused.0.trim() {
                    "" => "the phone refuses this action".to_owned(),
                    reason => format!("the phone refuses this action: {reason}"),
                }))
            }
            Err(_) => Err(ActError::Device(DeviceError::Failed(refused.1))),
        }
    }

    async fn act(&mut self, action: &Action) -> Result<Vec<Point>, ActError> {
        let (acted, points) = match action {
            Action::Report { .. } => return Ok(Vec::new()),
            Action::Sleep { duration } => {
                self.device.wait(Duration::from_secs_f64(*duration)).await?;
                self.screen = self.device.screenshot().await?;
                return Ok(Vec::new());
            }
            Action::Click { target, option } => {
                let at = self.find(target).await?;
                let how = *option;
                (self.device.gesture(&Gesture::Tap { at, how }).await, vec![at])
            }
            Action::Swipe { path } => {
                let (start, end) = self.ends(path).await?;
                (
                    self.device.gesture(&Gesture::Swipe { start, end }).await,
                    vec![start, end],
                )
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
                let (right, down) = (x * amount(self.screen.width), y * amount(self.screen.height));
                (
                    self.device.gesture(&Gesture::Scroll { at, right, down }).await,
                    vec![at],
                )
            }
            Action::Input { text, target } => {
                let field = match target {
                    Some(target) => Some(self.find(target).await?),
                    None => None,
                };
                (self.device.type_text(text, field).await, field.into_iter().collect())
            }
            Action::KeyPress { keys } => (self.device.keys(keys).await, Vec::new()),
            Action::ButtonPress { button } => (self.device.button(*button).await, Vec::new()),
        };
        self.screen = self.after(acted).await?;
        Ok(points)
    }

    /// The picture that came with the result; a separate one where the phone sent none, or where nobody knows what it did:
    /// what was done once is not done again.
    async fn after(&mut self, acted: Acted) -> Result<Screen, DeviceError> {
        match acted {
            Ok(Some(screen)) => return Ok(screen),
            Ok(None) | Err(DeviceError::Unsure(_)) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(self.settle).await;
        self.device.screenshot().await
    }

    async fn ends(&mut self, path: &SwipePath) -> Result<(Point, Point), ActError> {
        match path {
            SwipePath::Towards(direction) => {
                let (x, y) = direction.step();
                let center = self.screen.center();
                let (x, y) = (
                    x * SWIPE_REACH * self.screen.width,
                    y * SWIPE_REACH * self.screen.height,
                );
                let at = |side: f64| Point {
                    x: center.x + side * x,
                    y: center.y + side * y,
                };
                Ok((at(-1.0), at(1.0)))
            }
            SwipePath::Between {
                start: Target::Described(start),
                end: Target::Described(end),
            } => {
                let (target, destination) = (start.sentence(), end.sentence());
                let (from, to) = self.device.locate_drag(&self.screen, &target, &destination).await?;
                Ok((self.on_screen(from, &target)?, self.on_screen(to, &destination)?))
            }
            SwipePath::Between { start, end } => Ok((self.find(start).await?, self.find(end).await?)),
        }
    }

    async fn find(&mut self, target: &Target) -> Result<Point, ActError> {
        match target {
            Target::Coordinate { x, y } => Ok(self.screen.pixel(*x, *y)),
            Target::Described(description) => {
                let target = description.sentence();
                let found = self.device.locate(&self.screen, &target).await?;
                self.on_screen(found, &target)
            }
        }
    }

    /// A point beside the screen is as useless as none.
    fn on_screen(&self, point: Option<Point>, target: &str) -> Result<Point, ActError> {
        let seen = point.filter(|&point| self.screen.contains(point));
        seen.ok_or_else(|| ActError::Policy(format!("no {target:?} on the screen")))
    }
}

impl From<DeviceError> for ActError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}
