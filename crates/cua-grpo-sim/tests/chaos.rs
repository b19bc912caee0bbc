//! Episodes while the service fails in every way that it can: nothing is lost, nothing is done twice, no box is left.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use cua_grpo_android::action::{Action, Target, to_reply};
use cua_grpo_android::tasks::{Catalogue, Split, TaskState, TemplateTasks};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig, PhoneKind, PromptStyle};
use cua_grpo_core::testing::{ByteRenderer, ScriptedSampler};
use cua_grpo_core::{Task, TaskSource, VerifiedSuccess};
use cua_grpo_gbox::{BodyLimits, BoxPool, ClientConfig, GboxClient, PoolConfig, RetryPolicy};
use cua_grpo_rollout::{CancellationToken, GroupRequest, RolloutConfig, RolloutEngine};
use cua_grpo_sim::{Faults, Mishap, MishapShare, Roster, ScriptedPolicy, SimConfig, SimServer, Skill};
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

const EPISODES: usize = 300;
/// Episodes on the full phone, whose boxes take a hundred times as long; `CHAOS_PIXEL=300` plays more.
const PIXEL_EPISODES: usize = 40;
const AT_ONCE: usize = 16;

/// All kinds, each for one request in a hundred; terminations are refused more often.
fn all_mishaps() -> Vec<MishapShare> {
    let share = |kind| match kind {
        Mishap::Stuck => 0.1,
        _ => 0.01,
    };
    let kinds = Mishap::ALL.into_iter();
    kinds
        .map(|(_, kind)| MishapShare {
            kind,
            share: share(kind),
        })
        .collect()
}

/// A client with short clocks: hung calls take a moment, not a minute.
fn client(address: &str) -> GboxClient {
    client_within(address, Duration::from_millis(400))
}

fn client_within(address: &str, timeout: Duration) -> GboxClient {
    let config = ClientConfig {
        timeout,
        retry: RetryPolicy {
            max_retries: 4,
            base_delay: Duration::from_millis(2),
            max_delay: Duration::from_millis(20),
            outage_budget: Duration::from_secs(60),
        },
        bodies: BodyLimits {
            json: 1 << 20,
            text: 1 << 20,
            picture: 8 << 20,
            error: 10_000,
        },
        ..ClientConfig::new("any")
    };
    GboxClient::new(config.at(address)).unwrap()
}

/// A service with all faults, boxes that die, and boxes of others among its own.
async fn troubled(seed: u64, phone: PhoneKind, questions: Vec<String>) -> SimServer {
    let faults = Faults {
        deaths: 0.02,
        mishaps: all_mishaps(),
        pages_ignored: true,
        foreign_boxes: 120,
        questions,
        seed,
        ..Default::default()
    };
    let config = SimConfig {
        faults,
        quota: AT_ONCE,
        phone: phone.into(),
        ..Default::default()
    };
    SimServer::start(config).await.unwrap()
}

fn pool_config() -> PoolConfig {
    PoolConfig {
        quota: AT_ONCE,
        boot_timeout: Duration::from_secs(2),
        release_timeout: Duration::from_secs(1),
        ..Default::default()
    }
}

/// What the checks of tasks ask, which may be asked again: it changes nothing.
fn questions(tasks: &[Task]) -> Vec<String> {
    let asked = tasks.iter().flat_map(|task| {
        let state: TaskState = task.payload().unwrap();
        state.precheck.into_iter().chain(state.checks)
    });
    asked.map(|check| check.command).collect()
}

/// Groups of four episodes on one kind of phone while everything fails that can.
struct Chaos {
    phone: PhoneKind,
    episodes: usize,
    tasks: TemplateTasks,
    turns: usize,
    /// Limit of a call: pictures of the full phone take longer.
    timeout: Duration,
    /// Fewest actions that have to have been carried out.
    deeds: u64,
    /// Fewest actions of which nobody knew whether they were.
    unsure: u64,
}

impl Chaos {
    async fn play(self) {
        let tasks: Vec<_> = (0..self.episodes as u64 / 4)
            .map(|cursor| self.tasks.task(cursor))
            .collect();
        let server = troubled(5, self.phone, questions(&tasks)).await;
        let pool = BoxPool::new(client_within(server.base_url(), self.timeout), pool_config()).unwrap();
        let roster = Roster::default();
        let config = EnvConfig {
            style: PromptStyle::Brief,
            settle: Duration::ZERO,
            max_turns: self.turns,
            command_timeout: self.timeout + Duration::from_millis(600),
            phone: self.phone,
            ..Default::default()
        };
        let factory = AndroidEnvironmentFactory::new(roster.watch(Arc::new(pool.clone())), config);
        let expert = ScriptedPolicy {
            phones: server.phones(),
            roster,
            renderer: Arc::new(ByteRenderer),
            tasks: tasks
                .iter()
                .map(|task| (task.id.clone(), task.clone()))
                .collect::<HashMap<_, _>>(),
            skill: Skill::default(),
            seed: 0,
        };
        let rollout = RolloutConfig {
            concurrency: AT_ONCE,
            // Most attempts at a long task end with a fault.
            max_retries: 100,
            retry_delay: Duration::from_millis(5),
            max_turns: self.turns,
            max_context_tokens: 1 << 20,
            ..Default::default()
        };
        let (renderer, reward) = (Arc::new(ByteRenderer), Arc::new(VerifiedSuccess));
        let engine = RolloutEngine::new(Arc::new(factory), renderer, Arc::new(expert), reward, rollout).unwrap();
        let requests = tasks
            .into_iter()
            .map(|task| GroupRequest { task, group_size: 4 })
            .collect();
        let begin = Instant::now();
        let collection = engine.collect(requests, 0, CancellationToken::new()).await.unwrap();
        let seconds = begin.elapsed().as_secs_f64();

        let stats = server.stats();
        eprintln!(
            "{}: {seconds:.1} s, {stats:?}, {:?}, {:?}, {:?}, solved {}",
            self.phone,
            pool.stats(),
            pool.client().outages(),
            collection.stats.faults,
            collection.stats.successes
        );
        assert_eq!(
            (collection.stats.episodes, collection.stats.lost),
            (self.episodes, 0),
            "episodes lost"
        );
        for group in &collection.groups {
            let attempts: Vec<u64> = group.episodes.iter().map(|episode| episode.attempt).collect();
            assert_eq!(attempts, [0, 1, 2, 3], "episodes doubled");
        }
        assert!(stats.deeds > self.deeds, "{stats:?}");
        assert_eq!(stats.repeated, 0, "deeds repeated");
        assert!(pool.stats().unsure > self.unsure && pool.client().outages().count > 0);
        // The service recovers: nothing is left of it.
        server.set_mishaps([]);
        let closed = pool.close().await;
        assert!(closed.is_clean(), "{closed:?}");
        assert_eq!(server.stats().live_boxes, 0, "boxes left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_episodes_under_all_faults_of_a_service_lose_and_repeat_nothing() {
    let chaos = Chaos {
        phone: PhoneKind::Small,
        episodes: EPISODES,
        tasks: TemplateTasks::new(3, Split::Train),
        turns: 15,
        timeout: Duration::from_millis(400),
        deeds: 400,
        unsure: 10,
    };
    chaos.play().await;
}

/// The full phone: `CHAOS_PIXEL=300 cargo test -p cua-grpo-sim --test chaos pixel -- --nocapture` plays as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn episodes_on_the_full_pixel_phone_under_all_faults_lose_and_repeat_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks/pixel");
    let all = Catalogue::with_files(&[folder]).unwrap();
    let episodes = std::env::var("CHAOS_PIXEL").map_or(PIXEL_EPISODES, |count| count.parse().unwrap());
    let chaos = Chaos {
        phone: PhoneKind::Pixel,
        episodes: episodes / 4 * 4,
        tasks: all
            .tasks::<&str>(3, Split::Train, &[])
            .unwrap()
            .on(PhoneKind::Pixel)
            .unwrap(),
        turns: 48,
        timeout: Duration::from_secs(2),
        deeds: 4 * episodes as u64,
        unsure: episodes as u64 / 20,
    };
    chaos.play().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mishap_is_met_and_none_has_an_action_done_again() {
    for (name, kind) in Mishap::ALL {
        let server = SimServer::start(SimConfig::default()).await.unwrap();
        let pool = BoxPool::new(client(server.base_url()), PoolConfig::default()).unwrap();
        let lease = pool.lease(Default::default(), Default::default()).await.unwrap();
        server.set_mishaps([MishapShare { kind, share: 1.0 }]);
        let click = cua_grpo_gbox::wire::Click {
            place: cua_grpo_gbox::wire::Place::Point(cua_grpo_gbox::wire::Point { x: 5.0, y: 5.0 }),
            button: None,
            double: None,
            modifier_keys: Vec::new(),
            options: None,
        };
        let clicked = lease.client().click(lease.id(), &click).await;
        assert_eq!(clicked.is_err(), kind != Mishap::Stuck, "{name}: {clicked:?}");
        if let Err(error) = clicked {
            assert!(error.is_ambiguous(), "{name}: {error}");
        }
        let stats = server.stats();
        assert_eq!((stats.deeds, stats.repeated), (1, 0), "{name}");
        server.set_mishaps([]);
        // The counter counts.
        let again = lease.client().click(lease.id(), &click).await;
        assert!(again.is_ok());
        assert_eq!(server.stats().repeated, u64::from(kind != Mishap::Stuck), "{name}");
        assert!(lease.release().await);
        assert_eq!(server.stats().live_boxes, 0);
    }
}

/// Where a player of its own process finds the service, and where it keeps its book.
const SERVICE: &str = "CHAOS_SERVICE";
const BOOK: &str = "CHAOS_BOOK";
/// The label of all its boxes, whichever process made them.
const LABEL: &str = "chaos";
/// Groups that are entered into the book together, as a run saves what it has.
const CHUNK: usize = 5;

/// The episodes that are in the book.
fn entries(book: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(book).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What a process of its own does: plays what is not in the book, and ends in order when it is told to. It taps, types and
/// reports; how well is no matter here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_that_can_be_killed() {
    let (Ok(address), Ok(book)) = (std::env::var(SERVICE), std::env::var(BOOK)) else {
        return; // It is started by the test below.
    };
    let book = PathBuf::from(book);
    let config = PoolConfig {
        label: LABEL.into(),
        ..pool_config()
    };
    let pool = BoxPool::new(client(&address), config).unwrap();
    let stop = CancellationToken::new();
    let (told, ended) = (stop.clone(), pool.clone());
    let mut term = signal(SignalKind::terminate()).unwrap();
    tokio::spawn(async move {
        term.recv().await;
        told.cancel();
        ended.end();
    });
    while let Err(error) = pool.sweep().await {
        assert!(!stop.is_cancelled(), "{error}");
    }
    let environment = EnvConfig {
        style: PromptStyle::Brief,
        settle: Duration::ZERO,
        command_timeout: Duration::from_secs(1),
        side_effects: true,
        ..Default::default()
    };
    let factory = AndroidEnvironmentFactory::new(Arc::new(pool.clone()), environment);
    let said = |slot: usize, turn: usize| {
        let place = Target::Coordinate {
            x: (137 * slot % 1000) as f64,
            y: (331 * (slot + turn) % 1000) as f64,
        };
        let (target, option) = (place, Default::default());
        let action = match turn {
            0..3 => Action::Click { target, option },
            _ => Action::Report {
                success: true,
                message: None,
            },
        };
        Ok(to_reply(&action))
    };
    let rollout = RolloutConfig {
        concurrency: AT_ONCE,
        max_retries: 40,
        retry_delay: Duration::from_millis(5),
        ..Default::default()
    };
    let (renderer, sampler) = (Arc::new(ByteRenderer), Arc::new(ScriptedSampler::new(said)));
    let engine = RolloutEngine::new(Arc::new(factory), renderer, sampler, Arc::new(VerifiedSuccess), rollout).unwrap();
    let (source, known) = (TemplateTasks::new(3, Split::Train), entries(&book));
    let tasks = (0..EPISODES as u64 / 4).map(|cursor| source.task(cursor));
    let left: Vec<_> = tasks
        .filter(|task| !known.contains(&format!("{} 0", task.id)))
        .collect();
    for tasks in left.chunks(CHUNK) {
        let requests = tasks.iter().map(|task| GroupRequest {
            task: task.clone(),
            group_size: 4,
        });
        let Ok(collection) = engine.collect(requests.collect(), 0, stop.clone()).await else {
            break; // Told to end.
        };
        assert_eq!(collection.stats.lost, 0, "episodes lost: {:?}", collection.stats);
        let lines = collection.groups.iter().flat_map(|group| {
            let attempts = group.episodes.iter();
            attempts.map(|episode| format!("{} {}\n", group.task.id, episode.attempt))
        });
        let mut file = std::fs::File::options().create(true).append(true).open(&book).unwrap();
        file.write_all(lines.collect::<String>().as_bytes()).unwrap();
    }
    let closed = pool.close().await;
    // What a process that is told to end leaves, the next one sweeps.
    assert!(stop.is_cancelled() || closed.is_clean(), "{closed:?}");
}

/// Starts a player, and gives it a signal once the service has done so many more deeds; whether it came to its end before.
async fn played(server: &SimServer, book: &Path, deeds: u64, signal: &str) -> bool {
    let end = server.stats().deeds + deeds;
    let mut player = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_player_that_can_be_killed", "--nocapture"])
        .env(SERVICE, server.base_url())
        .env(BOOK, book)
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while server.stats().deeds < end {
        assert!(begin.elapsed() < Duration::from_secs(240), "a player hangs");
        if let Some(status) = player.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let kill = format!("kill -s {signal} {}", player.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || player.wait().unwrap())
        .await
        .unwrap();
    assert_eq!(status.success(), signal == "TERM", "{signal}: {status}");
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_that_are_stopped_and_killed_leave_no_box_and_lose_and_double_no_episode() {
    let server = troubled(6, PhoneKind::Small, Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let book = folder.path().join("book");
    let begin = Instant::now();
    let (mut stops, mut starts) = (HashMap::from([("TERM", 0), ("KILL", 0)]), 0);
    // Every stop comes after some more work than the one before, so that there is an end.
    let done = loop {
        let signal = if starts % 2 == 0 { "TERM" } else { "KILL" };
        starts += 1;
        if starts == 8 {
            // The service recovers, and the last one comes to its end.
            server.set_mishaps([]);
        }
        let deeds = if starts >= 8 { u64::MAX / 2 } else { 90 + 40 * starts };
        if played(&server, &book, deeds, signal).await {
            break starts;
        }
        *stops.get_mut(signal).unwrap() += 1;
        eprintln!("{signal} after {} episodes, {:?}", entries(&book).len(), server.stats());
    };
    let (entries, stats) = (entries(&book), server.stats());
    eprintln!(
        "{:.1} s, {done} starts, {stops:?}, {stats:?}",
        begin.elapsed().as_secs_f64()
    );
    assert!(stops.values().all(|count| *count > 1), "{stops:?}");
    let different: HashSet<&String> = entries.iter().collect();
    assert_eq!(
        (entries.len(), different.len()),
        (EPISODES, EPISODES),
        "lost or doubled"
    );
    assert_eq!(stats.repeated, 0, "deeds repeated");
    assert_eq!(stats.live_boxes, 0, "boxes left");
}
