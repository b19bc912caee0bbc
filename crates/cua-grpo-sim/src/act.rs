//! Carries out actions of the policy's grammar directly on a phone, without HTTP.

use crate::{
    handset::Hands,
    phone::{HEIGHT, Key, Phone, WIDTH},
};
use cua_grpo_android::action::{Action, ButtonName, ClickOption, Direction, SwipePath, Target};
use cua_grpo_gbox::wire::Button;

/// Half of the way of a directed swipe, as a part of the screen, and how long it takes, as an environment has it.
const SWIPE_REACH: f64 = 0.3;
const SWIPE_MS: i64 = 300;

/// A target that cannot be found on the screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("find target: expected something visible and unmistakable, got {0}; name a label that is on the screen")]
pub struct UnknownTarget(pub String);

/// Where a target is on a phone, in pixels of its screen.
pub(crate) fn locate(phone: &dyn Hands, target: &Target) -> Result<(f64, f64), UnknownTarget> {
    match target {
        Target::Coordinate { x, y } => {
            let (width, height) = phone.size();
            Ok((x / 1000.0 * f64::from(width), y / 1000.0 * f64::from(height)))
        }
        Target::Described(description) => {
            let point = phone.find(&description.sentence());
            point.ok_or_else(|| UnknownTarget(target.to_string()))
        }
    }
}

/// Does what an action says, as an environment does it with a box of this phone.
pub(crate) fn perform(phone: &mut dyn Hands, action: &Action) -> Result<(), UnknownTarget> {
    let (width, height) = phone.size();
    let size = (f64::from(width), f64::from(height));
    let middle = (size.0 / 2.0, size.1 / 2.0);
    match action {
        Action::Click { target, option } => {
            let (x, y) = locate(phone, target)?;
            let times = match option {
                ClickOption::Left => 1,
                ClickOption::Double => 2,
                // Nothing on a touch screen answers to it.
                ClickOption::Right => 0,
            };
            (0..times).for_each(|_| phone.tap(x, y));
        }
        Action::Swipe {
            path: SwipePath::Towards(direction),
        } => {
            let (dx, dy) = direction.step();
            let (x, y) = (dx * SWIPE_REACH * size.0, dy * SWIPE_REACH * size.1);
            let at = |side: f64| (middle.0 + side * x, middle.1 + side * y);
            phone.swipe(at(-1.0), at(1.0), SWIPE_MS);
        }
        Action::Swipe {
            path: SwipePath::Between { start, end },
        } => {
            let (from, to) = (locate(phone, start)?, locate(phone, end)?);
            phone.swipe(from, to, SWIPE_MS);
        }
        Action::Scroll {
            direction,
            target,
            distance,
        } => {
            let (x, y) = target.as_ref().map_or(Ok(middle), |target| locate(phone, target))?;
            let (dx, dy) = direction.step();
            let amount = |half: f64| distance.unwrap_or(half);
            phone.scroll(x, y, dx * amount(middle.0), dy * amount(middle.1));
        }
        Action::Input { text, target } => {
            if let Some(target) = target {
                let (x, y) = locate(phone, target)?;
                phone.tap(x, y);
            }
            phone.type_text(text, false);
        }
        Action::KeyPress { keys } => match keys.as_slice() {
            [key] => phone.press(key),
            keys => phone.shortcut(keys),
        },
        Action::ButtonPress { button } => phone.button(match button {
            ButtonName::Back => Button::Back,
            ButtonName::Home => Button::Home,
            ButtonName::Menu => Button::Menu,
        }),
        Action::Sleep { duration } => phone.wait((duration * 1000.0) as i64),
        Action::Report { .. } => {}
    }
    Ok(())
}

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
