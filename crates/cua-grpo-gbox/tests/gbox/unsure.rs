//! Actions and set-ups of which nobody knows whether they were done.

use crate::double::Failure;
use crate::env::{World, click, screenshot, task};
use cua_grpo_android::action::{Action, Target, to_reply};
use cua_grpo_core::{Ending, FaultKind};

#[tokio::test]
async fn an_action_that_may_have_been_done_is_looked_at_and_never_done_again() {
    let world = World::new().await;
    let mut wifi = false;
    for status in [429, 503, 500, 502, 504, 408, 409, 0] {
        for acts in [false, true] {
            let mut env = world.started().await;
            let counts = || {
                world
                    .double
                    .with(|service| (service.count("/click"), service.count("/screenshot")))
            };
            let before = counts();
            world.double.with(|service| service.wifi = false);
            world.double.fail([Failure {
                acts,
                ..Failure::new("POST /click", status)
            }]);
            let step = env.step(&click("Wi-Fi")).await.unwrap();
            assert_eq!(step.action.error, None, "it is no mistake of the policy");
            let after = counts();
            assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{status} {acts}");
            let seen = step.observation.unwrap();
            let shown = seen.messages[0].images().next().unwrap().bytes.clone();
            assert_eq!(shown[..], screenshot(acts)[..], "the screen tells what is true");
            wifi |= acts;
            env.finish(Ending::Fault).await.unwrap();
        }
    }
    assert!(wifi);
    // Typing that does not reach its field is not typed.
    let typing = to_reply(&Action::Input {
        text: "x".to_owned(),
        target: Some(Target::element("Wi-Fi")),
    });
    let mut env = world.started().await;
    world.double.fail([Failure::new("POST /click", 503)]);
    assert_eq!(env.step(&typing).await.unwrap().action.error, None);
    assert_eq!(world.double.with(|service| service.count("/type")), 0);
    env.finish(Ending::Fault).await.unwrap();
    assert_eq!(world.pool.stats().unsure, 17);
}

#[tokio::test]
async fn a_set_up_that_may_have_been_done_is_done_on_another_phone() {
    let world = World::new().await;
    for (failures, boxes) in [(1, 2), (3, 4)] {
        let before = world.double.with(|service| service.boxes.len());
        let mut env = world.env(&task()).await;
        world.double.fail(vec![Failure::new("POST /commands", 503); failures]);
        env.start().await.unwrap();
        assert_eq!(world.double.with(|service| service.boxes.len()) - before, boxes);
        assert_eq!(world.double.with(|service| service.running()), 1);
        env.finish(Ending::Fault).await.unwrap();
    }
    let mut env = world.env(&task()).await;
    world.double.fail(vec![Failure::new("POST /commands", 503); 4]);
    assert_eq!(env.start().await.unwrap_err().kind, FaultKind::Setup);
    env.finish(Ending::Fault).await.unwrap();
    assert_eq!(world.double.with(|service| service.running()), 0);
}
