//! What a phone can do: the seam that a kind of phone implements.

use crate::action::{ButtonName, ClickOption};
use crate::screen::{Point, Screen};
use async_trait::async_trait;
use std::time::Duration;

/// What a finger does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gesture {
    /// A press at one place.
    Tap {
        /// Where.
        at: Point,
        /// Once, twice, or for a context menu.
        how: ClickOption,
    },
    /// A finger that goes down, moves and goes up.
    Swipe {
        /// Where it goes down.
        start: Point,
        /// Where it goes up.
        end: Point,
    },
    /// The content of a list moves.
    Scroll {
        /// Where the list is.
        at: Point,
        /// How far to the right in pixels: positive reveals what is on the right.
        right: f64,
        /// How far down in pixels: positive reveals what is below.
        down: f64,
    },
}

/// What a shell command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellOutput {
    /// 0 means success.
    pub exit_code: i64,
    /// The standard output.
    pub stdout: String,
    /// The standard error.
    pub stderr: String,
    /// True when the command was ended because it ran out of time.
    pub timed_out: bool,
}

/// Why a phone did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The phone refuses what the request says, as a wrong key or a place off the screen; it may work otherwise.
    #[error("{error}")]
    Refused {
        /// Why, in words for the policy: no names of boxes or addresses.
        reason: String,
        /// The whole error, for logs.
        error: String,
    },
    /// Nobody knows whether the phone did it: the answer was lost. It must not be done again; what the screen shows is
    /// true.
    #[error("{0}")]
    Unsure(String),
    /// There is no phone before one of those that are held is given back.
    #[error("{0}")]
    Full(String),
    /// The phone, or the way to it, failed.
    #[error("{0}")]
    Failed(String),
}

/// The screen after an action, where the phone sends it along; `None` asks the caller to look after a while.
pub type Acted = Result<Option<Screen>, DeviceError>;

/// One phone, held for one attempt. Dropping it gives it back as [`Device::release`] does, later and without a word.
#[async_trait]
pub trait Device: Send + Sync + std::fmt::Debug {
    /// Its name, for logs: a box id, a serial.
    fn name(&self) -> &str;

    /// What it shows.
    async fn screenshot(&mut self) -> Result<Screen, DeviceError>;

    /// Moves a finger.
    async fn gesture(&mut self, gesture: &Gesture) -> Acted;

    /// Types text, after a press at `field` when one is given.
    async fn type_text(&mut self, text: &str, field: Option<Point>) -> Acted;

    /// Presses keys, all together when there are several. Names are those of [`crate::action::KEYS`].
    async fn keys(&mut self, keys: &[String]) -> Acted;

    /// Presses a button of the phone.
    async fn button(&mut self, button: ButtonName) -> Acted;

    /// Runs a shell command, which may change the phone.
    async fn shell(&mut self, command: &str, limit: Duration) -> Result<ShellOutput, DeviceError>;

    /// Runs a shell command that only reads, so that it may be run again when its answer is lost.
    async fn query(&mut self, command: &str, limit: Duration) -> Result<ShellOutput, DeviceError> {
        self.shell(command, limit).await
    }

    /// Lets time pass on the phone. One that keeps a clock of its own moves it on, which takes no time here.
    async fn wait(&mut self, time: Duration) -> Result<(), DeviceError> {
        tokio::time::sleep(time).await;
        Ok(())
    }

    /// Finds what `target` describes on `screen`; `None` when it is not there.
    async fn locate(&mut self, screen: &Screen, target: &str) -> Result<Option<Point>, DeviceError>;

    /// Finds both ends of a drag.
    async fn locate_drag(
        &mut self,
        screen: &Screen,
        target: &str,
        destination: &str,
    ) -> Result<(Option<Point>, Option<Point>), DeviceError> {
        let start = self.locate(screen, target).await?;
        Ok((start, self.locate(screen, destination).await?))
    }

    /// Gives the phone back. What fails here is counted by its source.
    async fn release(self: Box<Self>);
}

/// What a phone is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Seed of the task instance; a simulated phone follows it, a real one ignores it.
    pub seed: u64,
    /// Id of the task, as a label.
    pub task: String,
    /// Number of the slot in its collection.
    pub slot: usize,
    /// Wait between an action and the picture after it.
    pub settle: Duration,
}

/// Where phones come from.
#[async_trait]
pub trait DeviceSource: Send + Sync + std::fmt::Debug {
    /// Waits for a free phone and holds it. Where none comes before one is given back, it says so
    /// ([`DeviceError::Full`]): whoever asks may be who holds the others.
    async fn lease(&self, request: &LeaseRequest) -> Result<Box<dyn Device>, DeviceError>;
}
