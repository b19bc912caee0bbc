//! What counts as done: the state alone, the state and a report, or an answer; and what else has changed.

use async_trait::async_trait;
use cua_grpo_android::action::ButtonName;
use cua_grpo_android::tasks::*;
use cua_grpo_android::*;
use cua_grpo_core::{Ending, EnvironmentFactory, Facts, Task};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

/// A phone of settings alone: text that is typed is a setting, `global wifi_on 1`.
#[derive(Debug, Default)]
struct Settings {
    values: BTreeMap<String, String>,
    /// It does not know how to list them.
    mute: bool,
}

impl Settings {
    fn put(&mut self, text: &str) {
        if let Some((key, value)) = text.rsplit_once(' ') {
            self.values.insert(key.to_owned(), value.to_owned());
        }
    }

    fn run(&mut self, command: &str) -> String {
        if let Some(name) = command.strip_prefix("echo '") {
            return format!("{}\n", name.trim_end_matches('\''));
        }
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["settings", "put", ..] => {
                self.put(&words[2..].join(" "));
                String::new()
            }
            ["settings", "get", table, key] => {
                let value = self.values.get(&format!("{table} {key}"));
                format!("{}\n", value.map_or("null", String::as_str))
            }
            ["settings", "list", table, ..] => {
                let own = self.values.iter().filter_map(|(key, value)| {
                    let key = key.strip_prefix(table)?.trim();
                    Some(format!("{key}={value}\n"))
                });
                own.collect()
            }
            _ => String::new(),
        }
    }
}

#[async_trait]
impl Device for Settings {
    fn name(&self) -> &str {
        "settings"
    }

    async fn screenshot(&mut self) -> Result<Screen, DeviceError> {
        let mut bytes = Vec::new();
        let picture = image::RgbImage::new(8, 16);
        picture
            .write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png)
            .unwrap();
        Ok(Screen::read(bytes).unwrap())
    }

    async fn gesture(&mut self, _: &Gesture) -> Acted {
        Ok(None)
    }

    async fn type_text(&mut self, text: &str, _: Option<Point>) -> Acted {
        self.put(text);
        Ok(None)
    }

    async fn keys(&mut self, _: &[String]) -> Acted {
        Ok(None)
    }

    async fn button(&mut self, _: ButtonName) -> Acted {
        Ok(None)
    }

    async fn shell(&mut self, command: &str, _: Duration) -> Result<ShellOutput, DeviceError> {
        let exit_code = i64::from(self.mute && command.contains("list"));
        let stdout = command.split("; ").map(|part| self.run(part.trim())).collect();
        Ok(ShellOutput {
            exit_code,
            stdout,
            stderr: String::new(),
            timed_out: false,
        })
    }

    async fn locate(&mut self, _: &Screen, _: &str) -> Result<Option<Point>, DeviceError> {
        Ok(None)
    }

    async fn release(self: Box<Self>) {}
}

#[derive(Debug)]
struct Shop {
    mute: bool,
}

#[async_trait]
impl DeviceSource for Shop {
    async fn lease(&self, _: &LeaseRequest) -> Result<Box<dyn Device>, DeviceError> {
        let mute = self.mute;
        Ok(Box::new(Settings {
            mute,
            ..Default::default()
        }))
    }
}

/// Plays a task by what is typed and what is reported, and gives the facts.
async fn play(state: &TaskState, config: EnvConfig, typed: &[&str], report: Option<(bool, &str)>) -> Facts {
    play_on(Shop { mute: false }, state, config, typed, report).await
}

async fn play_on(
    shop: Shop,
    state: &TaskState,
    config: EnvConfig,
    typed: &[&str],
    report: Option<(bool, &str)>,
) -> Facts {
    let config = EnvConfig {
        settle: Duration::ZERO,
        ..config
    };
    let factory = AndroidEnvironmentFactory::new(Arc::new(shop), config);
    let task = state.clone().into_task(Task::new("own/1", "Do it."));
    let mut environment = factory.create(&task, 0).await.unwrap();
    environment.start().await.unwrap();
    for text in typed {
        let action = action::Action::Input {
            text: (*text).to_owned(),
            target: None,
        };
        let step = environment.step(&action::to_reply(&action)).await.unwrap();
        assert_eq!(step.action.error, None);
    }
    let mut ending = Ending::MaxTurns;
    if let Some((success, message)) = report {
        let message = (!message.is_empty()).then(|| message.to_owned());
        let action = action::Action::Report { success, message };
        environment.step(&action::to_reply(&action)).await.unwrap();
        ending = Ending::Reported;
    }
    environment.finish(ending).await.unwrap()
}

fn wifi() -> TaskState {
    TaskState {
        setup: vec![
            "settings put global wifi_on 0".into(),
            "settings put system volume 3".into(),
        ],
        checks: vec![
            "toggle:wifi=on"
                .parse::<Goal>()
                .unwrap()
                .check(cua_grpo_android::PhoneKind::default()),
        ],
        ..Default::default()
    }
}

const DO: &str = "global wifi_on 1";

#[tokio::test]
async fn a_report_counts_where_it_is_asked_for() {
    let config = |success| EnvConfig {
        success,
        ..Default::default()
    };
    let required = TaskState {
        report: Some(ReportCheck::default()),
        ..wifi()
    };
    let (yes, no) = (Some((true, "done")), Some((false, "")));
    // (typed, report), then: done by the state, done with a report, false complete, unreported.
    for (typed, report, by_state, by_both, lie, silent) in [
        (&[DO][..], yes, true, true, false, false),
        (&[DO], None, true, false, false, true),
        (&[DO], no, true, false, false, true),
        (&[], yes, false, false, true, false),
        (&[], None, false, false, false, false),
    ] {
        let state = play(&wifi(), config(SuccessRequires::State), typed, report).await;
        let both = play(&wifi(), config(SuccessRequires::StateAndReport), typed, report).await;
        let task = play(&required, config(SuccessRequires::State), typed, report).await;
        assert_eq!(
            (state.verified, both.verified, task.verified),
            (by_state, by_both, by_both),
            "{typed:?} {report:?}"
        );
        for facts in [&state, &both, &task] {
            assert_eq!(
                (facts.is_false_complete(), facts.is_unreported()),
                (lie, silent),
                "{facts:?}"
            );
            assert_eq!(facts.verified, facts.checks.iter().all(|check| check.held), "{facts:?}");
        }
        assert_eq!((state.state_holds, both.state_holds), (None, Some(by_state)));
        assert_eq!((state.checks.len(), both.checks.len()), (1, 2));
    }
}

#[tokio::test]
async fn an_answer_is_checked_by_the_text_of_the_report() {
    let text = r#"templates:
  - id: ask
    category: own
    difficulty: easy
    max_turns: 9
    instructions: ["How loud is the ringer?"]
    parameters:
      volume: {integer: {from: 1, to: 7}}
    setup: ["settings put system volume_ring {volume}"]
    report: {equals: "volume {volume}"}
"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.yaml");
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Catalogue::with_files(&[&file])
    };
    let task = load(text).unwrap().own()[0].instance(4, cua_grpo_android::PhoneKind::default());
    let state: TaskState = task.payload().unwrap();
    assert!(describe(&task).unwrap().contains("report       says (?i)volume "));
    let volume = state.setup[0].rsplit_once(' ').unwrap().1.to_owned();
    let right = format!(" Volume {volume} ");
    let config = EnvConfig::default;
    assert!(play(&state, config(), &[], Some((true, &right))).await.verified);
    let wrong = play(&state, config(), &[], Some((true, "volume 99"))).await;
    assert!(!wrong.verified && wrong.is_false_complete());
    assert_eq!(wrong.report.as_deref(), Some("volume 99"));
    assert!(!play(&state, config(), &[], Some((false, &right))).await.verified);
    assert!(!play(&state, config(), &[], None).await.verified);
    let other = text.replace(
        "{equals: \"volume {volume}\"}",
        "{expect: \"(?s).*\\\\b{volume}\\\\b.*\"}",
    );
    let state: TaskState = load(&other).unwrap().own()[0]
        .instance(4, cua_grpo_android::PhoneKind::default())
        .payload()
        .unwrap();
    assert!(
        play(&state, config(), &[], Some((true, &format!("It is {volume}."))))
            .await
            .verified
    );
    for (wrong, words) in [
        ("required", "nothing tells"),
        ("{}", "`required`"),
        ("{expect: \"(\"}", "regular expression"),
        ("maybe", "`required`"),
    ] {
        let error = load(&text.replace("{equals: \"volume {volume}\"}", wrong))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words) && error.contains("own.yaml:"), "{error}");
    }
}

#[tokio::test]
async fn what_changed_without_being_asked_for_is_told() {
    let watching = || EnvConfig {
        side_effects: true,
        ..Default::default()
    };
    let changed = |facts: Facts| facts.side_effects;
    assert_eq!(
        changed(play(&wifi(), EnvConfig::default(), &[DO], None).await),
        None,
        "nobody looked"
    );
    assert_eq!(changed(play(&wifi(), watching(), &[DO], None).await), Some(Vec::new()));
    let facts = play(&wifi(), watching(), &[DO, "system volume 9", "secure new_one 1"], None).await;
    assert!(facts.verified, "it is told, and is no failure");
    let lines = ["setting secure new_one: none -> 1", "setting system volume: 3 -> 9"];
    assert_eq!(changed(facts), Some(lines.map(str::to_owned).to_vec()));
    let allowed = TaskState {
        may_change: vec!["setting system volume".into(), "setting secure new_".into()],
        ..wifi()
    };
    let facts = play(&allowed, watching(), &[DO, "system volume 9", "secure new_one 1"], None).await;
    assert_eq!(changed(facts), Some(Vec::new()));
    // A phone that cannot tell.
    let facts = play_on(Shop { mute: true }, &wifi(), watching(), &[DO], None).await;
    assert_eq!((facts.verified, facts.side_effects), (true, None));
}
