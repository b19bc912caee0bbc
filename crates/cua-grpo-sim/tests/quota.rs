//! Episodes on a service that gives fewer phones at once than are asked for: all are played, on those that there are.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::{Split, TemplateTasks};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig, PromptStyle};
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{TaskSource, VerifiedSuccess};
use cua_grpo_gbox::{BoxPool, ClientConfig, GboxClient, PoolConfig};
use cua_grpo_rollout::{CancellationToken, GroupRequest, RolloutConfig, RolloutEngine};
use cua_grpo_sim::{Roster, ScriptedPolicy, SimConfig, SimServer, Skill};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_below_the_concurrency_costs_time_and_no_episode() {
    for lockstep in [true, false] {
        let server = SimServer::start(SimConfig {
            quota: 3,
            ..Default::default()
        });
        let server = server.await.unwrap();
        let client = GboxClient::new(ClientConfig::new("any").at(server.base_url())).unwrap();
        let pool = PoolConfig {
            quota: 8,
            ..Default::default()
        };
        let pool = BoxPool::new(client, pool).unwrap();
        let roster = Roster::default();
        let config = EnvConfig {
            style: PromptStyle::Brief,
            settle: Duration::ZERO,
            ..Default::default()
        };
        let factory = AndroidEnvironmentFactory::new(roster.watch(Arc::new(pool.clone())), config);
        let source = TemplateTasks::new(3, Split::Train);
        let tasks: Vec<_> = (0..4).map(|cursor| source.task(cursor)).collect();
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
        // A fault would lose its episode.
        let rollout = RolloutConfig {
            concurrency: 8,
            max_retries: 0,
            lockstep,
            ..Default::default()
        };
        let (renderer, reward) = (Arc::new(ByteRenderer), Arc::new(VerifiedSuccess));
        let engine = RolloutEngine::new(Arc::new(factory), renderer, Arc::new(expert), reward, rollout).unwrap();
        let requests = tasks.into_iter();
        let requests = requests.map(|task| GroupRequest { task, group_size: 4 }).collect();
        let begin = Instant::now();
        let collection = engine.collect(requests, 0, CancellationToken::new()).await.unwrap();
        let stats = &collection.stats;
        assert_eq!(
            (stats.episodes, stats.lost, stats.faults.total()),
            (16, 0, 0),
            "{stats:?}"
        );
        // The budget for outages is ten minutes.
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
        assert_eq!(pool.stats().create_faults, 0);
        assert!(pool.close().await.is_clean());
        assert_eq!(server.stats().live_boxes, 0);
    }
}
