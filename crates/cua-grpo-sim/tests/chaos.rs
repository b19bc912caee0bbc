//! Episodes while the service fails in every way that it can: nothing is lost, nothing is done twice, no box is left.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::{Split, TemplateTasks};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig, PromptStyle};
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{TaskSource, VerifiedSuccess};
use cua_grpo_gbox::{BodyLimits, BoxPool, ClientConfig, GboxClient, PoolConfig, RetryPolicy};
use cua_grpo_rollout::{CancellationToken, GroupRequest, RolloutConfig, RolloutEngine};
use cua_grpo_sim::{Faults, Mishap, MishapShare, Roster, ScriptedPolicy, SimConfig, SimServer, Skill};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EPISODES: usize = 200;
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
fn client(server: &SimServer) -> GboxClient {
    let config = ClientConfig {
        timeout: Duration::from_millis(400),
        retry: RetryPolicy {
            max_retries: 4,
            base_delay: Duration::from_millis(2),
            max_delay: Duration::from_millis(20),
            outage_budget: Duration::from_secs(60),
        },
        bodies: BodyLimits {
            json: 1 << 20,
            text: 1 << 20,
            picture: 2 << 20,
            error: 10_000,
        },
        ..ClientConfig::new("any")
    };
    GboxClient::new(config.at(server.base_url())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_episodes_under_all_faults_of_a_service_lose_and_repeat_nothing() {
    let faults = Faults {
        deaths: 0.02,
        mishaps: all_mishaps(),
        pages_ignored: true,
        foreign_boxes: 120,
        seed: 5,
        ..Default::default()
    };
    let server = SimServer::start(SimConfig {
        faults,
        quota: AT_ONCE,
        ..Default::default()
    })
    .await
    .unwrap();
    let pool = BoxPool::new(
        client(&server),
        PoolConfig {
            quota: AT_ONCE,
            boot_timeout: Duration::from_secs(2),
            release_timeout: Duration::from_secs(1),
            ..Default::default()
        },
    )
    .unwrap();
    let roster = Roster::default();
    let config = EnvConfig {
        style: PromptStyle::Brief,
        settle: Duration::ZERO,
        command_timeout: Duration::from_secs(1),
        ..Default::default()
    };
    let factory = AndroidEnvironmentFactory::new(roster.watch(Arc::new(pool.clone())), config);
    let source = TemplateTasks::new(3, Split::Train);
    let tasks: Vec<_> = (0..EPISODES as u64 / 4).map(|cursor| source.task(cursor)).collect();
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
        max_retries: 12,
        retry_delay: Duration::from_millis(5),
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
        "{seconds:.1} s, {stats:?}, {:?}, {:?}, {:?}, solved {}",
        pool.stats(),
        pool.client().outages(),
        collection.stats.faults,
        collection.stats.successes
    );
    assert_eq!(
        (collection.stats.episodes, collection.stats.lost),
        (EPISODES, 0),
        "episodes lost"
    );
    for group in &collection.groups {
        let attempts: Vec<u64> = group.episodes.iter().map(|episode| episode.attempt).collect();
        assert_eq!(attempts, [0, 1, 2, 3], "episodes doubled");
    }
    assert!(stats.deeds > 400, "{stats:?}");
    assert_eq!(stats.repeated, 0, "deeds repeated");
    assert!(pool.stats().unsure > 10 && pool.client().outages().count > 0);
    // The service recovers: nothing is left of it.
    server.set_mishaps([]);
    let closed = pool.close().await;
    assert!(closed.is_clean(), "{closed:?}");
    assert_eq!(server.stats().live_boxes, 0, "boxes left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mishap_is_met_and_none_has_an_action_done_again() {
    for (name, kind) in Mishap::ALL {
        let server = SimServer::start(SimConfig::default()).await.unwrap();
        let pool = BoxPool::new(client(&server), PoolConfig::default()).unwrap();
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
