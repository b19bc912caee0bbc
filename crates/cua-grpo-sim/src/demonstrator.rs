//! A scripted expert: solves tasks from what the screen shows, with human-like mistakes if asked for.

use crate::{
    phone::{HEIGHT, Phone, Screen, WIDTH},
    settings::TIMEOUTS,
    widget::{NodeKind, UiNode},
};
use cua_grpo_android::{
    TargetStyle,
    action::{Action, ButtonName, ClickOption, Direction, SwipePath, Target},
    names::{App, Page, Toggle},
    tasks::{Goal, GoalError, GoalList, StepError},
};
use cua_grpo_core::Task;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// How well the demonstrator plays. The default makes no mistakes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Skill {
    /// Probability of reporting completion too early, at each moment that invites it: on opening the right page, and
    /// after each goal but the last.
    pub hurry: f64,
    /// Probability that a click hits another thing on the screen; the demonstrator then recovers.
    pub slip: f64,
    /// Probability that a click names something that is not on the screen; the phone answers with an error, and the
    /// demonstrator goes on. Only for targets named by their label.
    pub blunder: f64,
    /// How targets are named.
    pub target: TargetStyle,
}

/// A task that cannot be demonstrated.
#[derive(Debug, thiserror::Error)]
pub enum DemonstratorError {
    /// The task has no goal to read.
    #[error(
        "demonstrate task {0}: expected goals or steps of an expert, got none; choose templates that have goals, or expert steps for the full phone"
    )]
    NoGoal(String),
    /// The goal is not in the language of goals.
    #[error("demonstrate task {task}: {reason}")]
    BadGoal {
        /// Id of the task.
        task: String,
        /// What is wrong.
        reason: GoalError,
    },
    /// A step is not in the language of steps.
    #[error("demonstrate task {task}: {reason}")]
    BadStep {
        /// Id of the task.
        task: String,
        /// What is wrong.
        reason: StepError,
    },
}

/// The expert for one attempt at one task.
///
/// Its choices follow from the goals, what the screen shows, and what it has seen done before, so that a policy that
/// reads the conversation can imitate it. Without mistakes the same screens give the same actions.
#[derive(Debug, Clone)]
pub struct Demonstrator {
    goals: Vec<Goal>,
    /// Which goals were seen to hold when they were last visible.
    done: Vec<bool>,
    /// Goals whose page has been reached before.
    reached: Vec<bool>,
    skill: Skill,
    rng: ChaCha8Rng,
}

impl Demonstrator {
    /// An expert for `task`, whose mistakes follow from `seed`.
    ///
    /// # Errors
    /// [`DemonstratorError`] when `task.tags["goal"]` is missing or cannot be read.
    pub fn new(task: &Task, skill: Skill, seed: u64) -> Result<Self, DemonstratorError> {
        let text = task
            .tags
            .get("goal")
            .ok_or_else(|| DemonstratorError::NoGoal(task.id.clone()))?;
        let GoalList(goals) = text.parse().map_err(|reason| DemonstratorError::BadGoal {
            task: task.id.clone(),
            reason,
        })?;
        let (done, reached) = (vec![false; goals.len()], vec![false; goals.len()]);
        Ok(Self {
            goals,
            done,
            reached,
            skill,
            rng: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// The next action on what `phone` shows now.
    pub fn next(&mut self, phone: &Phone) -> Action {
        let nodes = phone.nodes();
        if let Some(startup) = phone.startup() {
            // What is written on the button differs; a person would say what everybody sees.
            return match self.skill.target {
                TargetStyle::Description => Action::Click {
                    target: Target::element("dialog button"),
                    option: ClickOption::Left,
                },
                TargetStyle::Coordinate => self.click(&nodes, &startup.button),
            };
        }
        let before = self.done.iter().filter(|done| **done).count();
        for (goal, done) in self.goals.iter().zip(&mut self.done) {
            if let Some(holds) = seen(goal, phone, &nodes) {
                *done = holds;
            }
        }
        let Some(current) = self.done.iter().position(|done| !done) else {
            return Action::Report {
                success: true,
                message: None,
            };
        };
        let progressed = self.done.iter().filter(|done| **done).count() > before;
        let arrived = place(&self.goals[current]) == Some(phone.screen()) && !self.reached[current];
        self.reached[current] |= arrived;
        if (progressed || arrived) && self.rng.random_bool(self.skill.hurry.clamp(0.0, 1.0)) {
            return Action::Report {
                success: true,
                message: None,
            };
        }
        let goal = self.goals[current].clone();
        self.towards(&goal, phone, &nodes)
    }

    fn towards(&mut self, goal: &Goal, phone: &Phone, nodes: &[UiNode]) -> Action {
        if phone.is_choosing_timeout() {
            let wanted = TIMEOUTS.into_iter().find(|choice| *goal == Goal::Timeout(choice.0));
            return self.click(nodes, wanted.map_or("Cancel", |choice| choice.1));
        }
        let Some(wanted) = place(goal) else {
            return button(ButtonName::Home);
        };
        if phone.screen() == wanted {
            return self.on_place(goal, phone, nodes);
        }
        match (phone.screen(), wanted) {
            (Screen::NoteEditor, Screen::Notes) => self.write(goal, phone, nodes),
            (Screen::Launcher, _) => match wanted.app().map(|app| app.label()) {
                Some(label) if visible(nodes, label).is_some() => self.click(nodes, label),
                _ if phone.launcher_page() == 0 => swipe(Direction::Left),
                _ => swipe(Direction::Right),
            },
            (Screen::Settings, Screen::SettingsPage(page)) => self.click_in_list(page.label(), phone, nodes),
            (Screen::SettingsPage(_), Screen::Settings | Screen::SettingsPage(_)) => button(ButtonName::Back),
            _ => button(ButtonName::Home),
        }
    }

    /// What to do where the goal is decided.
    fn on_place(&mut self, goal: &Goal, phone: &Phone, nodes: &[UiNode]) -> Action {
        match goal {
            Goal::Toggle { toggle, .. } => self.click_in_list(toggle.label(), phone, nodes),
            Goal::Brightness(level) => self.click_in_list(&format!("Brightness slider {}", level.key()), phone, nodes),
            Goal::Timeout(_) => self.click_in_list("Screen timeout", phone, nodes),
            Goal::Alarm { time, .. } => self.click_in_list(time, phone, nodes),
            Goal::Note(_) => self.click_in_list("New note", phone, nodes),
            // These hold as soon as their place is reached, so there is nothing left to do but wait for the screen.
            Goal::App(_) | Goal::Page(_) | Goal::Home => Action::Sleep { duration: 1.0 },
        }
    }

    fn write(&mut self, goal: &Goal, phone: &Phone, nodes: &[UiNode]) -> Action {
        let Goal::Note(text) = goal else {
            return button(ButtonName::Back);
        };
        if phone.draft() == text {
            self.click(nodes, "Save")
        } else if phone.draft().is_empty() {
            Action::Input {
                text: text.clone(),
                target: self.name(nodes, "Note text"),
            }
        } else {
            button(ButtonName::Back)
        }
    }

    fn click_in_list(&mut self, label: &str, phone: &Phone, nodes: &[UiNode]) -> Action {
        if visible(nodes, label).is_some() {
            return self.click(nodes, label);
        }
        let (_, below) = phone.can_scroll();
        let direction = if below { Direction::Down } else { Direction::Up };
        Action::Scroll {
            direction,
            target: None,
            distance: None,
        }
    }

    fn click(&mut self, nodes: &[UiNode], label: &str) -> Action {
        let mut label = label.to_owned();
        if let Some(target) = self.blunder(nodes) {
            return Action::Click {
                target,
                option: ClickOption::Left,
            };
        }
        if self.skill.slip > 0.0 && self.rng.random_bool(self.skill.slip.min(1.0)) {
            let other = |node: &&UiNode| {
                let plain = !matches!(node.kind, NodeKind::Navigation | NodeKind::Key);
                node.label != label && plain && node.kind.is_interactive()
            };
            let others: Vec<&UiNode> = nodes.iter().filter(other).collect();
            if let Some(node) = others.choose(&mut self.rng) {
                label = node.label.clone();
            }
        }
        match self.name(nodes, &label) {
            Some(target) => Action::Click {
                target,
                option: ClickOption::Left,
            },
            None => button(ButtonName::Back),
        }
    }

    /// The label of something that other screens have.
    fn blunder(&mut self, nodes: &[UiNode]) -> Option<Target> {
        let described = self.skill.target == TargetStyle::Description;
        if !described || self.skill.blunder <= 0.0 || !self.rng.random_bool(self.skill.blunder.min(1.0)) {
            return None;
        }
        let apps = App::ALL.into_iter().map(|app| app.label());
        let pages = Page::ALL.into_iter().map(|page| page.label());
        let toggles = Toggle::ALL.into_iter().map(|toggle| toggle.label());
        let labels = apps.chain(pages).chain(toggles).chain(["dialog button"]);
        let absent: Vec<&str> = labels
            .filter(|label| crate::ground::find(nodes, label).is_none())
            .collect();
        absent.choose(&mut self.rng).map(|label| Target::element(*label))
    }

    fn name(&self, nodes: &[UiNode], label: &str) -> Option<Target> {
        let node = visible(nodes, label)?;
        Some(match self.skill.target {
            TargetStyle::Description => Target::element(label),
            TargetStyle::Coordinate => {
                let (x, y) = node.bounds.centre();
                let share = |value: i32, size: i32| (f64::from(value) * 1000.0 / f64::from(size)).round();
                Target::Coordinate {
                    x: share(x, WIDTH),
                    y: share(y, HEIGHT),
                }
            }
        })
    }
}

fn button(button: ButtonName) -> Action {
    Action::ButtonPress { button }
}

fn swipe(direction: Direction) -> Action {
    Action::Swipe {
        path: SwipePath::Towards(direction),
    }
}

fn visible<'a>(nodes: &'a [UiNode], label: &str) -> Option<&'a UiNode> {
    nodes
        .iter()
        .find(|node| node.label == label && node.kind.is_interactive())
}

/// The screen on which a goal is decided; `None` for the launcher, which is reached by the home button.
fn place(goal: &Goal) -> Option<Screen> {
    Some(match goal {
        Goal::Toggle { toggle, .. } => Screen::SettingsPage(toggle.page()),
        Goal::Brightness(_) | Goal::Timeout(_) => Screen::SettingsPage(Page::Display),
        Goal::App(app) => Screen::of(*app),
        Goal::Page(page) => Screen::SettingsPage(*page),
        Goal::Home => return None,
        Goal::Note(_) => Screen::Notes,
        Goal::Alarm { .. } => Screen::Clock,
    })
}

/// Whether a goal holds, as far as the screen shows it; `None` where it does not.
fn seen(goal: &Goal, phone: &Phone, nodes: &[UiNode]) -> Option<bool> {
    let here = |screen: Screen| phone.screen() == screen;
    match goal {
        Goal::Toggle { toggle, on } => visible(nodes, toggle.label())?.checked.map(|checked| checked == *on),
        Goal::Brightness(level) => visible(nodes, &format!("Brightness slider {}", level.key()))?.checked,
        Goal::Timeout(ms) if here(Screen::SettingsPage(Page::Display)) => {
            visible(nodes, "Screen timeout").map(|_| phone.settings.timeout_ms() == *ms)
        }
        Goal::Timeout(_) => None,
        Goal::App(app) => Some(phone.screen().app() == Some(*app)),
        Goal::Page(page) => Some(here(Screen::SettingsPage(*page))),
        Goal::Home => Some(here(Screen::Launcher)),
        Goal::Note(text) if here(Screen::Notes) => Some(nodes.iter().any(|node| node.label == *text)),
        Goal::Note(_) => None,
        Goal::Alarm { time, on } if here(Screen::Clock) => visible(nodes, time)?.checked.map(|checked| checked == *on),
        Goal::Alarm { .. } => None,
    }
}
