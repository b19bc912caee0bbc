//! A task on a phone of its own, without HTTP: its set-up, its checks, and what the expert does at it.

use crate::demonstrator::{DemonstratorError, Skill};
use crate::device::{Device, PhoneSpec, Script, WORKING_FOLDER};
use crate::player::Player;
use crate::shell::ShellOutput;
use cua_grpo_android::action::Action;
use cua_grpo_android::tasks::{AnyTemplate, Check, TaskState};
use cua_grpo_android::{PhoneKind, Snapshot, matches};
use cua_grpo_core::{Task, TaskSource, derive_seed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Time that a command may sleep.
const SLEEP: Duration = Duration::from_secs(30);

/// Templates that a kind of phone cannot play.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{count} of {all} templates cannot be set up on the simulated phone `{phone}`, the first is {template}: {problem}; choose \
     the phone that they are for (phone=small or phone=pixel), choose others by the key templates, or mend them \
     (`trainer tasks check`)"
)]
pub struct Unplayable {
    count: usize,
    all: usize,
    phone: PhoneKind,
    template: String,
    problem: String,
}

/// Sets up an instance of each template on a phone of its own and asks its checks, as a box does.
///
/// # Errors
/// [`Unplayable`] where a command fails, or the precheck does not hold.
pub fn rehearse(templates: &[AnyTemplate], phone: PhoneKind) -> Result<(), Unplayable> {
    let problem = |template: &AnyTemplate| {
        let task = template.instance(first_seed(0), phone);
        let state: TaskState = task.payload().unwrap_or_default();
        let mut device = match set_up(&task, &state, phone) {
            Ok(device) => device,
            Err(problem) => return Some(problem),
        };
        let asked = state.checks.iter().map(|check| answer(&mut device, check));
        asked.filter_map(Result::err).next()
    };
    let mut problems = templates
        .iter()
        .filter_map(|template| Some((template, problem(template)?)));
    match problems.next() {
        None => Ok(()),
        Some((template, problem)) => Err(Unplayable {
            count: 1 + problems.count(),
            all: templates.len(),
            phone,
            template: template.id().to_owned(),
            problem,
        }),
    }
}

/// The seed of an instance that a template is tried at.
pub(crate) fn first_seed(number: u64) -> u64 {
    derive_seed(&[number, 0x9F]) >> 11
}

/// What the expert did at a task, and whether it reported it as done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// Its actions, the report among them.
    pub actions: Vec<Action>,
    /// Whether the last of them is the report.
    pub reported: bool,
}

/// Lets the expert play `task` on a phone of its own, within `turns`. Its mistakes follow from `skill` and `seed`.
///
/// # Errors
/// [`DemonstratorError`] when the task has neither goals nor steps.
pub fn demonstrate(
    task: &Task,
    phone: PhoneKind,
    (skill, seed): (Skill, u64),
    turns: usize,
) -> Result<Played, DemonstratorError> {
    let mut expert = Player::new(task, skill, seed)?;
    let mut played = Played::default();
    let state: TaskState = task.payload().unwrap_or_default();
    let Ok(mut device) = set_up(task, &state, phone) else {
        return Ok(played);
    };
    while played.actions.len() < turns && !played.reported {
        let Ok(action) = expert.next(&device.phone) else {
            break;
        };
        let done = device.phone.perform(&action);
        played.reported = matches!(action, Action::Report { .. });
        played.actions.push(action);
        // What an expert names in error is told to it, and it goes on; without mistakes its steps are wrong.
        if done.is_err() && skill.blunder <= 0.0 {
            break;
        }
    }
    Ok(played)
}

/// The templates at which the expert takes more than `turns`, each with the turns that it takes at one instance.
pub fn too_long(templates: &[AnyTemplate], phone: PhoneKind, turns: usize) -> Vec<(&str, usize)> {
    let taken = |template: &AnyTemplate| expert_turns(&template.instance(first_seed(0), phone), phone);
    let long = templates
        .iter()
        .filter_map(|template| Some((template.id(), taken(template)?)));
    long.filter(|(_, taken)| *taken > turns).collect()
}

/// Turns that the expert takes at a task, where it comes to its report within those that the task allows.
pub fn expert_turns(task: &Task, phone: PhoneKind) -> Option<usize> {
    let played = demonstrate(task, phone, (Skill::default(), task.seed), task.max_turns?.get()).ok()?;
    played.reported.then_some(played.actions.len())
}

/// Tasks of a simulated phone, each with the turns that the expert takes, where it solves them.
#[derive(Debug)]
pub struct WithExpert<T>(pub Arc<T>, pub PhoneKind);

impl<T: TaskSource> TaskSource for WithExpert<T> {
    fn task(&self, cursor: u64) -> Task {
        let task = self.0.task(cursor);
        match task.expert_turns().or_else(|| expert_turns(&task, self.1)) {
            Some(turns) => task.with_expert_turns(turns),
            None => task,
        }
    }
}

/// What the expert of a template changes at one instance although no check asks for it; `None` where it comes to no report.
pub fn side_effects(template: &AnyTemplate, phone: PhoneKind) -> Option<Vec<String>> {
    let task = template.instance(first_seed(0), phone);
    let state: TaskState = task.payload().unwrap_or_default();
    let mut device = set_up(&task, &state, phone).ok()?;
    let before = look(&mut device)?;
    let mut expert = Player::new(&task, Skill::default(), task.seed).ok()?;
    for _ in 0..task.max_turns?.get() {
        let action = expert.next(&device.phone).ok()?;
        device.phone.perform(&action).ok()?;
        if matches!(action, Action::Report { .. }) {
            return Some(before.unasked(&look(&mut device)?, &state));
        }
    }
    None
}

/// The phone of `task` after its set-up, on which the precheck holds.
pub(crate) fn set_up(task: &Task, state: &TaskState, phone: PhoneKind) -> Result<Device, String> {
    let mut device = Device::new(&PhoneSpec::from(phone), task.seed);
    prepare(&mut device, state)?;
    Ok(device)
}

/// Runs the set-up of a task, and asks its precheck.
pub(crate) fn prepare(device: &mut Device, state: &TaskState) -> Result<(), String> {
    for command in &state.setup {
        let output = shell(device, command);
        if output.exit_code != 0 {
            let (code, why) = (output.exit_code, output.stderr.trim().to_owned());
            return Err(format!("the set-up `{command}` failed with exit code {code} ({why})"));
        }
    }
    for check in &state.precheck {
        let (held, found) = answer(device, check)?;
        if !held {
            return Err(format!(
                "the precheck `{}` expects {:?} and found {found:?}",
                check.command, check.expect
            ));
        }
    }
    Ok(())
}

/// What there is on the phone, for telling what has changed.
pub(crate) fn look(device: &mut Device) -> Option<Snapshot> {
    let phone = device.phone.kind();
    Snapshot::read(&shell(device, &Snapshot::command(phone)).stdout, phone)
}

/// Runs a command as a box does.
fn shell(device: &mut Device, line: &str) -> ShellOutput {
    let script = Script {
        line,
        variables: &BTreeMap::new(),
        folder: WORKING_FOLDER,
        budget: SLEEP,
    };
    let mut output = device.shell(&script).0;
    // Android tells it and goes on with exit code 0; a task that speaks of it is for another phone.
    if output.exit_code == 0 && output.stderr.contains("Could not find provider") {
        output.exit_code = 1;
    }
    output
}

/// Whether a check holds, and what it found.
pub(crate) fn answer(device: &mut Device, check: &Check) -> Result<(bool, String), String> {
    let output = shell(device, &check.command);
    if output.exit_code != 0 {
        let (code, why) = (output.exit_code, output.stderr.trim().to_owned());
        return Err(format!(
            "the check `{}` failed with exit code {code} ({why})",
            check.command
        ));
    }
    let held = matches(&check.expect, &output.stdout).map_err(|error| error.to_string())?;
    Ok((held, output.stdout.trim().to_owned()))
}

/// Whether a report says what the task asks for.
pub(crate) fn answered(state: &TaskState, message: &str) -> Result<bool, String> {
    match state.report.as_ref().and_then(|report| report.expect.as_deref()) {
        Some(expect) => matches(expect, message).map_err(|error| error.to_string()),
        None => Ok(true),
    }
}
