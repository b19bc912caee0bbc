//! Carries out actions of the policy's grammar directly on a phone, without HTTP.

use crate::phone::{HEIGHT, Key, Phone, WIDTH};
use cua_grpo_android::action::{Action, ButtonName, ClickOption, Direction, SwipePath, Target};

/// A target that cannot be found on the screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("find target: expected something visible and unmistakable, got {0}; name a label that is on the screen")]
pub struct UnknownTarget(pub String);

impl Phone {
    /// Where a target is, in screenshot pixels.
    ///
    /// # Errors
    /// [`UnknownTarget`] when a description fits nothing on the screen, or several things equally well.
    pub fn locate(&self, target: &Target) -> Result<(f64, f64), UnknownTarget> {
        match target {
            Target::Coordinate { x, y } => Ok((x / 1000.0 * f64::from(WIDTH), y / 1000.0 * f64::from(HEIGHT))),
            Target::Described(description) => {
                let point = self.resolve(&description.sentence());
                let (x, y) = point.ok_or_else(|| UnknownTarget(target.to_string()))?;
                Ok((f64::from(x), f64::from(y)))
            }
        }
    }

    /// Does what an action says. `Sleep` and `Report` change nothing here.
    ///
    /// # Errors
    /// [`UnknownTarget`]; then nothing was done.
    pub fn perform(&mut self, action: &Action) -> Result<(), UnknownTarget> {
        let middle = (f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
        match action {
            Action::Click { target, option } => {
                let (x, y) = self.locate(target)?;
                match option {
                    ClickOption::Left => self.tap(x, y),
                    ClickOption::Double => (0..2).for_each(|_| self.tap(x, y)),
                    // No context menus are simulated.
                    ClickOption::Right => {}
                }
            }
            Action::Swipe {
                path: SwipePath::Towards(direction),
            } => {
                let (dx, dy) = direction.step();
                self.swipe(middle, (middle.0 + dx * middle.0, middle.1 + dy * middle.1));
            }
            Action::Swipe {
                path: SwipePath::Between { start, end },
            } => {
                let (from, to) = (self.locate(start)?, self.locate(end)?);
                self.swipe(from, to);
            }
            Action::Scroll {
                direction,
                target,
                distance,
            } => {
                let (x, y) = target.as_ref().map_or(Ok(middle), |target| self.locate(target))?;
                let half = match direction {
                    Direction::Left | Direction::Right => middle.0,
                    Direction::Up | Direction::Down => middle.1,
                };
                let ((dx, dy), length) = (direction.step(), distance.unwrap_or(half));
                self.scroll(x, y, dx * length, dy * length);
            }
            Action::Input { text, target } => {
                if let Some(target) = target {
                    let (x, y) = self.locate(target)?;
                    self.tap(x, y);
                }
                self.type_text(text, false);
            }
            Action::KeyPress { keys } => keys.iter().for_each(|key| self.press(key)),
            Action::ButtonPress { button } => self.key(match button {
                ButtonName::Back => Key::Back,
                ButtonName::Home => Key::Home,
                ButtonName::Menu => Key::Other,
            }),
            Action::Sleep { .. } | Action::Report { .. } => {}
        }
        Ok(())
    }

    /// Presses a key by its name in the API, e.g. `enter` or `a`.
    pub fn press(&mut self, name: &str) {
        match name {
            "enter" | "numpadEnter" => self.key(Key::Enter),
            "backspace" => self.key(Key::Backspace),
            "escape" => self.key(Key::Back),
            "space" => self.type_text(" ", false),
            letter if letter.chars().count() == 1 => self.type_text(letter, false),
            _ => self.key(Key::Other),
        }
    }
}
