//! The steps of an expert, played on any phone: it sees what the phone's shell and its pictures tell.

use super::tree::{Node, Tree};
use crate::PhoneKind;
use crate::action::{Action, ButtonName, ClickOption, Direction, SwipePath, Target};
use crate::device::DeviceError;
use crate::perform::{ActError, LiveDevice};
use crate::tasks::{Goal, Step};
use crate::validate::matches;
use std::time::Duration;

/// Actions of one step before it is given up.
const MOST_ACTIONS: usize = 40;
/// Pages of an app that are left behind before it is opened anew.
const MOST_PAGES: usize = 8;
/// Looks at a screen that moves.
const MOST_LOOKS: usize = 4;

/// Why the steps came to no end.
#[derive(Debug)]
pub(super) enum PlayError {
    /// A step wants what is not there.
    Stuck(String),
    /// The phone failed.
    Device(DeviceError),
}

impl From<DeviceError> for PlayError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// Plays steps on a phone.
pub(super) struct LivePlayer<'a> {
    phone: &'a mut LiveDevice,
    limit: Duration,
    /// Pixels of the screen, as the dump counts them.
    size: (f64, f64),
    /// Actions so far.
    pub actions: usize,
}

impl<'a> LivePlayer<'a> {
    /// Asks for the size of the screen.
    pub(super) async fn new(phone: &'a mut LiveDevice, limit: Duration) -> Result<Self, PlayError> {
        let output = phone.query("wm size", limit).await?.stdout;
        // An override comes last, and counts.
        let mut size = output.lines().filter_map(|line| {
            let (width, height) = line.rsplit(' ').next()?.split_once('x')?;
            Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
        });
        let screen = (phone.screen().width, phone.screen().height);
        let size = size.next_back().unwrap_or(screen);
        let actions = 0;
        Ok(Self {
            phone,
            limit,
            size,
            actions,
        })
    }

    /// Plays `steps`; gives what the last one reports.
    pub(super) async fn play(&mut self, steps: &[Step]) -> Result<Option<String>, PlayError> {
        for step in steps {
            if let Step::Report(text) = step {
                self.actions += 1;
                return Ok(text.clone());
            }
            let before = self.actions;
            self.step(step).await.map_err(|error| match error {
                PlayError::Stuck(why) => PlayError::Stuck(format!("`{step}`: {why}")),
                failed => failed,
            })?;
            if self.actions - before > MOST_ACTIONS {
                return Err(PlayError::Stuck(format!(
                    "`{step}`: not done after {MOST_ACTIONS} actions"
                )));
            }
        }
        self.actions += 1;
        Ok(None)
    }

    async fn step(&mut self, step: &Step) -> Result<(), PlayError> {
        match step {
            Step::Open(app) => return self.open(app).await,
            Step::Find(what) => return self.find(what).await,
            Step::Tap { what, if_shown: true } if self.tree().await?.named(what).next().is_none() => return Ok(()),
            Step::TapEach(letters) => {
                for letter in letters.chars() {
                    self.act(click(Target::element(letter.to_string()))).await?;
                }
                return Ok(());
            }
            Step::Switch { what, on } => {
                let tree = self.tree().await?;
                let row = (self.size.1 / 4.0) as i64;
                let switch = tree.beside(what, row, |node| node.checkable);
                let switch = switch.or_else(|| tree.labelled(what, |node| node.checkable));
                let switch = switch.ok_or_else(|| missing(what, "with a switch"))?;
                if switch.checked == *on {
                    return Ok(());
                }
                let at = self.at(switch.center());
                return self.act(click(at)).await;
            }
            Step::Press { keys, times } => {
                for _ in 0..*times {
                    self.act(Action::KeyPress { keys: keys.clone() }).await?;
                }
                return Ok(());
            }
            _ => {}
        }
        let action = self.action(step).await?;
        self.act(action).await
    }

    /// The action of a step that is one.
    async fn action(&mut self, step: &Step) -> Result<Action, PlayError> {
        let named = |what: &str| Target::element(what);
        Ok(match step {
            Step::Tap { what, .. } => click(named(what)),
            Step::TapAt(x, y) => click(Target::Coordinate { x: *x, y: *y }),
            Step::Slide { what, percent } => {
                let tree = self.tree().await?;
                let bar = |node: &Node| node.class.ends_with("SeekBar");
                let slider = tree.beside(what, (self.size.1 / 4.0) as i64, bar);
                let slider = slider.or_else(|| tree.meant(what, bar));
                let slider = slider.ok_or_else(|| missing(what, "with a slider"))?;
                let [left, _, right, _] = slider.bounds.map(|edge| edge as f64);
                let x = (left + (right - left) * percent / 100.0).min(right - 1.0);
                click(self.at((x, slider.center().1)))
            }
            Step::Type { text, into } => Action::Input {
                text: text.clone(),
                target: into.as_deref().map(named),
            },
            Step::Swipe(direction) => swipe(SwipePath::Towards(*direction)),
            Step::SwipeFrom { what, direction } => {
                let tree = self.tree().await?;
                let node = tree.named(what).next().map(|index| &tree.0[index]);
                let node = node.ok_or_else(|| missing(what, "to swipe"))?;
                let start = self.at(node.center());
                let Target::Coordinate { x, y } = start else {
                    return Err(missing(what, "to swipe"));
                };
                let (x, y) = match direction {
                    Direction::Up => (x, 0.0),
                    Direction::Down => (x, 1000.0),
                    Direction::Left => (0.0, y),
                    Direction::Right => (1000.0, y),
                };
                let end = Target::Coordinate { x, y };
                swipe(SwipePath::Between { start, end })
            }
            Step::Drag([a, b, c, d]) => swipe(SwipePath::Between {
                start: Target::Coordinate { x: *a, y: *b },
                end: Target::Coordinate { x: *c, y: *d },
            }),
            Step::Scroll(direction) => scroll(*direction),
            Step::Button(button) => Action::ButtonPress { button: *button },
            Step::Wait(seconds) => Action::Sleep { duration: *seconds },
            other => return Err(PlayError::Stuck(format!("`{other}` is no single action"))),
        })
    }

    /// Leaves what is in front, then goes through home and drawer to an app.
    async fn open(&mut self, app: &str) -> Result<(), PlayError> {
        for _ in 0..MOST_PAGES {
            if self.is_home().await? {
                break;
            }
            self.act(button(ButtonName::Back)).await?;
        }
        self.act(button(ButtonName::Home)).await?;
        if !self.is_home().await? {
            self.act(swipe(SwipePath::Towards(Direction::Up))).await?;
        }
        if self.tap_named(app).await? {
            return Ok(());
        }
        self.act(swipe(SwipePath::Towards(Direction::Up))).await?;
        for _ in 0..MOST_ACTIONS {
            if self.tap_named(app).await? {
                return Ok(());
            }
            let before = self.tree().await?;
            self.act(scroll(Direction::Down)).await?;
            if self.tree().await? == before {
                break;
            }
        }
        Err(missing(app, "on the home screen or in the drawer"))
    }

    /// Down the list in front to its end, then up again.
    async fn find(&mut self, what: &str) -> Result<(), PlayError> {
        for way in [Direction::Down, Direction::Up] {
            for _ in 0..MOST_ACTIONS {
                let before = self.tree().await?;
                if before.named(what).next().is_some() {
                    return Ok(());
                }
                self.act(scroll(way)).await?;
                if self.tree().await? == before {
                    break;
                }
            }
        }
        Err(missing(what, "in the list in front"))
    }

    async fn is_home(&mut self) -> Result<bool, PlayError> {
        let check = Goal::Home.check(PhoneKind::Pixel);
        let output = self.phone.query(&check.command, self.limit).await?;
        Ok(matches(&check.expect, &output.stdout).unwrap_or(false))
    }

    /// Taps what is called exactly so, where it is shown.
    async fn tap_named(&mut self, name: &str) -> Result<bool, PlayError> {
        let tree = self.tree().await?;
        let Some(node) = tree.named(name).next().map(|index| &tree.0[index]) else {
            return Ok(false);
        };
        let at = self.at(node.center());
        self.act(click(at)).await.map(|()| true)
    }

    /// A place in pixels as thousandths.
    fn at(&self, (x, y): (f64, f64)) -> Target {
        let part = |value: f64, size: f64| (value * 1000.0 / size).clamp(0.0, 1000.0);
        Target::Coordinate {
            x: part(x, self.size.0),
            y: part(y, self.size.1),
        }
    }

    async fn tree(&mut self) -> Result<Tree, PlayError> {
        for look in 0..MOST_LOOKS {
            let output = self.phone.query("uiautomator dump /dev/tty", self.limit).await?;
            if let Some(tree) = Tree::read(&output.stdout) {
                return Ok(tree);
            }
            tokio::time::sleep(Duration::from_millis(500 * look as u64)).await;
        }
        Err(PlayError::Stuck("uiautomator gives no layout of the screen".to_owned()))
    }

    async fn act(&mut self, action: Action) -> Result<(), PlayError> {
        self.actions += 1;
        match self.phone.perform(&action).await {
            Ok(_) => Ok(()),
            Err(ActError::Policy(why)) => Err(PlayError::Stuck(why)),
            Err(ActError::Device(error)) => Err(PlayError::Device(error)),
        }
    }
}

fn missing(what: &str, how: &str) -> PlayError {
    PlayError::Stuck(format!("nothing called {what:?} {how}"))
}

fn click(target: Target) -> Action {
    let option = ClickOption::Left;
    Action::Click { target, option }
}

fn swipe(path: SwipePath) -> Action {
    Action::Swipe { path }
}

fn scroll(direction: Direction) -> Action {
    Action::Scroll {
        direction,
        target: None,
        distance: None,
    }
}

fn button(button: ButtonName) -> Action {
    Action::ButtonPress { button }
}
