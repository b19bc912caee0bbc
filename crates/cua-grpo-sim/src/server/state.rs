//! The boxes of a simulator: birth, life, expiry, death and quota.

use super::{
    adb::Ports,
    config::{Mishap, MishapShare, SimConfig},
    links::Links,
    memory::ScreenshotMemory,
    reply::ApiError,
    snapshots::Snapshots,
    storage::Store,
};
use crate::{
    device::{Device, Geometry, WORKING_FOLDER},
    time::iso,
};
use axum::http::StatusCode;
use cua_grpo_gbox::SEED_ENV;
use cua_grpo_gbox::wire::{BoxConfig, BoxObject, BoxOs, BoxStatus, CreateBoxConfig, Resolution, parse_duration};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// Ended boxes that stay readable; the oldest are forgotten.
const ENDED_KEPT: usize = 1024;
/// What variables and labels of a box may have together, in bytes.
const LARGEST_WORDS: usize = 64 * 1024;
/// Longest life of a box: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Debug)]
pub(super) struct SimState {
    pub config: SimConfig,
    pub memory: ScreenshotMemory,
    pub store: Store,
    pub snapshots: Snapshots,
    pub links: Links,
    pub ports: Ports,
    pub requests: AtomicU64,
    pub refused: AtomicU64,
    pub deaths: AtomicU64,
    /// Requests that change a phone.
    pub deeds: AtomicU64,
    /// Those among them that were sent again although they may have been done.
    pub repeated: AtomicU64,
    /// What may or may not have been done last on a box, as far as its client knows.
    doubts: Mutex<HashMap<String, u64>>,
    mishaps: Mutex<Vec<MishapShare>>,
    boxes: Mutex<Boxes>,
    rng: Mutex<ChaCha8Rng>,
}

#[derive(Debug, Default)]
struct Boxes {
    by_id: HashMap<String, BoxEntry>,
    born: u64,
}

#[derive(Debug)]
pub(super) struct BoxEntry {
    pub number: u64,
    pub object: BoxObject,
    /// Which of the places for boxes it has, from 0.
    pub place: usize,
    /// Locked on its own, so that a long command on one phone holds up no other.
    device: Arc<Mutex<Device>>,
    ready: Instant,
    expires: Instant,
    keep_alive: Duration,
    /// Requests until the box dies, if it is to die.
    left: Option<u64>,
}

impl BoxEntry {
    fn live(&self) -> bool {
        matches!(self.object.status, BoxStatus::Pending | BoxStatus::Running)
    }

    fn end(&mut self, status: BoxStatus, reason: &str) {
        self.object.status = status;
        self.object.reason = Some(reason.to_owned());
        self.object.updated_at = iso(SystemTime::now());
    }

    /// Lets time pass: pending boxes come up, old ones expire.
    fn settle(&mut self, now: Instant) {
        if self.live() && now >= self.expires {
            self.end(BoxStatus::Terminated, "Box expired");
        } else if self.object.status == BoxStatus::Pending && now >= self.ready {
            self.object.status = BoxStatus::Running;
            self.object.updated_at = iso(SystemTime::now());
        }
    }
}

impl SimState {
    pub fn new(config: SimConfig) -> Self {
        let rng = Mutex::new(ChaCha8Rng::seed_from_u64(config.faults.seed));
        let mishaps = Mutex::new(config.faults.mishaps.clone());
        Self {
            config,
            deeds: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            doubts: Mutex::default(),
            mishaps,
            memory: ScreenshotMemory::default(),
            store: Store::default(),
            snapshots: Snapshots::default(),
            links: Links::default(),
            ports: Ports::default(),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            deaths: AtomicU64::new(0),
            boxes: Mutex::default(),
            rng,
        }
    }

    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        let mut boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        boxes.by_id.values_mut().for_each(|entry| entry.settle(now));
        boxes
    }

    /// Draws true with a probability.
    pub fn draw(&self, probability: f64) -> bool {
        probability > 0.0 && self.fraction() < probability
    }

    /// Draws a number from 0 to 1.
    pub fn fraction(&self) -> f64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// Draws a mishap for a request; one that terminates a box may meet all kinds.
    pub fn mishap(&self, terminates: bool) -> Option<Mishap> {
        let mishaps = self.mishaps.lock().unwrap_or_else(PoisonError::into_inner);
        let possible = mishaps
            .iter()
            .filter(|mishap| terminates || mishap.kind != Mishap::Stuck);
        let mut left = if mishaps.is_empty() {
            return None;
        } else {
            self.fraction()
        };
        possible.copied().find_map(|mishap| {
            left -= mishap.share;
            (left < 0.0).then_some(mishap.kind)
        })
    }

    /// Changes what goes wrong from now on.
    pub fn set_mishaps(&self, mishaps: Vec<MishapShare>) {
        *self.mishaps.lock().unwrap_or_else(PoisonError::into_inner) = mishaps;
    }

    /// What may or may not have been done last, by box.
    pub fn doubts(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new box, or 429 when the quota is used up. Without a `place` it takes the first that is free.
    pub fn create(&self, config: CreateBoxConfig, place: Option<usize>) -> Result<BoxObject, ApiError> {
        let mut envs = config.envs;
        let seed = match envs.get(SEED_ENV) {
            Some(text) => text.parse::<u64>().map_err(|_| {
                ApiError::bad(format!(
                    "create box: expected {SEED_ENV} to be a whole number, got {text:?}"
                ))
            })?,
            None => rand::rng().random::<u64>() >> 11,
        };
        envs.insert(SEED_ENV.to_owned(), seed.to_string());
        let words = envs.iter().chain(&config.labels);
        let size: usize = words.map(|(name, value)| name.len() + value.len()).sum();
        if size > LARGEST_WORDS {
            let message = format!("create box: expected envs and labels of at most {LARGEST_WORDS} bytes, got {size}");
            return Err(ApiError::bad(message));
        }
        let kind = config.device_type.unwrap_or_else(|| "virtual".to_owned());
        if !["virtual", "physical"].contains(&kind.as_str()) {
            let message = format!("config.deviceType: expected virtual or physical, got {kind:?}");
            return Err(ApiError::bad(message));
        }
        let hour = Duration::from_secs(3600);
        let life = duration("config.expiresIn", config.expires_in.as_deref(), hour)?.min(LONGEST);
        let keep_alive = duration("config.keepAlive", config.keep_alive.as_deref(), Duration::ZERO)?.min(LONGEST);
        let faults = &self.config.faults;
        let left = self.draw(faults.deaths).then_some(faults.death_after);
        let device = match &config.snapshot_name {
            Some(name) => self.snapshots.device(name)?,
            None => Device::new(&self.config.phone, seed),
        };
        let resolution = resolution(device.geometry());

        let mut boxes = self.boxes();
        let live = || boxes.by_id.values().filter(|entry| entry.live());
        if live().count() >= self.config.quota {
            let message = format!("create box: quota of {} running boxes is used up", self.config.quota);
            return Err(ApiError::busy(StatusCode::TOO_MANY_REQUESTS, message));
        }
        let free = |place: &usize| live().all(|entry| entry.place != *place);
        let place = place.filter(free).or_else(|| (0..).find(free)).unwrap_or_default();
        let (now, wall) = (Instant::now(), SystemTime::now());
        let boot = self.config.latency.boot;
        let object = BoxObject {
            id: uuid::Uuid::new_v4().to_string(),
            kind: "android".to_owned(),
            status: if boot.is_zero() {
                BoxStatus::Running
            } else {
                BoxStatus::Pending
            },
            created_at: iso(wall),
            updated_at: iso(wall),
            expires_at: Some(iso(wall + life)),
            reason: None,
            config: BoxConfig {
                os: BoxOs {
                    version: "13".to_owned(),
                },
                device_type: Some(kind),
                working_dir: Some(WORKING_FOLDER.to_owned()),
                resolution: Some(resolution),
                labels: config.labels,
                envs,
                cpu: 2.0,
                memory: 4096.0,
                storage: 20.0,
            },
        };
        boxes.born += 1;
        let entry = BoxEntry {
            number: boxes.born,
            object: object.clone(),
            place,
            device: Arc::new(Mutex::new(device)),
            ready: now + boot,
            expires: now + life,
            keep_alive,
            left,
        };
        boxes.by_id.insert(object.id.clone(), entry);
        forget(&mut boxes);
        Ok(object)
    }

    /// A box in any status.
    pub fn object(&self, id: &str) -> Result<BoxObject, ApiError> {
        self.boxes()
            .by_id
            .get(id)
            .map(|entry| entry.object.clone())
            .ok_or_else(|| unknown(id))
    }

    /// All boxes, newest first.
    pub fn objects(&self) -> Vec<BoxObject> {
        let boxes = self.boxes();
        let mut entries: Vec<&BoxEntry> = boxes.by_id.values().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.number));
        entries.into_iter().map(|entry| entry.object.clone()).collect()
    }

    /// The box that runs or boots at each place that has one.
    pub fn places(&self) -> Vec<(usize, String)> {
        let boxes = self.boxes();
        let live = boxes.by_id.values().filter(|entry| entry.live());
        live.map(|entry| (entry.place, entry.object.id.clone())).collect()
    }

    /// Notes the resolution that a box has got.
    pub fn resized(&self, id: &str, geometry: Geometry) {
        if let Some(entry) = self.boxes().by_id.get_mut(id) {
            entry.object.config.resolution = Some(resolution(geometry));
            entry.object.updated_at = iso(SystemTime::now());
        }
    }

    /// Ends a box; ending it twice is no error.
    pub fn terminate(&self, id: &str) -> Result<(), ApiError> {
        let mut boxes = self.boxes();
        let entry = boxes.by_id.get_mut(id).ok_or_else(|| unknown(id))?;
        if entry.live() {
            entry.end(BoxStatus::Terminated, "Box terminated by user");
        }
        Ok(())
    }

    /// Forgets a box that did not boot in time.
    pub fn discard(&self, id: &str) {
        self.boxes().by_id.remove(id);
    }

    /// Does something with the phone of a running box; every such request counts against its life.
    pub fn with_running<R>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Device, &BoxObject) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        let mut boxes = self.boxes();
        let entry = boxes.by_id.get_mut(id).ok_or_else(|| unknown(id))?;
        if entry.left == Some(0) && entry.live() {
            entry.end(BoxStatus::Error, "Device lost");
            self.deaths.fetch_add(1, Ordering::Relaxed);
        }
        entry.left = entry.left.map(|left| left.saturating_sub(1));
        if entry.object.status != BoxStatus::Running {
            let (status, reason) = (
                entry.object.status.as_str(),
                entry.object.reason.as_deref().unwrap_or("no reason"),
            );
            return Err(ApiError::bad(format!(
                "box {id}: expected a running box, got {status} ({reason})"
            )));
        }
        let least = Instant::now() + entry.keep_alive;
        if least > entry.expires {
            entry.expires = least;
            entry.object.expires_at = Some(iso(SystemTime::now() + entry.keep_alive));
        }
        let (device, object) = (entry.device.clone(), entry.object.clone());
        drop(boxes);
        let mut device = lock(&device);
        let outcome = work(&mut device, &object);
        device.settle();
        outcome
    }

    /// Does something with a box in any status, without counting as a request.
    pub fn peek<R>(&self, id: &str, work: impl FnOnce(&mut Device) -> R) -> Option<R> {
        let device = self.boxes().by_id.get(id).map(|entry| entry.device.clone())?;
        Some(work(&mut lock(&device)))
    }

    /// Whether a box runs or boots.
    pub fn is_live(&self, id: &str) -> bool {
        self.boxes().by_id.get(id).is_some_and(BoxEntry::live)
    }

    /// Boxes that run or boot.
    pub fn live(&self) -> usize {
        self.boxes().by_id.values().filter(|entry| entry.live()).count()
    }
}

fn lock(device: &Mutex<Device>) -> MutexGuard<'_, Device> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The size of the screen on the wire.
pub(super) fn resolution(geometry: Geometry) -> Resolution {
    Resolution {
        width: f64::from(geometry.width),
        height: f64::from(geometry.height),
    }
}

/// Reads an optional duration.
pub(super) fn duration(what: &str, text: Option<&str>, default: Duration) -> Result<Duration, ApiError> {
    match text {
        None => Ok(default),
        Some(text) => parse_duration(text).map_err(|error| ApiError::bad(format!("{what}: {error}"))),
    }
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!("box {id}: not found"))
}

fn forget(boxes: &mut Boxes) {
    let mut ended: Vec<(u64, String)> = boxes
        .by_id
        .iter()
        .filter(|(_, entry)| !entry.live())
        .map(|(id, entry)| (entry.number, id.clone()))
        .collect();
    if ended.len() > ENDED_KEPT {
        ended.sort_unstable();
        for (_, id) in ended.iter().take(ended.len() - ENDED_KEPT) {
            boxes.by_id.remove(id);
        }
    }
}

/// The state, shared by all requests.
pub(super) type Shared = Arc<SimState>;
