//! The client's environment on simulated boxes: whole episodes as the trainer runs them.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::{Check, Split, TEMPLATES, TaskState, TemplateTasks};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig, PromptStyle, TargetStyle};
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{
    Ending, EnvironmentFactory, FaultKind, Prompt, Renderer, Sampler, SamplingParams, Task, TaskSource,
};
use cua_grpo_gbox::{BoxPool, ClientConfig, GboxClient, PoolConfig};
use cua_grpo_sim::{Roster, ScriptedPolicy, SimConfig, SimServer, Skill};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Turns and seconds of one demonstrated episode per template.
async fn episodes(server: &SimServer, target: TargetStyle) -> (usize, f64) {
    let client = GboxClient::new(ClientConfig::new("any").at(server.base_url())).unwrap();
    let pool = BoxPool::new(
        client,
        PoolConfig {
            quota: 2,
            ..Default::default()
        },
    )
    .unwrap();
    let config = EnvConfig {
        style: PromptStyle::Brief,
        targets: target,
        settle: Duration::ZERO,
        ..Default::default()
    };
    let roster = Roster::default();
    let factory = AndroidEnvironmentFactory::new(roster.watch(Arc::new(pool)), config);
    let source = TemplateTasks::new(3, Split::Eval);
    let tasks = (0..TEMPLATES.len() as u64).map(|cursor| source.task(cursor));
    let tasks: HashMap<String, _> = tasks.map(|task| (task.id.clone(), task)).collect();
    let skill = Skill {
        target,
        ..Skill::default()
    };
    let expert = ScriptedPolicy {
        phones: server.phones(),
        roster,
        renderer: Arc::new(ByteRenderer),
        tasks: tasks.clone(),
        skill,
        seed: 0,
    };
    let asked = SamplingParams::greedy(1000);
    let (mut turns, start) = (0, Instant::now());
    for (slot, task) in tasks.values().enumerate() {
        let mut environment = factory.create(task, slot).await.unwrap();
        let seen = environment.start().await.unwrap();
        assert!(seen.state.is_some(), "the simulated phone tells its state");
        let mut session = expert.open(slot);
        loop {
            let reply = session.sample(&Prompt::default(), &asked).await.unwrap();
            let reply = ByteRenderer.decode(&reply.tokens);
            let step = environment.step(&reply).await.unwrap();
            assert_eq!(step.action.error, None, "{}: {reply}", task.id);
            turns += 1;
            if step.observation.is_none() {
                break;
            }
            assert!(turns < 1000, "{}: no end", task.id);
        }
        let facts = environment.finish(Ending::Reported).await.unwrap();
        assert!(facts.verified && facts.claimed == Some(true), "{} {facts:?}", task.id);
    }
    (turns, start.elapsed().as_secs_f64())
}

#[tokio::test]
async fn every_template_is_solved_over_http() {
    let server = SimServer::start(SimConfig::default()).await.unwrap();
    for target in [TargetStyle::Description, TargetStyle::Coordinate] {
        let (turns, seconds) = episodes(&server, target).await;
        eprintln!(
            "{target:?}: {turns} turns in {seconds:.3} s, {:.2} ms a turn",
            1000.0 * seconds / turns as f64
        );
    }
    assert_eq!(server.stats().live_boxes, 0, "every box was given back");
    server.shutdown().await;
}

#[tokio::test]
async fn a_phone_on_which_the_precheck_does_not_hold_is_a_fault_of_the_set_up() {
    let server = SimServer::start(SimConfig::default()).await.unwrap();
    let client = GboxClient::new(ClientConfig::new("any").at(server.base_url())).unwrap();
    let pool = BoxPool::new(client, PoolConfig::default()).unwrap();
    let factory = AndroidEnvironmentFactory::new(Arc::new(pool), EnvConfig::default());
    let check = |expect: &str| Check {
        command: "settings get global wifi_on".to_owned(),
        expect: expect.to_owned(),
    };
    let task = |precheck: &str| {
        let state = TaskState {
            setup: vec!["settings put global wifi_on 0".to_owned()],
            precheck: vec![check(precheck)],
            checks: vec![check("1")],
            ..TaskState::default()
        };
        state.into_task(Task::new("own/1", "Turn on Wi-Fi."))
    };
    let mut good = factory.create(&task("0"), 0).await.unwrap();
    good.start().await.unwrap();
    assert!(!good.finish(Ending::MaxTurns).await.unwrap().verified);
    let mut bad = factory.create(&task("[2-9]"), 1).await.unwrap();
    let fault = bad.start().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Setup);
    assert!(
        fault.message.contains("wifi_on") && fault.message.contains("[2-9]"),
        "{fault}"
    );
    bad.finish(Ending::Fault).await.unwrap();
    server.shutdown().await;
}
