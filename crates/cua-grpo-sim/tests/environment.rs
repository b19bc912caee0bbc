//! The client's environment on simulated boxes: whole episodes as the trainer runs them.
#![allow(clippy::unwrap_used)]

use cua_grpo_core::{Ending, EnvironmentFactory, TaskSource};
use cua_grpo_gbox::{
    BoxPool, ClientConfig, EnvConfig, GboxClient, GboxEnvironmentFactory, PoolConfig, PromptStyle, TargetStyle,
    action::to_reply,
    tasks::{Split, TEMPLATES, TemplateTasks},
};
use cua_grpo_sim::{Demonstrator, SimConfig, SimServer, Skill};
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
    let factory = GboxEnvironmentFactory::new(pool, config);
    let tasks = TemplateTasks::new(3, Split::Eval);
    let (mut turns, start) = (0, Instant::now());
    for cursor in 0..TEMPLATES.len() as u64 {
        let task = tasks.task(cursor);
        let mut expert = Demonstrator::new(
            &task,
            Skill {
                target,
                ..Skill::default()
            },
            cursor,
        )
        .unwrap();
        let mut environment = factory.create(&task).await.unwrap();
        environment.start().await.unwrap();
        let device = environment.device().unwrap();
        loop {
            let action = server.with_phone(&device, |phone| expert.next(phone)).unwrap();
            let step = environment.step(&to_reply(&action)).await.unwrap();
            assert_eq!(step.action.error, None, "{}: {action}", task.id);
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
