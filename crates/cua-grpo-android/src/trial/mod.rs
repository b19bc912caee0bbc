//! Templates tried on a phone: whether the set-up reads back, whether there is something to do, what the checks read, and
//! whether the steps of the expert lead there. It takes any phone, real ones above all.

mod live;
mod tree;

use crate::PhoneKind;
use crate::device::{Device, DeviceError, DeviceSource, LeaseRequest};
use crate::perform::LiveDevice;
use crate::tasks::{AnyTemplate, Step, TaskState};
use crate::validate::{ValidateError, matches, run_all, validate};
use cua_grpo_core::CheckOutcome;
use live::{LivePlayer, PlayError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How templates are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialConfig {
    /// The kind of phone that tasks speak of.
    pub phone: PhoneKind,
    /// Seed of the instances.
    pub seed: u64,
    /// Wait between an action and what follows.
    pub settle: Duration,
    /// Limit of one shell command.
    pub command_timeout: Duration,
}

impl TrialConfig {
    /// Trials on phones of a kind; a simulated one has settled at once.
    pub fn on(phone: PhoneKind, simulated: bool) -> Self {
        Self {
            phone,
            seed: 1,
            settle: Duration::from_millis(if simulated { 0 } else { 800 }),
            command_timeout: Duration::from_secs(30),
        }
    }
}

/// What became of the expert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Played {
    /// The template has no steps.
    NoSteps,
    /// It was not asked, because the set-up or the start is wrong.
    NotAsked,
    /// It came to its report after so many actions, and all checks hold.
    Done(usize),
    /// It came to its report, and not all checks hold.
    NotDone(usize),
    /// A step wants what is not there.
    Stuck(String),
}

/// What a template has shown on a phone.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The template.
    pub template: String,
    /// Settings that read back as the set-up put them, or what is wrong with the set-up.
    pub set_up: Result<usize, String>,
    /// What the checks read at the start, or why they cannot be read.
    pub start: Result<Vec<CheckOutcome>, String>,
    /// Whether a report is asked for, so that checks may hold at the start.
    pub asks: bool,
    /// The expert.
    pub expert: Played,
    /// What the checks read after the expert.
    pub end: Vec<CheckOutcome>,
}

/// How many trials hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that were tried.
    pub tried: usize,
    /// Those whose set-up reads back, whose checks can be read, and that are open at the start.
    pub held: usize,
    /// Those that an expert has solved.
    pub solved: usize,
    /// Those that have an expert.
    pub experts: usize,
}

impl Trial {
    /// Tries an instance of `template` on a phone of its own, which is given back whatever happens.
    ///
    /// # Errors
    /// Why there is no phone. One that fails later is told among what is wrong.
    pub async fn of(
        template: &AnyTemplate,
        source: &dyn DeviceSource,
        config: &TrialConfig,
    ) -> Result<Self, DeviceError> {
        let task = template.instance(config.seed, config.phone);
        let mut trial = Self {
            template: template.id().to_owned(),
            set_up: Ok(0),
            start: Ok(Vec::new()),
            asks: false,
            expert: Played::NotAsked,
            end: Vec::new(),
        };
        let state: TaskState = match task.payload() {
            Ok(state) => state,
            Err(fault) => {
                trial.set_up = Err(fault.to_string());
                return Ok(trial);
            }
        };
        trial.asks = state.report.is_some();
        let request = LeaseRequest {
            seed: task.seed,
            task: task.id.clone(),
            slot: 0,
            settle: config.settle,
        };
        let mut device = source.lease(&request).await?;
        trial.set_up = set_up(device.as_mut(), &state, config).await;
        if trial.set_up.is_ok() {
            let read = validate(device.as_mut(), &state.checks, config.command_timeout).await;
            trial.start = read.map(|verdict| verdict.outcomes).map_err(|error| error.to_string());
        }
        if trial.holds() {
            trial.play(device, &state, config).await;
        } else {
            device.release().await;
        }
        Ok(trial)
    }

    /// Lets the expert play, and gives the phone back.
    async fn play(&mut self, device: Box<dyn Device>, state: &TaskState, config: &TrialConfig) {
        let steps: Vec<Step> = state.expert.iter().filter_map(|step| step.parse().ok()).collect();
        if steps.is_empty() {
            self.expert = Played::NoSteps;
            return device.release().await;
        }
        let mut phone = match LiveDevice::open(device, config.settle).await {
            Ok(phone) => phone,
            Err((device, error)) => {
                self.expert = Played::Stuck(format!("no screenshot ({error})"));
                return device.release().await;
            }
        };
        let limit = config.command_timeout;
        let played = async {
            let mut player = LivePlayer::new(&mut phone, limit).await?;
            let said = player.play(&steps).await?;
            Ok::<_, PlayError>((said, player.actions))
        };
        let played = played.await;
        let mut device = phone.into_device();
        self.expert = match played {
            Err(PlayError::Stuck(why)) => Played::Stuck(why),
            Err(PlayError::Device(error)) => Played::Stuck(format!("the phone failed: {error}")),
            Ok((said, actions)) => match validate(device.as_mut(), &state.checks, limit).await {
                Err(error) => Played::Stuck(format!("the checks cannot be read at the end: {error}")),
                Ok(verdict) => {
                    let answer = state.report.as_ref().and_then(|report| report.expect.as_deref());
                    let said = said.unwrap_or_default();
                    let answered = answer.is_none_or(|expect| matches(expect, said.trim()).unwrap_or(false));
                    let held = verdict.outcomes.iter().all(|outcome| outcome.held);
                    self.end = verdict.outcomes;
                    match held && answered {
                        true => Played::Done(actions),
                        false => Played::NotDone(actions),
                    }
                }
            },
        };
        device.release().await;
    }

    /// Whether the set-up reads back, the checks can be read, and there is something to do.
    pub fn holds(&self) -> bool {
        let open = |start: &Vec<CheckOutcome>| self.asks || start.iter().any(|outcome| !outcome.held);
        self.set_up.is_ok() && self.start.as_ref().is_ok_and(open)
    }

    /// Counts it.
    pub fn count(&self, tally: &mut Tally) {
        tally.tried += 1;
        tally.held += usize::from(self.holds());
        tally.solved += usize::from(matches!(self.expert, Played::Done(_)));
        tally.experts += usize::from(!matches!(self.expert, Played::NoSteps | Played::NotAsked));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tried,
            held,
            solved,
            experts,
        } = self;
        write!(
            f,
            "{held} of {tried} templates hold on this phone; an expert has played {experts} and solved {solved}"
        )
    }
}

/// Runs the set-up and reads back what it has put: the settings, and the precheck.
async fn set_up(device: &mut dyn Device, state: &TaskState, config: &TrialConfig) -> Result<usize, String> {
    let (limit, told) = (config.command_timeout, |error: ValidateError| error.to_string());
    run_all(device, &state.setup, limit).await.map_err(told)?;
    tokio::time::sleep(config.settle).await;
    let mut put = BTreeMap::new();
    for command in &state.setup {
        let words: Vec<&str> = command.splitn(5, ' ').collect();
        if let ["settings", "put", table, key, value] = words[..] {
            put.insert((table, key), value);
        }
    }
    for ((table, key), value) in &put {
        // The phone's shell says what a value with quotes or arithmetic in it is.
        let mut answers = Vec::new();
        for command in [format!("settings get {table} {key}"), format!("echo {value}")] {
            let output = device.query(&command, limit).await.map_err(|error| error.to_string())?;
            answers.push(output.stdout.trim().to_owned());
        }
        let [found, expected] = &answers[..] else {
            continue;
        };
        if found != expected {
            return Err(format!(
                "`settings put {table} {key}` of the set-up does not read back: expected {expected:?}, got {found:?}"
            ));
        }
    }
    let precheck = validate(device, &state.precheck, limit).await.map_err(told)?;
    match precheck.outcomes.iter().find(|outcome| !outcome.held) {
        Some(broken) => Err(format!(
            "the precheck `{}` expects {:?} and reads {:?}",
            broken.check, broken.expected, broken.found
        )),
        None => Ok(put.len()),
    }
}

/// Wait for a place where a service gives fewer phones than are asked for.
const ANOTHER: Duration = Duration::from_millis(500);
/// How often.
const MOST_WAITS: usize = 1200;

/// Tries all `templates`, so many at once; `each` is told in their order.
///
/// # Errors
/// Why there are no phones.
pub async fn try_all(
    templates: &[AnyTemplate],
    source: Arc<dyn DeviceSource>,
    config: TrialConfig,
    at_once: usize,
    mut each: impl FnMut(&Trial),
) -> Result<Tally, DeviceError> {
    let places = Arc::new(Semaphore::new(at_once.max(1)));
    let mut running = JoinSet::new();
    for (number, template) in templates.iter().cloned().enumerate() {
        let (places, source) = (places.clone(), source.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            let mut waits = 0;
            loop {
                match Trial::of(&template, source.as_ref(), &config).await {
                    Err(DeviceError::Full(_)) if waits < MOST_WAITS => waits += 1,
                    other => return (number, other),
                }
                tokio::time::sleep(ANOTHER).await;
            }
        });
    }
    let (mut tally, mut ready, mut next) = (Tally::default(), BTreeMap::new(), 0);
    while let Some(ended) = running.join_next().await {
        let (number, trial) = ended.map_err(|error| DeviceError::Failed(error.to_string()))?;
        ready.insert(number, trial?);
        while let Some(trial) = ready.remove(&next) {
            trial.count(&mut tally);
            each(&trial);
            next += 1;
        }
    }
    Ok(tally)
}

/// Characters of what a check reads that a line has.
const SHOWN: usize = 100;

fn shortened(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if cua_grpo_core::obeyed(c) { ' ' } else { c })
        .collect();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.holds() { "holds" } else { "DOES NOT HOLD" };
        let set_up = match &self.set_up {
            Ok(0) => "set up".to_owned(),
            Ok(count) => format!("set up, {count} settings read back"),
            Err(why) => shortened(why),
        };
        write!(f, "{:<30} {word}: {set_up}", self.template)?;
        if self.set_up.is_err() {
            return Ok(());
        }
        let start = match &self.start {
            Ok(start) => start,
            Err(why) => return write!(f, "; the checks cannot be read: {}", shortened(why)),
        };
        let held = start.iter().filter(|outcome| outcome.held).count();
        match start.len() {
            0 => write!(f, "; asks for an answer")?,
            count => write!(f, "; {held} of {count} checks at the start")?,
        }
        match &self.expert {
            Played::NotAsked => {}
            Played::NoSteps => write!(f, "; no expert")?,
            Played::Done(actions) => write!(f, "; expert done, {actions} actions")?,
            Played::NotDone(actions) => write!(f, "; expert NOT DONE after {actions} actions")?,
            Played::Stuck(why) => write!(f, "; expert STUCK: {}", shortened(why))?,
        }
        for (index, outcome) in start.iter().enumerate() {
            write!(f, "\n  {}: {:?}", shortened(&outcome.check), shortened(&outcome.found))?;
            if let Some(end) = self.end.get(index) {
                let mark = if end.held { "" } else { " (wrong)" };
                write!(f, ", then {:?}{mark}", shortened(&end.found))?;
            }
        }
        Ok(())
    }
}
