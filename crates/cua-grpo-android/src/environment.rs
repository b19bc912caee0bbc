//! The environment: one attempt at one task on one phone. The only file that knows core's seams.

use crate::PhoneKind;
use crate::action::{Action, parse_reply};
use crate::device::{Device, DeviceError, DeviceSource, LeaseRequest};
use crate::perform::{ActError, LiveDevice};
use crate::prompt::{PromptStyle, Prompts, TargetStyle};
use crate::tasks::TaskState;
use crate::validate::{ValidateError, matches, run_all, validate};
use crate::watch::Snapshot;
use async_trait::async_trait;
use cua_grpo_core::{
    ActionRecord, CheckOutcome, Chunk, Ending, Environment, EnvironmentFactory, Facts, Fault, FaultKind, Message,
    Observation, Role, Step, Task,
};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// What has to hold for a task to count as done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuccessRequires {
    /// The state of the phone fulfils the checks.
    #[default]
    State,
    /// The state fulfils the checks, and the policy reports success.
    StateAndReport,
}

impl SuccessRequires {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::State, Self::StateAndReport];
}

/// How attempts run.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvConfig {
    /// How much the policy is told. Default full.
    pub style: PromptStyle,
    /// How the policy is taught to name places. Default in words.
    pub targets: TargetStyle,
    /// Upper bound of turns; that of the task applies too. Default 15.
    pub max_turns: usize,
    /// Most calls in one reply; a reply with more is refused as a whole. Default 1.
    pub max_calls: usize,
    /// Wait between an action and the picture after it. Default 500 ms; 0 for a simulator.
    pub settle: Duration,
    /// Limit of one shell command on the phone. Default 30 s.
    pub command_timeout: Duration,
    /// What has to hold for a task to count as done; a task may ask for a report besides. Default the state alone.
    pub success: SuccessRequires,
    /// Look at the state before and after, to tell what changed without being asked for. Default no.
    pub side_effects: bool,
    /// The kind of phone that tasks speak of and that is looked at. Default small.
    pub phone: PhoneKind,
}

impl Default for EnvConfig {
    fn default() -> Self {
        Self {
            style: PromptStyle::default(),
            targets: TargetStyle::default(),
            max_turns: 15,
            max_calls: 1,
            settle: Duration::from_millis(500),
            command_timeout: Duration::from_secs(30),
            success: SuccessRequires::default(),
            side_effects: false,
            phone: PhoneKind::default(),
        }
    }
}

/// Makes environments on the phones of a source.
#[derive(Debug, Clone)]
pub struct AndroidEnvironmentFactory {
    source: Arc<dyn DeviceSource>,
    config: Arc<EnvConfig>,
}

impl AndroidEnvironmentFactory {
    /// A factory; phones are leased when the environments start.
    pub fn new(source: Arc<dyn DeviceSource>, config: EnvConfig) -> Self {
        Self {
            source,
            config: Arc::new(config),
        }
    }
}

#[async_trait]
impl EnvironmentFactory for AndroidEnvironmentFactory {
    async fn create(&self, task: &Task, slot: usize) -> Result<Box<dyn Environment>, Fault> {
        Ok(Box::new(AndroidEnvironment {
            source: self.source.clone(),
            config: self.config.clone(),
            prompts: Prompts {
                style: self.config.style,
                targets: self.config.targets,
            },
            state: task.payload()?,
            task: task.clone(),
            slot,
            stage: Stage::New,
            facts: Facts::default(),
            before: None,
        }))
    }
}

/// One attempt at one task, whose payload is a [`TaskState`].
#[derive(Debug)]
pub struct AndroidEnvironment {
    source: Arc<dyn DeviceSource>,
    config: Arc<EnvConfig>,
    prompts: Prompts,
    task: Task,
    state: TaskState,
    slot: usize,
    stage: Stage,
    facts: Facts,
    /// The state before the first turn, where it is looked at and the phone can tell.
    before: Option<Snapshot>,
}

/// Where the attempt stands.
#[derive(Debug)]
enum Stage {
    /// Not started.
    New,
    /// The phone is leased; its state is being set up.
    Leased(Box<dyn Device>),
    /// Turns are taken.
    Open(Box<LiveDevice>),
    /// The phone is given back, or was lost.
    Over,
}

impl AndroidEnvironment {
    /// The lower of both limits.
    fn max_turns(&self) -> usize {
        let limit = self.config.max_turns;
        self.task.max_turns.map_or(limit, |turns| limit.min(turns.get()))
    }

    /// Setup, and proof that there is something left to do.
    async fn set_up(&self, device: &mut dyn Device) -> Result<(), Fault> {
        let limit = self.config.command_timeout;
        let setup = |error: ValidateError| Fault::from_error(FaultKind::Setup, "set up task", error);
        run_all(device, &self.state.setup, limit).await.map_err(setup)?;
        if !self.state.setup.is_empty() {
            tokio::time::sleep(self.config.settle).await;
        }
        let before = validate(device, &self.state.precheck, limit).await.map_err(setup)?;
        if let Some(broken) = before.outcomes.iter().find(|outcome| !outcome.held) {
            let message = format!(
                "task {}: expected `{}` to say {:?} after the set-up, got {:?}",
                self.task.id, broken.check, broken.expected, broken.found
            );
            return Err(Fault::new(FaultKind::Setup, "precheck", message));
        }
        let verdict = validate(device, &self.state.checks, limit).await.map_err(setup)?;
        // A report that is asked for is still to come.
        if self.state.report.is_none() && (verdict.all() || self.state.checks.is_empty()) {
            let count = self.state.checks.len();
            let message = format!(
                "task {}: expected one of {count} checks to fail, got none that does",
                self.task.id
            );
            return Err(Fault::new(FaultKind::Setup, "precheck", message));
        }
        Ok(())
    }

    fn first_observation(&self, device: &LiveDevice) -> Observation {
        let limit = self.max_turns();
        let user = Message::new(
            Role::User,
            vec![
                Chunk::Text(self.prompts.task(&self.task.instruction, limit)),
                Chunk::Image(device.screen().image.clone()),
                Chunk::Text(self.prompts.turn(1, limit, None)),
            ],
        );
        Observation::new(vec![Message::text(Role::System, self.prompts.system()), user])
            .with_state(device.screen().state)
    }

    fn next_observation(&self, device: &LiveDevice, error: Option<&str>) -> Observation {
        let text = self.prompts.turn(self.facts.turns + 1, self.max_turns(), error);
        let content = vec![Chunk::Image(device.screen().image.clone()), Chunk::Text(text)];
        Observation::new(vec![Message::new(Role::User, content)]).with_state(device.screen().state)
    }

    /// Reads the reply and carries it out; the record says what went wrong on the policy's side. True: it reported.
    async fn carry_out(&mut self, device: &mut LiveDevice, reply: &str) -> Result<(ActionRecord, bool), Fault> {
        let refused = |error: String| {
            let record = ActionRecord::new("malformed reply");
            (record.with_error(error).with_malformed(true), false)
        };
        let calls = match parse_reply(reply) {
            Ok(reply) => reply.calls,
            Err(error) => return Ok(refused(error.to_string())),
        };
        if calls.len() > self.config.max_calls {
            let (limit, got) = (self.config.max_calls, calls.len());
            return Ok(refused(format!("expected at most {limit} tool call a turn, got {got}")));
        }
        let mut record = ActionRecord::default();
        for action in &calls {
            if !record.summary.is_empty() {
                record.summary.push_str("; ");
            }
            record.summary.push_str(&action.to_string());
            if let Action::Report { success, message } = action {
                self.facts.claimed = Some(*success);
                self.facts.report.clone_from(message);
                return Ok((record, true));
            }
            match device.perform(action).await {
                Ok(points) => record.points.extend(points.iter().map(|point| (point.x, point.y))),
                Err(ActError::Policy(error)) => {
                    record.error = Some(error);
                    break;
                }
                Err(ActError::Device(error)) => {
                    return Err(Fault::from_error(FaultKind::Environment, "take turn", error));
                }
            }
        }
        Ok((record, false))
    }
}

impl AndroidEnvironment {
    /// Decides whether the task is done, when all checks of the phone hold or not.
    fn judge(&mut self, held: bool) {
        let (asked, facts) = (&self.state.report, &mut self.facts);
        let said = facts.report.as_deref().unwrap_or_default().trim();
        let reported = facts.claimed == Some(true);
        let answer = asked.as_ref().and_then(|report| report.expect.as_deref());
        let answered = answer.is_none_or(|expect| matches(expect, said).unwrap_or(false));
        let state = match self.state.checks.is_empty() {
            true => answer.is_some() && answered,
            false => held && answered,
        };
        if asked.is_none() && self.config.success == SuccessRequires::State {
            facts.verified = state;
            return;
        }
        facts.verified = state && reported;
        facts.state_holds = Some(state);
        let found = match facts.claimed {
            None => "no report".to_owned(),
            Some(true) => format!("success {said}"),
            Some(false) => format!("failure {said}"),
        };
        let expected = format!("success {}", answer.unwrap_or_default());
        let outcome = CheckOutcome::new("the report", expected.trim(), found.trim());
        facts.checks = vec![outcome.with_held(reported && answered)];
    }
}

/// Phones that one attempt may take until one of them is set up.
const MOST_PHONES: usize = 4;

/// Whether a set-up failed because nobody knows if the phone did what it was told.
fn is_unsure(fault: &Fault) -> bool {
    let cause = fault.source().and_then(|source| source.downcast_ref());
    matches!(cause, Some(ValidateError::Device(DeviceError::Unsure(_))))
}

/// Using an environment out of order is a defect of the engine; it is reported, not acted on.
fn out_of_order(operation: &str, expected: &str) -> Fault {
    Fault::new(
        FaultKind::Environment,
        operation,
        format!("expected {expected}; call start, step..., finish"),
    )
}

#[async_trait]
impl Environment for AndroidEnvironment {
    async fn start(&mut self) -> Result<Observation, Fault> {
        if !matches!(self.stage, Stage::New) {
            return Err(out_of_order("start", "a new environment"));
        }
        let request = LeaseRequest {
            seed: self.task.seed,
            task: self.task.id.clone(),
            slot: self.slot,
            settle: self.config.settle,
        };
        let mut phones = 1;
        let device = loop {
            let leased = self.source.lease(&request).await;
            let mut device = leased.map_err(|error| {
                let kind = match error {
                    DeviceError::Full(_) => FaultKind::Full,
                    _ => FaultKind::Environment,
                };
                Fault::from_error(kind, "lease box", error)
            })?;
            match self.set_up(device.as_mut()).await {
                Ok(()) => break device,
                // A command that may have been carried out is not given to this phone again: another one is set up.
                Err(fault) if is_unsure(&fault) && phones < MOST_PHONES => {
                    phones += 1;
                    device.release().await;
                }
                Err(fault) => {
                    self.stage = Stage::Leased(device);
                    return Err(fault);
                }
            }
        };
        let mut device = device;
        if self.config.side_effects {
            self.before = Snapshot::take(device.as_mut(), self.config.phone, self.config.command_timeout).await;
        }
        match LiveDevice::open(device, self.config.settle).await {
            Ok(device) => {
                let observation = self.first_observation(&device);
                self.stage = Stage::Open(Box::new(device));
                Ok(observation)
            }
            Err((device, error)) => {
                self.stage = Stage::Leased(device);
                Err(Fault::from_error(
                    FaultKind::Environment,
                    "take first screenshot",
                    error,
                ))
            }
        }
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        // The device leaves the stage while it works: when this future is dropped, the box goes back to the pool.
        let mut device = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Open(device) => device,
            other => {
                self.stage = other;
                return Err(out_of_order("step", "a started environment"));
            }
        };
        self.facts.turns += 1;
        let outcome = self.carry_out(&mut device, reply).await;
        let step = outcome.map(|(action, reported)| {
            self.facts.action_errors += usize::from(action.error.is_some());
            let observation = (!reported).then(|| self.next_observation(&device, action.error.as_deref()));
            match observation {
                Some(observation) => Step::new(action).with_observation(observation),
                None => Step::new(action),
            }
        });
        self.stage = Stage::Open(device);
        step
    }

    async fn finish(&mut self, ending: Ending) -> Result<Facts, Fault> {
        let mut device = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Open(device) => device.into_device(),
            Stage::Leased(device) => device,
            Stage::New | Stage::Over if ending == Ending::Fault => return Ok(self.facts.clone()),
            Stage::New | Stage::Over => return Err(out_of_order("finish", "a started environment")),
        };
        if ending == Ending::Fault {
            device.release().await;
            return Ok(self.facts.clone());
        }
        let limit = self.config.command_timeout;
        let verdict = validate(device.as_mut(), &self.state.checks, limit).await;
        if let Some(before) = &self.before {
            let after = Snapshot::take(device.as_mut(), self.config.phone, limit).await;
            self.facts.side_effects = after.map(|after| before.unasked(&after, &self.state));
        }
        // A release that fails is counted by the source; what the validator saw stays true.
        device.release().await;
        let verdict = verdict.map_err(|error| Fault::from_error(FaultKind::Validator, "validate", error))?;
        self.judge(verdict.all());
        self.facts
            .extra
            .insert("checks".to_owned(), verdict.outcomes.len() as f64);
        self.facts
            .extra
            .insert("checks_passed".to_owned(), verdict.passed() as f64);
        let mut checks = verdict.outcomes;
        // What was asked of the report stands after what was asked of the phone.
        checks.append(&mut self.facts.checks);
        self.facts.checks = checks;
        Ok(self.facts.clone())
    }
}
