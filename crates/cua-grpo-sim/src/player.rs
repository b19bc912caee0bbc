//! The expert of a full phone: plays the steps of a task, one action of the policy's grammar after another, with mistakes
//! where they are asked for: it reports too early, or names what is not on the screen.

use crate::{demonstrator::Demonstrator, demonstrator::DemonstratorError, demonstrator::Skill, handset::Handset};
use cua_grpo_android::{
    TargetStyle,
    action::{Action, ButtonName, ClickOption, Direction, SwipePath, Target},
    tasks::{Step, TaskState},
};
use cua_grpo_core::Task;
use cua_grpo_phone::{Phone, state::Window};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// Actions that one step may take before it is given up: lists and drawers end.
const MOST_ACTIONS: usize = 40;

/// Plays one attempt at one task, on either phone.
#[derive(Debug, Clone)]
pub enum Player {
    /// On the small phone: goes by goals, with mistakes where they are asked for.
    Small(Box<Demonstrator>),
    /// On the full phone: goes by steps.
    Pixel(Box<StepPlayer>),
}

/// A step that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step `{step}`: {why}")]
pub struct StepFailed {
    step: String,
    why: String,
}

impl Player {
    /// An expert for `task`: by its steps where it has some, else by its goals.
    ///
    /// # Errors
    /// [`DemonstratorError`] when it has neither, or they cannot be read.
    pub fn new(task: &Task, skill: Skill, seed: u64) -> Result<Self, DemonstratorError> {
        let state: TaskState = task.payload().unwrap_or_default();
        if state.expert.is_empty() {
            return Ok(Self::Small(Box::new(Demonstrator::new(task, skill, seed)?)));
        }
        let mut steps = VecDeque::new();
        for text in &state.expert {
            let step = text.parse().map_err(|reason| DemonstratorError::BadStep {
                task: task.id.clone(),
                reason,
            })?;
            steps.push_back(step);
        }
        if !matches!(steps.back(), Some(Step::Report(_))) {
            steps.push_back(Step::Report(None));
        }
        Ok(Self::Pixel(Box::new(StepPlayer {
            steps,
            skill,
            rng: ChaCha8Rng::seed_from_u64(seed),
            taken: 0,
            turned: false,
            tempted: false,
        })))
    }

    /// The next action on what `phone` shows now.
    ///
    /// # Errors
    /// [`StepFailed`] where a step wants what is not there, or the task is for the other phone.
    pub fn next(&mut self, phone: &Handset) -> Result<Action, StepFailed> {
        let other = |step: &str| StepFailed {
            step: step.to_owned(),
            why: "the task is for the other kind of phone; set phone=small or phone=pixel".to_owned(),
        };
        match (self, phone) {
            (Self::Small(player), Handset::Small(phone)) => Ok(player.next(phone)),
            (Self::Pixel(player), Handset::Pixel(phone)) => player.next(phone.phone()),
            (Self::Small(_), _) => Err(other("goals")),
            (Self::Pixel(player), _) => Err(other(&player.steps.front().map(Step::to_string).unwrap_or_default())),
        }
    }
}

/// Plays steps.
#[derive(Debug, Clone)]
pub struct StepPlayer {
    steps: VecDeque<Step>,
    /// How well it plays. It takes no wrong rows ([`Skill::slip`]): steps do not say how to come back from one.
    skill: Skill,
    rng: ChaCha8Rng,
    /// Actions that the step in front has taken so far.
    taken: usize,
    /// Whether a search has come to the end of its list and goes back up.
    turned: bool,
    /// Whether a step has just been done that is not the last: a moment to report too early.
    tempted: bool,
}

/// What a step wants next.
enum Move {
    /// Nothing more.
    Done,
    /// An action, after which it looks again.
    Go(Action),
    /// An action that ends it.
    Last(Action),
}

impl StepPlayer {
    fn next(&mut self, phone: &Phone) -> Result<Action, StepFailed> {
        if std::mem::take(&mut self.tempted) && self.errs(self.skill.hurry) {
            return Ok(report(None));
        }
        while let Some(step) = self.steps.front().cloned() {
            let fail = |why: String| StepFailed {
                step: step.to_string(),
                why,
            };
            if self.taken >= MOST_ACTIONS {
                return Err(fail(format!("not done after {MOST_ACTIONS} actions")));
            }
            let (action, over) = match self.play(&step, phone).map_err(fail)? {
                Move::Done => (None, true),
                Move::Go(action) => (Some(action), false),
                Move::Last(action) => (Some(action), true),
            };
            if let Some(action) = action.as_ref().and_then(|action| self.blunder(action, phone)) {
                return Ok(action);
            }
            self.taken += 1;
            if over {
                self.steps.pop_front();
                (self.taken, self.turned) = (0, false);
                self.tempted = action.is_some() && self.steps.len() > 1;
            }
            if let Some(action) = action {
                return Ok(action);
            }
        }
        Ok(report(None))
    }

    /// Whether a mistake of that probability is made now; asks for no random number where there are none.
    fn errs(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    /// In the place of a click on something named, now and then one on what is not there: an app, or a thing of a later
    /// step.
    fn blunder(&mut self, action: &Action, phone: &Phone) -> Option<Action> {
        let named = matches!(
            action,
            Action::Click {
                target: Target::Described(_),
                ..
            }
        );
        if !named || !self.errs(self.skill.blunder) {
            return None;
        }
        let later = self.steps.iter().filter_map(|step| match step {
            Step::Tap { what, .. } | Step::Find(what) | Step::Switch { what, .. } => Some(what.as_str()),
            _ => None,
        });
        let apps = phone.state().packages.values().map(|known| known.label.as_ref());
        let absent: Vec<&str> = later
            .chain(apps)
            .filter(|label| !label.is_empty() && !phone.shows(label) && phone.find(label).is_none())
            .collect();
        absent.choose(&mut self.rng).map(|label| click(Target::element(*label)))
    }

    fn play(&mut self, step: &Step, phone: &Phone) -> Result<Move, String> {
        Ok(match step {
            Step::Open(app) => self.open(app, phone)?,
            Step::Tap { what, if_shown: true } if !phone.shows(what) => Move::Done,
            Step::Tap { what, .. } => Move::Last(self.click(what, phone)?),
            Step::TapEach(letters) => {
                let letter: String = letters.chars().skip(self.taken).take(1).collect();
                let action = self.click(&letter, phone)?;
                match self.taken + 1 < letters.chars().count() {
                    true => Move::Go(action),
                    false => Move::Last(action),
                }
            }
            Step::TapAt(x, y) => Move::Last(click(Target::Coordinate { x: *x, y: *y })),
            Step::Find(what) => self.search(what, phone)?,
            Step::Switch { what, on } => {
                let (is_on, at) = phone
                    .switch(what)
                    .ok_or_else(|| format!("{what:?} is nothing on the screen that is on or off"))?;
                match is_on == *on {
                    true => Move::Done,
                    false => Move::Last(self.click_switch(what, at, phone)),
                }
            }
            Step::Slide { what, percent } => {
                let (left, right, y) = phone
                    .slider(what)
                    .ok_or_else(|| format!("{what:?} is no slider on the screen"))?;
                let x = left + (right - left) * (*percent as f32) / 100.0;
                Move::Last(click(share(phone, (x.min(right - 1.0), y))))
            }
            Step::Type { text, into } => {
                let target = into.as_ref().map(|field| self.target(field, phone)).transpose()?;
                if target.is_none() && phone.state().focused().is_none() {
                    return Err("no field has the focus; tap one first, or add: into \"FIELD\"".to_owned());
                }
                Move::Last(Action::Input {
                    text: text.clone(),
                    target,
                })
            }
            Step::Press { keys, times } => {
                let action = Action::KeyPress { keys: keys.clone() };
                match self.taken as u64 + 1 < *times {
                    true => Move::Go(action),
                    false => Move::Last(action),
                }
            }
            Step::Swipe(direction) => Move::Last(swipe(*direction)),
            Step::SwipeFrom { what, direction } => {
                let point = phone.find(what).ok_or_else(|| missing(what))?;
                let Target::Coordinate { x, y } = share(phone, point) else {
                    return Err(missing(what));
                };
                let end = match direction {
                    Direction::Up => (x, 0.0),
                    Direction::Down => (x, 1000.0),
                    Direction::Left => (0.0, y),
                    Direction::Right => (1000.0, y),
                };
                Move::Last(drag(
                    self.target(what, phone)?,
                    Target::Coordinate { x: end.0, y: end.1 },
                ))
            }
            Step::Drag([a, b, c, d]) => Move::Last(drag(
                Target::Coordinate { x: *a, y: *b },
                Target::Coordinate { x: *c, y: *d },
            )),
            Step::Scroll(direction) => Move::Last(scroll(*direction)),
            Step::Button(button) => Move::Last(Action::ButtonPress { button: *button }),
            Step::Wait(seconds) => Move::Last(Action::Sleep { duration: *seconds }),
            Step::Report(message) => Move::Last(report(message.clone())),
        })
    }

    /// Through the home screen and the drawer to the first page of an app.
    fn open(&mut self, app: &str, phone: &Phone) -> Result<Move, String> {
        let state = phone.state();
        let package = state.packages.iter().find(|(_, known)| known.label == app);
        let Some((package, _)) = package else {
            let labels = state.packages.values().filter(|known| !known.activity.is_empty());
            let labels: Vec<&str> = labels.map(|known| known.label.as_ref()).collect();
            return Err(format!("no app is called so; there are {}", labels.join(", ")));
        };
        let button = |button| Move::Go(Action::ButtonPress { button });
        if state.locked {
            return Ok(Move::Go(swipe(Direction::Up)));
        }
        Ok(match state.front_window() {
            Window::App if state.front_package() == package => {
                let first =
                    state.tasks.last().is_some_and(|task| task.places.len() == 1) && state.page().page.is_empty();
                match first {
                    true => Move::Done,
                    false => button(ButtonName::Back),
                }
            }
            Window::Home => {
                let drawer = !state.place(Window::Home).var("drawer").is_empty();
                if phone.shows(app) {
                    Move::Go(self.click(app, phone)?)
                } else if !drawer {
                    Move::Go(swipe(Direction::Up))
                } else if phone.can_scroll().1 {
                    Move::Go(scroll(Direction::Down))
                } else {
                    return Err("it is not in the drawer".to_owned());
                }
            }
            _ => button(ButtonName::Home),
        })
    }

    /// Down the list in front to its end, then up again. What is called exactly so wins; else what is meant by it.
    fn search(&mut self, what: &str, phone: &Phone) -> Result<Move, String> {
        if phone.shows(what) {
            return Ok(Move::Done);
        }
        let (above, below) = phone.can_scroll();
        self.turned |= !below;
        match (self.turned, above) {
            (false, _) => Ok(Move::Go(scroll(Direction::Down))),
            _ if phone.find(what).is_some() => Ok(Move::Done),
            (true, true) => Ok(Move::Go(scroll(Direction::Up))),
            (true, false) => Err("it is nowhere in the list in front".to_owned()),
        }
    }

    fn target(&self, what: &str, phone: &Phone) -> Result<Target, String> {
        let point = phone.find(what).ok_or_else(|| missing(what))?;
        Ok(match self.skill.target {
            TargetStyle::Description => Target::element(what),
            TargetStyle::Coordinate => share(phone, point),
        })
    }

    fn click(&self, what: &str, phone: &Phone) -> Result<Action, String> {
        self.target(what, phone).map(click)
    }

    /// A switch is named where its name leads to it; one that has none is touched where it is.
    fn click_switch(&self, what: &str, at: (f32, f32), phone: &Phone) -> Action {
        let names = [what.to_owned(), format!("{what} switch")];
        let near = |name: &&String| {
            phone
                .find(name)
                .is_some_and(|(x, y)| (x - at.0).abs() < 1.0 && (y - at.1).abs() < 1.0)
        };
        click(match (self.skill.target, names.iter().find(near)) {
            (TargetStyle::Description, Some(name)) => Target::element(name.as_str()),
            _ => share(phone, at),
        })
    }
}

fn missing(what: &str) -> String {
    format!("{what:?} is not on the screen, or several things may be meant")
}

/// A point of the screen in thousandths.
fn share(phone: &Phone, (x, y): (f32, f32)) -> Target {
    let display = phone.state().display;
    let part = |value: f32, size: u32| (f64::from(value) * 1000.0 / f64::from(size)).round();
    Target::Coordinate {
        x: part(x, display.width),
        y: part(y, display.height),
    }
}

fn click(target: Target) -> Action {
    Action::Click {
        target,
        option: ClickOption::Left,
    }
}

fn swipe(direction: Direction) -> Action {
    Action::Swipe {
        path: SwipePath::Towards(direction),
    }
}

fn drag(start: Target, end: Target) -> Action {
    Action::Swipe {
        path: SwipePath::Between { start, end },
    }
}

fn scroll(direction: Direction) -> Action {
    Action::Scroll {
        direction,
        target: None,
        distance: None,
    }
}

fn report(message: Option<String>) -> Action {
    Action::Report { success: true, message }
}
