//! The environment over the scripted service.

use crate::double::{Double, Failure};
use cua_grpo_android::action::{Action, ButtonName, ClickOption, Direction, SwipePath, Target, to_reply};
use cua_grpo_android::tasks::{Check, TaskState};
use cua_grpo_android::{AndroidEnvironmentFactory, EnvConfig, PromptStyle};
use cua_grpo_core::{Chunk, Ending, Environment, EnvironmentFactory, FaultKind, Observation, Role, Task};
use cua_grpo_gbox::{BoxPool, PoolConfig};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn check(command: &str, expect: &str) -> Check {
    Check {
        command: command.to_owned(),
        expect: expect.to_owned(),
    }
}

fn state() -> TaskState {
    TaskState {
        setup: vec!["settings put global wifi_on 0".to_owned()],
        checks: vec![check("settings get global wifi_on", "1")],
        ..TaskState::default()
    }
}

fn task_of(state: TaskState) -> Task {
    state.into_task(Task::new("wifi/4", "Turn on Wi-Fi.").with_seed(4).with_max_turns(5))
}

pub fn task() -> Task {
    task_of(state())
}

pub struct World {
    pub double: Double,
    pub pool: BoxPool,
    factory: AndroidEnvironmentFactory,
}

impl World {
    pub async fn new() -> Self {
        let double = Double::start().await;
        let pool = BoxPool::new(
            double.client(),
            PoolConfig {
                quota: 1,
                ..PoolConfig::default()
            },
        )
        .unwrap();
        let config = EnvConfig {
            style: PromptStyle::Brief,
            settle: Duration::ZERO,
            ..EnvConfig::default()
        };
        Self {
            double,
            factory: AndroidEnvironmentFactory::new(Arc::new(pool.clone()), config),
            pool,
        }
    }

    pub async fn env(&self, task: &Task) -> Box<dyn Environment> {
        self.factory.create(task, 0).await.unwrap()
    }

    pub async fn started(&self) -> Box<dyn Environment> {
        let mut env = self.env(&task()).await;
        env.start().await.unwrap();
        env
    }
}

pub fn click(name: &str) -> String {
    to_reply(&Action::Click {
        target: Target::element(name),
        option: ClickOption::Left,
    })
}

fn report(success: bool) -> String {
    to_reply(&Action::Report { success, message: None })
}

/// Roles, texts and the number of images of an observation.
fn shape(observation: &Observation) -> Vec<(Role, Vec<String>)> {
    let chunk = |chunk: &Chunk| match chunk {
        Chunk::Text(text) => text.clone(),
        Chunk::Image(_) => "<image>".to_owned(),
    };
    observation
        .messages
        .iter()
        .map(|message| (message.role, message.content.iter().map(chunk).collect()))
        .collect()
}

#[tokio::test]
async fn an_episode_that_succeeds() {
    let world = World::new().await;
    let mut env = world.env(&task()).await;
    assert_eq!(world.double.with(|service| service.running()), 0);
    let first = env.start().await.unwrap();
    assert_eq!(
        shape(&first),
        [
            (
                Role::System,
                vec!["You use a phone. Answer with one tool call.".to_owned()]
            ),
            (
                Role::User,
                vec![
                    "Turn on Wi-Fi.".to_owned(),
                    "<image>".to_owned(),
                    "Turn 1/5.".to_owned()
                ]
            ),
        ]
    );
    assert_eq!(world.double.with(|service| service.running()), 1);

    let step = env.step(&click("Wi-Fi")).await.unwrap();
    assert_eq!(
        (step.action.summary.as_str(), step.action.points.as_slice()),
        ("click \"Wi-Fi\"", &[(10.0, 20.0)][..])
    );
    let seen = step.observation.unwrap();
    assert_eq!(
        shape(&seen),
        [(Role::User, vec!["<image>".to_owned(), "Turn 2/5.".to_owned()])]
    );
    assert_ne!(
        seen.messages[0].images().next(),
        first.messages[1].images().next(),
        "the screen did not change"
    );

    let step = env.step(&report(true)).await.unwrap();
    assert!(step.observation.is_none() && step.action.error.is_none());
    let facts = env.finish(Ending::Reported).await.unwrap();
    assert_eq!(
        (facts.verified, facts.claimed, facts.turns, facts.action_errors),
        (true, Some(true), 2, 0)
    );
    assert_eq!((facts.extra["checks"], facts.extra["checks_passed"]), (1.0, 1.0));
    assert!(facts.checks[0].held && facts.checks[0].found == "1");
    world.double.with(|service| {
        assert_eq!(service.running(), 0);
        assert_eq!(
            service.count("/screenshot"),
            1,
            "each later picture comes with its action"
        );
        assert_eq!(
            service.bodies("/click")[0]["options"]["screenshot"]["phases"],
            json!(["after"])
        );
        assert_eq!(service.boxes["box-0"]["config"]["envs"]["CUA_SIM_SEED"], "4");
    });
}

#[tokio::test]
async fn the_device_decides_not_the_claim() {
    let world = World::new().await;
    let mut env = world.started().await;
    env.step(&report(true)).await.unwrap();
    let (facts, check) = (env.finish(Ending::Reported).await.unwrap(), &state().checks[0]);
    assert_eq!((facts.verified, facts.claimed), (false, Some(true)));
    let [why] = &facts.checks[..] else {
        panic!("one check, got {:?}", facts.checks);
    };
    assert_eq!(
        (&why.check, &why.expected),
        (&check.command, &check.expect),
        "it says why"
    );
    assert_eq!((&*why.found, why.held), ("0", false));
}

#[tokio::test]
async fn mistakes_of_the_policy_are_told_to_it() {
    let world = World::new().await;
    let mut env = world.started().await;
    let two = format!("{}{}", click("Wi-Fi"), click("Wi-Fi"));
    for (reply, summary, error) in [
        ("hm".to_owned(), "malformed reply", "no tool call"),
        (two, "malformed reply", "at most 1 tool call a turn, got 2"),
        (click("nothing"), "click \"nothing\"", "no \"nothing\" on the screen"),
        (click("beyond"), "click \"beyond\"", "no \"beyond\" on the screen"),
    ] {
        let step = env.step(&reply).await.unwrap();
        assert_eq!(step.action.summary, summary);
        assert_eq!(step.action.malformed, summary == "malformed reply");
        assert!(
            step.action.error.as_ref().unwrap().contains(error),
            "{:?}",
            step.action.error
        );
        assert!(step.action.points.is_empty());
        let shown = step.observation.unwrap().messages[0].joined_text();
        assert!(
            shown.starts_with("Error: ") && shown.contains("/5.") && shown.len() < 110,
            "{shown}"
        );
    }
    let facts = env.finish(Ending::MaxTurns).await.unwrap();
    assert_eq!(
        (facts.turns, facts.action_errors, facts.claimed, facts.verified),
        (4, 4, None, false)
    );
    assert_eq!(world.double.with(|service| service.count("/click")), 0);
}

#[tokio::test]
async fn what_the_phone_refuses_is_told_to_the_policy_and_is_no_fault() {
    let world = World::new().await;
    let typing = to_reply(&Action::Input {
        text: "x".to_owned(),
        target: Some(Target::element("Wi-Fi")),
    });
    // What is asked for, the call that is refused, and the status.
    let cases = [
        (click("Wi-Fi"), "POST /click", 400),
        (click("Wi-Fi"), "POST /click", 413),
        (click("Wi-Fi"), "POST /click", 422),
        (click("Wi-Fi"), "POST /model", 400),
        (typing, "POST /type", 422),
    ];
    let mut env = world.started().await;
    for (turn, (reply, call, status)) in cases.iter().enumerate() {
        world.double.fail([Failure::new(call, *status)]);
        let step = env.step(reply).await.unwrap();
        let error = step.action.error.unwrap();
        assert_eq!(error, "the phone refuses this action: injected", "{call} {status}");
        let seen = step.observation.unwrap();
        let shown = seen.messages[0].joined_text();
        assert!(shown.contains("refuses this action"), "{shown}");
        // Typing touched the switch before it was refused: the picture is that of now.
        let wifi = turn == 4;
        assert_eq!(
            seen.messages[0].images().next().unwrap().bytes[..],
            screenshot(wifi)[..],
            "{call}"
        );
    }
    let facts = env.finish(Ending::MaxTurns).await.unwrap();
    assert_eq!((facts.turns, facts.action_errors), (5, 5));
    assert_eq!(
        world.double.with(|service| service.count("/click")),
        4,
        "nothing is tried again"
    );

    // Statuses that say nothing about the action, and a box that is gone and refuses everything.
    for failures in [
        vec![Failure::new("POST /click", 404)],
        vec![Failure::new("POST /click", 402)],
        vec![Failure::new("POST /click", 400), Failure::new("POST /screenshot", 400)],
        vec![Failure::new("POST /model", 422), Failure::new("POST /screenshot", 404)],
    ] {
        let mut env = world.started().await;
        let what = format!("{failures:?}");
        world.double.fail(failures);
        let fault = env.step(&click("Wi-Fi")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Environment, "{what}");
        env.finish(Ending::Fault).await.unwrap();
    }
    assert_eq!(world.double.with(|service| service.running()), 0);
}

/// The bytes of the double's picture.
pub fn screenshot(wifi: bool) -> Vec<u8> {
    let uri = crate::double::picture(wifi);
    let body = uri.split_once(',').unwrap().1;
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap()
}

#[tokio::test]
async fn actions_reach_the_wire_as_meant() {
    let world = World::new().await;
    // A service that sends no picture with an action is asked for one.
    world.double.with(|service| service.blind = true);
    let mut env = world.started().await;
    let point = |x, y| Target::Coordinate { x, y };
    let between = |start, end| Action::Swipe {
        path: SwipePath::Between { start, end },
    };
    let actions = [
        Action::Click {
            target: point(1000.0, 250.0),
            option: ClickOption::Double,
        },
        Action::Scroll {
            direction: Direction::Down,
            target: None,
            distance: None,
        },
        Action::Scroll {
            direction: Direction::Left,
            target: Some(Target::element("Wi-Fi")),
            distance: Some(7.0),
        },
        Action::Swipe {
            path: SwipePath::Towards(Direction::Left),
        },
        between(Target::element("Wi-Fi"), Target::element("edge")),
        between(point(0.0, 0.0), Target::element("edge")),
        Action::Input {
            text: "hi".to_owned(),
            target: Some(Target::element("edge")),
        },
        Action::KeyPress {
            keys: vec!["control".to_owned(), "a".to_owned()],
        },
        Action::ButtonPress {
            button: ButtonName::Back,
        },
    ];
    for action in &actions {
        let step = env.step(&to_reply(action)).await.unwrap();
        assert_eq!(step.action.error, None, "{action}");
    }
    let expected = json!([
        ["/click", {"x": 39.0, "y": 20.0, "double": true}],
        ["/scroll", {"x": 20.0, "y": 40.0, "scrollX": 0.0, "scrollY": 40.0}],
        ["/scroll", {"x": 10.0, "y": 20.0, "scrollX": -7.0, "scrollY": 0.0}],
        ["/swipe", {"start": {"x": 32.0, "y": 40.0}, "end": {"x": 8.0, "y": 40.0}, "duration": "300ms"}],
        ["/swipe", {"start": {"x": 10.0, "y": 20.0}, "end": {"x": 39.5, "y": 79.5}, "duration": "300ms"}],
        ["/swipe", {"start": {"x": 0.0, "y": 0.0}, "end": {"x": 39.5, "y": 79.5}, "duration": "300ms"}],
        ["/click", {"x": 39.5, "y": 79.5}],
        ["/type", {"text": "hi"}],
        ["/press-key", {"keys": ["control", "a"], "combination": true}],
        ["/press-button", {"buttons": ["back"]}],
    ]);
    let mut sent = Vec::new();
    world.double.with(|service| {
        for (call, body) in &service.calls {
            let Some((_, name)) = call.split_once("/actions") else {
                continue;
            };
            if name != "/screenshot" {
                let mut body = body.clone();
                body.as_object_mut().unwrap().shift_remove("options");
                sent.push(json!([name, body]));
            }
        }
        assert_eq!(service.count("/screenshot"), 1 + actions.len());
        assert_eq!(
            service.count("/model"),
            4,
            "a swipe between two descriptions costs one call"
        );
    });
    assert_eq!(json!(sent), expected);
    env.finish(Ending::Fault).await.unwrap();
}

#[tokio::test]
async fn faults_are_named_and_the_box_is_given_back() {
    let with = |setup: &str, checks: Vec<Check>| {
        let mut state = state();
        (state.setup, state.checks) = (vec![setup.to_owned()], checks);
        task_of(state)
    };
    let broken = |setup: &str, command: &str| with(setup, vec![check(command, "1")]);
    let done = with(&state().setup[0], vec![check("settings get global wifi_on", "0")]);
    let empty = with(&state().setup[0], Vec::new());
    let off = "settings put global wifi_on 0";
    for (task, words) in [
        (done, "checks to fail"),
        (empty, "0 checks"),
        (
            broken("reboot", "settings get global wifi_on"),
            "\"reboot\": expected exit code 0, got 127",
        ),
        (broken(off, "sleep"), "timed out"),
    ] {
        let world = World::new().await;
        let mut env = world.env(&task).await;
        let fault = env.start().await.unwrap_err();
        assert!(
            fault.kind == FaultKind::Setup && fault.message.contains(words),
            "{fault}"
        );
        assert!(!env.finish(Ending::Fault).await.unwrap().verified);
        assert_eq!(
            world.double.with(|service| (service.boxes.len(), service.running())),
            (1, 0)
        );
    }

    let world = World::new().await;
    let mut env = world.started().await;
    world.double.fail(vec![
        Failure::new("POST /click", 500),
        Failure::new("POST /screenshot", 404),
    ]);
    let fault = env.step(&click("Wi-Fi")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Environment);
    env.finish(Ending::Fault).await.unwrap();

    let mut env = world.started().await;
    world.double.fail(vec![Failure::new("POST /commands", 500); 3]);
    let fault = env.finish(Ending::MaxTurns).await.unwrap_err();
    assert_eq!(
        fault.kind,
        FaultKind::Validator,
        "a question that cannot be asked is no failure of the policy"
    );
    assert_eq!(world.double.with(|service| service.running()), 0);

    world.double.fail([Failure::new("POST /android", 401)]);
    let mut env = world.env(&task()).await;
    let fault = env.start().await.unwrap_err();
    assert!(
        fault.kind == FaultKind::Environment && fault.message.contains("GBOX_API_KEY"),
        "{fault}"
    );
    env.finish(Ending::Fault).await.unwrap();
}

#[tokio::test]
async fn calls_out_of_order_are_faults() {
    let world = World::new().await;
    let mut env = world.env(&task()).await;
    assert!(env.step(&report(true)).await.is_err());
    assert!(env.finish(Ending::Reported).await.is_err());
    let mut env = world.started().await;
    assert!(env.start().await.is_err());
    env.finish(Ending::Fault).await.unwrap();
    assert!(env.step(&report(true)).await.is_err());
}

#[tokio::test]
async fn a_dropped_environment_gives_its_box_back() {
    let world = World::new().await;
    drop(world.started().await);
    // The only slot is free again as soon as the termination is over.
    let mut env = world.started().await;
    env.finish(Ending::Fault).await.unwrap();
    assert_eq!(
        world.double.with(|service| (service.most_running, service.running())),
        (1, 0)
    );
}
