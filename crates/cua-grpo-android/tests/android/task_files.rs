//! Templates from files: what they make, that it never changes, and every mistake by file, line and column.

use cua_grpo_android::PhoneKind;
use cua_grpo_android::tasks::*;
use cua_grpo_core::{Task, TaskSource};
use std::collections::BTreeSet;

fn load(text: &str) -> Result<Catalogue, TaskFileError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.yaml");
    std::fs::write(&file, text).unwrap();
    Catalogue::with_files(&[file])
}

const WHOLE: &str = r#"words:
  verb: [buy, sell]
  noun: [milk, "the {car}"]
templates:
  - id: everything
    category: own
    tags: [a, b]
    difficulty: hard
    max_turns: 9
    split: held_out
    instructions:
      - "Note '{note}', {switch} {state}, {n} from {early} to {late}; {{not}} {1} {"
    parameters:
      note: {text: "{verb} {noun}!"}
      switch: {choice: {wifi: Wi-Fi, dnd: do not disturb}}
      state: {choice: [on, off]}
      n: {integer: {from: -2, to: 6, step: 4}}
      early: {time: {from: "06:00", to: "07:00", step: 30}}
      late: {time: {from: "06:00", to: "07:00", step: 30}}
    constraints:
      - ascending: [early, late]
      - not: {switch: wifi, state: off}
    goals:
      - "toggle:{switch}={state}"
      - "note:{note}"
    setup:
      - "settings put system volume_ring {n}"
    precheck:
      - {command: "settings get system volume_ring", equals: "{n}"}
    checks:
      - {command: "echo {early} {late}", expect: "{early} .{5}|never"}
"#;

fn instances(text: &str) -> Vec<Task> {
    let all = load(text).unwrap_or_else(|error| panic!("{error}"));
    (0..2_000)
        .map(|seed| all.own()[0].instance(seed, PhoneKind::Small))
        .collect()
}

#[test]
fn an_instance_has_all_that_its_template_says() {
    let tasks = instances(WHOLE);
    let mut seen = BTreeSet::new();
    for task in &tasks {
        let state: TaskState = task.payload().unwrap();
        let goals: GoalList = task.tags["goal"].parse().unwrap();
        let [Goal::Toggle { toggle, on }, Goal::Note(note)] = &goals.0[..] else {
            panic!("{goals}");
        };
        let spoken = if toggle.key() == "wifi" {
            "Wi-Fi"
        } else {
            "do not disturb"
        };
        let state_word = if *on { "on" } else { "off" };
        assert!(
            *on || toggle.key() == "dnd",
            "a combination that is ruled out: {task:?}"
        );
        let n = state.setup[0].strip_prefix("settings put system volume_ring ").unwrap();
        let times = state.checks[2].command.strip_prefix("echo ").unwrap();
        let (early, late) = times.split_once(' ').unwrap();
        assert!(early < late && ["-2", "2", "6"].contains(&n), "{times} {n}");
        assert_eq!(
            task.instruction,
            format!("Note '{note}', {spoken} {state_word}, {n} from {early} to {late}; {{not}} {{1}} {{")
        );
        assert_eq!(state.precheck[0].expect, n.replace('-', r"\-"));
        assert_eq!(state.checks[2].expect, format!("{early} .{{5}}|never"));
        assert_eq!(
            state.checks[..2],
            goals
                .0
                .iter()
                .map(|goal| goal.check(PhoneKind::Small))
                .collect::<Vec<_>>()
        );
        assert_eq!((task.tags["tags"].as_str(), task.max_turns.unwrap().get()), ("a b", 9));
        assert!(task.is_held_out() && task.template == "everything");
        seen.insert((task.tags["goal"].clone(), times.to_owned(), n.to_owned()));
    }
    // 3 switches with states, 4 notes, 3 pairs of times, 3 numbers.
    assert_eq!(seen.len(), 108, "2,000 draws reach every instance");
    let notes: BTreeSet<&str> = seen
        .iter()
        .map(|(goal, ..)| goal.split("note:").nth(1).unwrap())
        .collect();
    assert!(notes.contains("sell the {car}!"), "{notes:?}");
}

#[test]
fn draws_follow_from_the_seed_alone() {
    assert_eq!(instances(WHOLE), instances(WHOLE));
    let short = "templates: [{id: t, category: own, difficulty: easy, max_turns: 5, instructions: ['{s} it', 'do {s}'], \
                 parameters: {s: {choice: [on, off]}}, goals: ['toggle:wifi={s}']}]";
    let drawn: Vec<(String, String)> = (0..4)
        .map(|seed| load(short).unwrap().own()[0].instance(seed, PhoneKind::Small))
        .map(|task| (task.instruction, task.tags["goal"].clone()))
        .collect();
    // What a run has trained on must stay what it is: these are literal.
    let expected = DRAWN.map(|(instruction, goal)| (instruction.to_owned(), goal.to_owned()));
    assert_eq!(drawn, expected);
}

const DRAWN: [(&str, &str); 4] = [
    ("do off", "toggle:wifi=off"),
    ("do on", "toggle:wifi=on"),
    ("do off", "toggle:wifi=off"),
    ("do off", "toggle:wifi=off"),
];

#[test]
fn own_and_built_in_templates_are_chosen_by_id() {
    let all = load(WHOLE).unwrap();
    let none: [&str; 0] = [];
    let ids = |templates: &[AnyTemplate]| -> Vec<String> { templates.iter().map(|t| t.id().to_owned()).collect() };
    assert_eq!(ids(&all.choose(&none).unwrap()), ["everything"]);
    assert_eq!(
        ids(&Catalogue::built_in().choose(&none).unwrap()).len(),
        TEMPLATES.len()
    );
    let mixed = all.tasks(1, Split::Train, &["wifi", "everything"]).unwrap();
    assert_eq!(ids(mixed.templates()), ["wifi"], "what is held out is not trained on");
    let mixed = all.tasks(1, Split::Eval, &["wifi", "everything"]).unwrap();
    assert_eq!((0..2).filter(|&cursor| mixed.task(cursor).is_held_out()).count(), 1);
    let error = all.tasks(1, Split::Train, &none).unwrap_err().to_string();
    assert!(error.contains("everything") && error.contains("held_out"), "{error}");
    let error = all.tasks(1, Split::Eval, &["nothing"]).unwrap_err().to_string();
    assert!(error.contains("\"nothing\"") && error.contains("everything"), "{error}");
    assert_eq!(all.words(&none), "1 templates of files, 1 held out from training");
    assert_eq!(
        all.words(&["wifi"]),
        format!("1 of {} templates: wifi", TEMPLATES.len() + 1)
    );
    assert_eq!(
        Catalogue::built_in().words(&none),
        format!("all {} templates", TEMPLATES.len())
    );
}

/// The built-in draws of before: a change here changes every run.
#[test]
fn built_in_draws_are_what_they_were() {
    let tasks = TemplateTasks::with_templates(42, Split::Train, &["wifi", "alarm", "write_note"]).unwrap();
    let first: Vec<(String, u64)> = (0..3)
        .map(|cursor| tasks.task(cursor))
        .map(|task| (task.instruction, task.seed))
        .collect();
    let expected = BUILT_IN.map(|(instruction, seed)| (instruction.to_owned(), seed));
    assert_eq!(first, expected);
    let payload = tasks.task(0).payload;
    assert_eq!(
        payload.as_object().unwrap().len(),
        2,
        "no key more than before: {payload}"
    );
}

const BUILT_IN: [(&str, u64); 3] = [
    ("Write a note: send a lamp", 3_763_719_879_953_722),
    ("Make sure that Wi-Fi is on.", 478_787_940_374_944),
    ("Switch the 06:00 alarm on.", 369_829_872_334_772),
];

/// A template whose lines of `key`s are replaced or added.
fn with(changes: &[(&str, &str)]) -> String {
    let mut lines: Vec<(&str, String)> = [
        ("id", "t"),
        ("category", "own"),
        ("difficulty", "easy"),
        ("max_turns", "5"),
        ("instructions", "['Turn it {s}.']"),
        ("parameters", "{s: {choice: [on, off]}}"),
        ("goals", "['toggle:wifi={s}']"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec();
    for (key, value) in changes {
        match lines.iter_mut().find(|line| line.0 == *key) {
            Some(line) => line.1 = (*value).to_owned(),
            None => lines.push((key, (*value).to_owned())),
        }
    }
    lines.retain(|(_, value)| !value.is_empty());
    let mut text = "templates:\n".to_owned();
    for (index, (key, value)) in lines.iter().enumerate() {
        text += &format!("{}{key}: {value}\n", if index == 0 { "  - " } else { "    " });
    }
    text
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    load(&with(&[])).unwrap_or_else(|error| panic!("{error}"));
    let found = [
        ("hidden", "[s]"),
        ("setup", "['echo {s}']"),
        ("instructions", "['Turn it.']"),
    ];
    load(&with(&found)).unwrap_or_else(|error| panic!("what is found on the phone need not be said: {error}"));
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: &[Case] = &[
        (&[("id", "")], ":2:5:", "has no `id`"),
        (&[("id", "My Task")], ":2:9:", "small letters"),
        (
            &[("id", "wifi")],
            ":2:5:",
            "the id `wifi` is taken by a built-in template",
        ),
        (&[("goal", "[home]")], ":9:5:", "did you mean `goals`?"),
        (&[("colour", "red")], ":9:5:", "a template has id, category"),
        (&[("difficulty", "harsh")], ":4:17:", "one of easy, medium, hard"),
        (&[("max_turns", "0")], ":5:16:", "1 to 1000, got `0`"),
        (&[("max_turns", "many")], ":5:16:", "a whole number"),
        (&[("split", "test")], ":9:12:", "train, held_out"),
        (&[("instructions", "Turn it {s}.")], ":6:19:", "a list"),
        (&[("instructions", "[]")], ":6:19:", "1 to 64 items"),
        (
            &[("instructions", "['Turn it {state}.']")],
            ":6:20:",
            "no parameter `state` (there are `s`)",
        ),
        (
            &[("instructions", "['Turn it {s}.', 'Turn it.']")],
            ":6:36:",
            "does not say {s}",
        ),
        (&[("instructions", "")], ":2:5:", "has no `instructions`"),
        (&[("goals", "")], ":2:5:", "needs `goals`, `checks`"),
        (
            &[("goals", "['toggle:wlan={s}']")],
            ":8:13:",
            "unknown switch; there are wifi, bluetooth",
        ),
        (
            &[("goals", "['toggle:wifi={s}', 'toggle:wifi=on']")],
            ":8:32:",
            "both about the switch wifi",
        ),
        (
            &[("goals", "[home, 'app:clock', 'toggle:wifi={s}']")],
            ":8:19:",
            "both about what is in front",
        ),
        (
            &[("parameters", "{s: {choice: [on, dim]}}")],
            ":8:13:",
            "neither on nor off",
        ),
        (
            &[("parameters", "{s: {choice: [on, on]}}")],
            ":7:30:",
            "`on` stands there twice",
        ),
        (
            &[("parameters", "{s: {pick: [on]}}")],
            ":7:22:",
            "one of `choice`, `integer`, `time`, `text`",
        ),
        (
            &[("parameters", "{s: {choice: [on, off]}, t: {choice: [a]}}")],
            ":2:5:",
            "`t` is used nowhere",
        ),
        (
            &[("parameters", "{s: {integer: {from: 3, to: 1}}}")],
            ":7:31:",
            "`from` is more than `to`",
        ),
        (
            &[("parameters", "{s: {time: {from: '6:00', to: '07:00'}}}")],
            ":7:35:",
            "\"07:30\"",
        ),
        (
            &[("parameters", "{s: {text: '{verb} it'}}")],
            ":7:28:",
            "no list of words `verb`",
        ),
        (&[("parameters", "{s: {text: 'it'}}")], ":7:28:", "names of lists"),
        (
            &[("constraints", "[{different: [s, u]}]")],
            ":9:35:",
            "no parameter `u`",
        ),
        (
            &[("constraints", "[{ascending: [s, s]}]")],
            ":9:20:",
            "compares integers",
        ),
        (
            &[("constraints", "[{not: {s: of}}]")],
            ":9:29:",
            "`of` is no choice of `s`",
        ),
        (&[("constraints", "[{equal: [s, s]}]")], ":9:20:", "one of `different"),
        (
            &[("constraints", "[{not: {s: on}}, {not: {s: off}}]")],
            ":9:18:",
            "the constraints leave 0 of 1000",
        ),
        (&[("checks", "[{command: date}]")], ":9:14:", "either `equals`"),
        (
            &[("checks", "[{command: date, expect: '(['}]")],
            ":9:38:",
            "no regular expression",
        ),
        (
            &[("checks", "[{command: date, says: x}]")],
            ":9:30:",
            "unknown key `says`",
        ),
        (&[("setup", "[\"a\\nb\"]")], ":9:13:", "one line"),
        (&[("hidden", "[u]")], ":9:14:", "`u`, which is no parameter"),
        (
            &[("hidden", "[s]")],
            ":2:5:",
            "no command of `setup` puts it on the phone",
        ),
        (&[("setup", "['']")], ":9:13:", "a text"),
        (&[("tags", "[One]")], ":9:12:", "a tag"),
        (&[("id", "t\n    id: u")], ":3:5:", "`id` stands there twice"),
    ];
    let mut others = Vec::new();
    for (changes, place, words) in cases {
        let text = with(changes);
        let error = load(&text).map_or_else(|error| error.to_string(), |_| "it was taken".to_owned());
        if !(error.contains(&format!("own.yaml{place}")) && error.contains(words)) {
            others.push(format!("expected {place} {words}, got {error}\n{text}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    for (text, words) in [
        ("", "expected a mapping"),
        ("tasks: []", "unknown key `tasks`"),
        ("templates: []", "1 to 1000 items"),
        ("templates: [1]", "expected a mapping"),
        ("words: {A: [b]}\ntemplates: []", ":1:9: a list of words"),
        ("templates: [", "no YAML"),
    ] {
        let error = load(text).map(drop).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn files_are_found_in_folders_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fails = |path: &std::path::Path| Catalogue::with_files(&[path]).map(drop).unwrap_err().to_string();
    assert!(fails(folder.path()).contains("no *.yaml file"));
    assert!(fails(&at("none.yaml")).contains("name a *.yaml file"));
    std::fs::write(at("b.yaml"), with(&[])).unwrap();
    std::fs::write(at("a.yml"), with(&[("id", "first")])).unwrap();
    std::fs::write(at("notes.txt"), "not: tasks").unwrap();
    let all = Catalogue::with_files(&[folder.path()]).unwrap();
    let ids: Vec<&str> = all.own().iter().map(AnyTemplate::id).collect();
    assert_eq!(ids, ["first", "t"]);
    assert!(all.own()[1].origin().ends_with("b.yaml:2"), "{}", all.own()[1].origin());
    let twice = Catalogue::with_files(&[at("b.yaml"), at("b.yaml")])
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        twice.contains("the id `t` is taken by") && twice.contains("b.yaml:2"),
        "{twice}"
    );
    std::fs::File::create(at("c.yaml")).unwrap().set_len(1 << 30).unwrap();
    assert!(fails(&at("c.yaml")).contains("at most 1048576 bytes"));
    std::fs::write(at("c.yaml"), b"\xFF").unwrap();
    assert!(fails(&at("c.yaml")).contains("expected text"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", at("zero.yaml")).unwrap();
        assert!(fails(&at("zero.yaml")).contains("pipe or a device"));
    }
    // What the kernel makes up says that it is empty, and may have no end.
    #[cfg(target_os = "linux")]
    for made_up in ["/proc/version", "/proc/kmsg"] {
        let link = at(&format!("{}.yaml", made_up.replace('/', "")));
        std::os::unix::fs::symlink(made_up, &link).unwrap();
        if std::fs::File::open(&link).is_ok() {
            std::fs::write(at("empty.yaml"), "").unwrap();
            let told = |path: &std::path::Path| fails(path).replace(&path.display().to_string(), "");
            assert_eq!(told(&link), told(&at("empty.yaml")), "{made_up}");
        }
    }
}

#[test]
fn lists_and_instances_are_shown() {
    let all = load(WHOLE).unwrap();
    let table = table(all.templates());
    let line = table.lines().last().unwrap();
    for word in ["everything", "own", "hard", "held_out", "own.yaml:5"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    assert!(table.lines().nth(1).unwrap().contains("built in"));
    let text = describe(&all.own()[0].instance(3, PhoneKind::Small)).unwrap();
    for word in [
        "everything/3",
        "instruction  Note",
        "goal ",
        "setup ",
        "precheck ",
        "checks ",
        "held_out",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(describe(&Task::new("x", "")).is_err());
}
