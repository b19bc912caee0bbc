//! The demonstrator in the place of the policy: a sampler that plays by script, so demonstrations are ordinary rollouts.

use crate::demonstrator::Skill;
use crate::player::Player;
use crate::server::PhoneAccess;
use async_trait::async_trait;
use cua_grpo_android::action::to_reply;
use cua_grpo_android::{Device, DeviceError, DeviceSource, LeaseRequest};
use cua_grpo_core::{
    Completion, Fault, FaultKind, PolicyVersion, Prompt, Renderer, Sampler, SamplerSession, SamplingParams, StopReason,
    Task, derive_seed,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Which phone and which task each slot has. Clones share it: one sees leases, the other opens conversations.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    slots: Arc<Mutex<HashMap<usize, Seat>>>,
}

/// What a slot plays on.
#[derive(Debug, Clone)]
struct Seat {
    device: String,
    task: String,
}

impl Roster {
    /// A source that leases from `inner` and notes what each slot got.
    pub fn watch(&self, inner: Arc<dyn DeviceSource>) -> Arc<dyn DeviceSource> {
        let roster = self.clone();
        Arc::new(Watched { inner, roster })
    }

    fn enter(&self, slot: usize, seat: Seat) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.insert(slot, seat);
    }

    fn seat(&self, slot: usize) -> Option<Seat> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&slot).cloned()
    }
}

#[derive(Debug)]
struct Watched {
    inner: Arc<dyn DeviceSource>,
    roster: Roster,
}

#[async_trait]
impl DeviceSource for Watched {
    async fn lease(&self, request: &LeaseRequest) -> Result<Box<dyn Device>, DeviceError> {
        let device = self.inner.lease(request).await?;
        let seat = Seat {
            device: device.name().to_owned(),
            task: request.task.clone(),
        };
        self.roster.enter(request.slot, seat);
        Ok(device)
    }
}

/// Plays each task as the scripted demonstrator does.
pub struct ScriptedPolicy {
    /// The phones, whose true state the demonstrator reads.
    pub phones: PhoneAccess,
    /// What each slot plays on; its [`Roster::watch`] must stand before the source of the phones.
    pub roster: Roster,
    /// Turns replies into tokens.
    pub renderer: Arc<dyn Renderer>,
    /// The tasks, by id.
    pub tasks: HashMap<String, Task>,
    /// How well it plays.
    pub skill: Skill,
    /// Seed of its mistakes.
    pub seed: u64,
}

impl Sampler for ScriptedPolicy {
    fn open(&self, slot: usize) -> Box<dyn SamplerSession> {
        let seed = derive_seed(&[self.seed, slot as u64]);
        let played = self
            .roster
            .seat(slot)
            .ok_or_else(|| format!("slot {slot} has no phone"));
        let player = played.and_then(|seat| {
            let task = self.tasks.get(&seat.task);
            let task = task.ok_or_else(|| format!("no task {}", seat.task))?;
            let player = Player::new(task, self.skill, seed).map_err(|error| error.to_string())?;
            Ok((seat.device, player))
        });
        Box::new(Session {
            phones: self.phones.clone(),
            renderer: self.renderer.clone(),
            player,
        })
    }

    fn version(&self) -> PolicyVersion {
        0
    }
}

struct Session {
    phones: PhoneAccess,
    renderer: Arc<dyn Renderer>,
    /// The phone and who plays on it, or why nobody does.
    player: Result<(String, Player), String>,
}

#[async_trait]
impl SamplerSession for Session {
    async fn sample(&mut self, _prompt: &Prompt, _params: &SamplingParams) -> Result<Completion, Fault> {
        let fault = |message: String| Fault::new(FaultKind::Sampler, "demonstrate", message);
        let (device, player) = self.player.as_mut().map_err(|message| fault(message.clone()))?;
        let action = self.phones.with_handset(device, |phone| player.next(phone));
        let action = action.ok_or_else(|| fault(format!("no simulated phone {device}")))?;
        let action = action.map_err(|error| fault(error.to_string()))?;
        let tokens = self.renderer.encode_reply(&to_reply(&action));
        let logprobs = vec![0.0; tokens.len()];
        Completion::new(tokens, logprobs, 0, StopReason::Stop).map_err(|error| fault(error.to_string()))
    }

    /// Who plays looks at the phone.
    fn forget(&mut self) {}
}
