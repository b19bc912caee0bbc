//! Proofs of templates on the simulated phone: there is something to do, idling and tapping about do not do it, and the
//! demonstrator does.

use crate::demonstrator::Skill;
use crate::device::Device;
use crate::player::Player;
use crate::rehearse::{answer, answered, first_seed, look, set_up};
use cua_grpo_android::PhoneKind;
use cua_grpo_android::action::Action;
use cua_grpo_android::tasks::{AnyTemplate, Check, TaskState};
use cua_grpo_core::{Task, derive_seed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::fmt;

/// Instances that a proof plays by default.
pub const PROOF_SEEDS: usize = 5;
/// Attempts by random taps at each instance. A tap on the full phone takes a hundred times as long.
const fn random_attempts(phone: PhoneKind) -> u64 {
    match phone {
        PhoneKind::Small => 40,
        PhoneKind::Pixel => 8,
    }
}

/// Side effects that are told.
const TOLD: usize = 3;
/// Turns of an instance that sets no bound.
const TURNS: usize = 15;

/// What playing a template has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// Name of the template.
    pub template: String,
    /// The phone that it was played on.
    pub phone: PhoneKind,
    /// Instances that were played.
    pub instances: usize,
    /// What is wrong with it, in words; empty where nothing is.
    pub problems: Vec<String>,
    /// Attempts by random taps, each of as many taps as the task has turns, and how many of them fulfilled it.
    pub random: (usize, usize),
    /// Turns of the demonstrator over the instances that it solved; `None` where it knows no goals.
    pub expert: Option<Expert>,
    /// What the demonstrator changed and no check asks for; each would count as a side effect.
    pub side_effects: BTreeSet<String>,
}

/// How the demonstrator did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expert {
    /// Instances that it solved and reported.
    pub solved: usize,
    /// Turns over all of those.
    pub turns: usize,
    /// Most turns of one.
    pub most: usize,
}

impl Proof {
    /// Plays `template` on the instances of `instances` seeds, and on as many phones of a kind.
    pub fn of(template: &AnyTemplate, instances: usize, phone: PhoneKind) -> Self {
        let mut proof = Self {
            template: template.id().to_owned(),
            phone,
            instances,
            problems: Vec::new(),
            random: (0, 0),
            expert: template.has_expert(phone).then(Expert::default),
            side_effects: BTreeSet::new(),
        };
        if !template.is_for(phone) {
            let problem =
                "it has steps of an expert and no goals, which is for the full phone: leave out --phone small";
            proof.problems.push(problem.to_owned());
            return proof;
        }
        for number in 0..instances as u64 {
            let task = template.instance(first_seed(number), phone);
            if let Err(problem) = proof.play(&task) {
                proof
                    .problems
                    .push(format!("{} ({}): {problem}", task.id, task.instruction));
            }
        }
        let (attempts, solved) = proof.random;
        let share = solved as f64 / attempts.max(1) as f64;
        if share > most_by_chance(template.difficulty()) {
            proof.problems.push(format!(
                "{:.0} % of {attempts} attempts by random taps fulfil it: what is checked is too easy to hit for a task that \
                 is {}",
                100.0 * share,
                template.difficulty()
            ));
        }
        proof
    }

    /// Plays all `templates` on [`PROOF_SEEDS`] instances each; `each` is told. How many are wrong.
    ///
    /// # Errors
    /// What `each` gives, which ends it.
    pub fn of_all<E>(
        templates: &[AnyTemplate],
        phone: Option<PhoneKind>,
        mut each: impl FnMut(&Self) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut wrong = 0;
        for template in templates {
            let proof = Self::of(template, PROOF_SEEDS, phone.unwrap_or(template.own_phone()));
            wrong += usize::from(!proof.holds());
            each(&proof)?;
        }
        Ok(wrong)
    }

    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    fn play(&mut self, task: &Task) -> Result<(), String> {
        let state: TaskState = task.payload().map_err(|fault| fault.to_string())?;
        let turns = task.max_turns.map_or(TURNS, |turns| turns.get());
        let start = set_up(task, &state, self.phone)?;
        if fulfilled(&mut start.clone(), &state.checks)? {
            return Err("it is fulfilled before the first turn; let the set-up leave something to do".to_owned());
        }
        idle(&start, &state, turns)?;
        for attempt in 0..random_attempts(self.phone) {
            let mut rng = ChaCha8Rng::seed_from_u64(derive_seed(&[task.seed, attempt]));
            let mut phone = start.clone();
            let (width, height) = phone.phone.size();
            for _ in 0..turns {
                let (x, y) = (
                    rng.random_range(0.0..f64::from(width)),
                    rng.random_range(0.0..f64::from(height)),
                );
                phone.phone.tap(x, y);
            }
            self.random.0 += 1;
            self.random.1 += usize::from(fulfilled(&mut phone, &state.checks)?);
        }
        match &mut self.expert {
            Some(expert) => demonstrate((expert, &mut self.side_effects), task, &state, start, turns),
            None => Ok(()),
        }
    }
}

/// Share of random attempts that may fulfil a task.
fn most_by_chance(difficulty: &str) -> f64 {
    match difficulty {
        "easy" => 0.5,
        "medium" => 0.15,
        _ => 0.05,
    }
}

/// Whether every check holds.
fn fulfilled(phone: &mut Device, checks: &[Check]) -> Result<bool, String> {
    for check in checks {
        if !answer(phone, check)?.0 {
            return Ok(false);
        }
    }
    Ok(!checks.is_empty())
}

/// Waiting until the turns are over, and reporting at once, must not do.
fn idle(start: &Device, state: &TaskState, turns: usize) -> Result<(), String> {
    let wait = Action::Sleep { duration: 60.0 };
    let report = Action::Report {
        success: true,
        message: None,
    };
    for (action, times, words) in [(wait, turns, "doing nothing"), (report, 1, "reporting alone")] {
        let mut phone = start.clone();
        for _ in 0..times {
            phone.phone.perform(&action).map_err(|error| error.to_string())?;
        }
        if fulfilled(&mut phone, &state.checks)? {
            return Err(format!("{words} fulfils it"));
        }
    }
    if state.checks.is_empty() && answered(state, "")? {
        return Err("a report that says nothing fulfils it".to_owned());
    }
    Ok(())
}

/// Lets the demonstrator play.
fn demonstrate(
    (expert, side_effects): (&mut Expert, &mut BTreeSet<String>),
    task: &Task,
    state: &TaskState,
    mut phone: Device,
    turns: usize,
) -> Result<(), String> {
    let mut player = Player::new(task, Skill::default(), task.seed).map_err(|error| error.to_string())?;
    let before = look(&mut phone);
    let mut log = Vec::new();
    for _ in 0..turns {
        let action = player
            .next(&phone.phone)
            .map_err(|error| format!("the expert went wrong: {error}; it did: {}", log.join("; ")))?;
        log.push(action.to_string());
        phone
            .phone
            .perform(&action)
            .map_err(|error| format!("the expert went wrong: {error}"))?;
        if let Action::Report { message, .. } = &action {
            if !answered(state, message.as_deref().unwrap_or_default())? {
                return Err(format!(
                    "the expert's report is not what `report` asks for: {}",
                    log.join("; ")
                ));
            }
            let asks_only = state.checks.is_empty() && state.report.is_some();
            if !asks_only && !fulfilled(&mut phone, &state.checks)? {
                return Err(format!(
                    "the expert believes it done and the checks do not: {}",
                    log.join("; ")
                ));
            }
            if let (Some(before), Some(after)) = (before, look(&mut phone)) {
                side_effects.extend(before.unasked(&after, state));
            }
            expert.solved += 1;
            expert.turns += log.len();
            expert.most = expert.most.max(log.len());
            return Ok(());
        }
    }
    Err(format!(
        "the expert is not done after {turns} turns; raise max_turns? It did: {}",
        log.join("; ")
    ))
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (attempts, hit) = self.random;
        let word = if self.holds() { "proved" } else { "WRONG" };
        match &self.expert {
            None => write!(
                f,
                "{:<28} {}: no expert (no goals or steps)",
                self.template,
                if self.holds() { "not proved" } else { word }
            )?,
            Some(expert) => {
                let mean = expert.turns as f64 / expert.solved.max(1) as f64;
                write!(
                    f,
                    "{:<28} {word}: expert {} of {}, {mean:.1} turns, {} at most",
                    self.template, expert.solved, self.instances, expert.most
                )?;
            }
        }
        write!(f, "; random taps {hit} of {attempts}")?;
        let mut unasked = self.side_effects.iter();
        for change in unasked.by_ref().take(TOLD) {
            write!(
                f,
                "\n  note: the expert changes what no check asks for; name it under may_change: {change}"
            )?;
        }
        let more = unasked.count();
        if more > 0 {
            write!(f, "\n  note: and {more} more such changes")?;
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}
