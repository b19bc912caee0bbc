//! Tests of the report over a run folder with made-up data, labelled as such.

use super::*;
use cua_grpo_core::{ActionRecord, CheckOutcome, Ending, Episode, Facts, Image, Row, StopReason, Task, Turn};
use cua_grpo_train::episodes::{Saved, load_episodes, save_episode};
use cua_grpo_train::metrics::{Behaviour, TemplateCount};
use cua_grpo_train::metrics::{EvalEvent, Line, MetricsWriter, TrainEvent};
use std::collections::BTreeMap;
use std::path::Path;

const SIZE: (u32, u32) = (192, 384);

/// A PNG of stripes: enough of a picture for a browser, made without a picture library (stored, not compressed).
fn stripes(seed: u32) -> Vec<u8> {
    let mut raw = Vec::new();
    for y in 0..SIZE.1 {
        raw.push(0);
        for x in 0..SIZE.0 {
            let row = y / 32;
            let shade = 225 - 14 * ((row + seed) % 5) as u8;
            let icon = (x as i32 - 16).pow(2) + ((y % 32) as i32 - 16).pow(2) < 100;
            let colour = if icon {
                [(40 * row) as u8, 120, (seed * 60) as u8]
            } else {
                [shade, shade, shade + 8]
            };
            raw.extend(colour);
        }
    }
    let mut zlib = vec![0x78, 0x01];
    let chunks: Vec<_> = raw.chunks(0xFFFF).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        let length = chunk.len() as u16;
        zlib.push(u8::from(index + 1 == chunks.len()));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(*chunk);
    }
    let (a, b) = raw.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65521;
        (a, (b + a) % 65521)
    });
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [SIZE.0.to_be_bytes(), SIZE.1.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    for (name, data) in [(b"IHDR", header), (b"IDAT", zlib), (b"IEND", Vec::new())] {
        png.extend((data.len() as u32).to_be_bytes());
        let body = [&name[..], &data].concat();
        let crc = body.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 {
                    0xEDB8_8320 ^ (crc >> 1)
                } else {
                    crc >> 1
                }
            })
        });
        png.extend(body);
        png.extend((!crc).to_be_bytes());
    }
    png
}

fn task(number: usize) -> Task {
    let instruction = format!("Made-up test data {number}: turn on <Wi-Fi> & \"Bluetooth\".");
    Task::new(format!("made_up/{number}"), instruction)
        .with_seed(number as u64)
        .with_max_turns(10)
}

fn episode(number: usize, verified: bool) -> Episode {
    let turn = |index: u32, summary: &str, points: Vec<(f64, f64)>, error: Option<&str>| {
        let reply = format!(
            "<tool_call>\n{{\"name\": \"perform_action\", \"arguments\": {{\"turn\": {index}}}}}\n</tool_call>"
        );
        let mut action = ActionRecord::new(summary).with_points(points);
        action.error = error.map(str::to_owned);
        Turn::new(reply, action, 0..1, StopReason::Stop).with_screenshot(Some(Image::new(stripes(index))))
    };
    let turns = vec![
        turn(0, "click \"Settings\"", vec![(96.0, 176.0)], None),
        turn(1, "scroll down", vec![(96.0, 300.0), (96.0, 120.0)], None),
        turn(
            2,
            "click \"Wi-Fi\"",
            Vec::new(),
            (!verified).then_some("no element \"Wi-Fi\" on the screen"),
        ),
        turn(3, "report success", Vec::new(), None),
    ];
    let out_of_turns = number % 4 == 3;
    let check = |command, expected, found| CheckOutcome::new(command, expected, found);
    let ending = if out_of_turns {
        Ending::MaxTurns
    } else {
        Ending::Reported
    };
    let mut facts = Facts::new(verified).with_turns(4).with_checks(vec![
        check("settings get global wifi_on", "1", "1"),
        check("settings get global <b>_on", "1", if verified { "1" } else { "0" }),
    ]);
    facts.claimed = (number % 4 != 3).then_some(true);
    Episode::new(0, ending, facts, Row::new(1.0))
        .with_turns(turns)
        .with_last_screenshot(out_of_turns.then(|| Image::new(stripes(4))))
        .with_reward(f32::from(u8::from(verified)))
        .with_seconds(1.0)
}

fn make_run(run: &Path) {
    std::fs::create_dir_all(run).unwrap();
    std::fs::write(
        run.join("config.yaml"),
        "model_name: made-up-test-data\nlearning_rate: 0.001\n",
    )
    .unwrap();
    let mut metrics = MetricsWriter::create(run).unwrap();
    let eval = |step: usize, rate: f64| {
        let (all, first) = ((rate * 100.0).round() as usize, (rate * 40.0).round() as usize);
        Line::Eval(EvalEvent {
            step,
            episodes: 100,
            success_rate: rate,
            claimed_success_rate: (rate + 0.2).min(1.0),
            reward_mean: rate,
            turns_mean: 4.2,
            eval_s: 4.0,
            templates: BTreeMap::from([
                (
                    "made_up".to_owned(),
                    TemplateCount {
                        solved: first,
                        episodes: 40,
                    },
                ),
                (
                    "made_up_too".to_owned(),
                    TemplateCount {
                        solved: all - first,
                        episodes: 60,
                    },
                ),
            ]),
            ..Default::default()
        })
    };
    metrics.write(&eval(0, 0.28)).unwrap();
    for step in 1..=40_usize {
        let wave = (step as f64 * 1.7).sin();
        let reward = 0.3 + 0.011 * step as f64 + 0.08 * wave;
        let event = TrainEvent {
            step,
            loss: Some(-0.01 * wave),
            reward_mean: reward,
            success_rate: (reward * 32.0).round() / 32.0,
            kl: Some(0.0004 * step as f64 + 0.0005 * wave.abs()),
            ratio_mean: Some(1.0 + 1e-6 * wave),
            tokens_sampled: 4000,
            episodes: 32,
            groups_kept: 3,
            groups_filtered: 1,
            groups_lost: Some(usize::from(step == 7)),
            updates: Some(1),
            entropy: Some(0.9 - 0.01 * step as f64),
            clip_fraction: Some(0.0),
            grad_norm: Some(1.0 + 0.2 * wave),
            turns_mean: Some(5.0 - 0.02 * step as f64),
            behaviour: Some(Behaviour {
                ended_reported: 20 + step / 4,
                ended_max_turns: 12 - step / 4,
                ended_max_tokens: 0,
                ended_max_time: 0,
                replies: 150,
                replies_malformed: 20 - step / 2,
                replies_refused: 5,
                replies_truncated: 1,
            }),
            rollout_s: 3.0,
            train_s: 2.5,
            ..Default::default()
        };
        metrics.write(&Line::Train(event)).unwrap();
        if step % 10 == 0 {
            metrics.write(&eval(step, 0.28 + 0.01 * step as f64)).unwrap();
        }
    }
    for index in 0..6 {
        let save = |step, success| {
            let folder = Saved::Eval.folder(run, step);
            save_episode(&folder, index, (&task(index), &episode(index, success), None), None).unwrap();
        };
        save(0, index == 1 || index == 2);
        save(40, index % 3 != 2);
        save(999, true); // of a timeline that was left
    }
    for step in [1, 2, 40, 999] {
        let folder = Saved::Train.folder(run, step);
        save_episode(&folder, 0, (&task(step), &episode(step, false), Some(-1.25)), None).unwrap();
    }
    let command = ["trainer", "--seed", "3"].map(str::to_owned);
    Invocation::new(0, command, &[]).append(run).unwrap();
}

/// `REPORT_SAMPLE=FOLDER cargo test -p cua-grpo-report report` keeps the sample, to look at it.
#[test]
fn a_run_becomes_one_file_with_everything_in_it() {
    let temporary = tempfile::tempdir().unwrap();
    let run = std::env::var_os("REPORT_SAMPLE").map_or_else(|| temporary.path().join("made-up-run"), Into::into);
    make_run(&run);
    let path = write_report(&run, None).unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    assert!(html.contains("+40.0 points") && html.contains("28.0%") && html.contains("68.0%"));
    let count = |text: &str| html.matches(text).count();
    assert_eq!(count("<article class=\"episode\""), 6);
    assert_eq!(count("data-state=\"solved\""), 4);
    assert_eq!(count("data-new=\"true\""), 3, "episode 1 was solved before");
    assert_eq!(count("data-unlearnt=\"true\""), 1, "episode 2 is no longer solved");
    // Six instances before and after and three training episodes, of four turns; 3 ran out of turns each time but in
    // training, where it is not among the steps.
    assert_eq!(count("<section class=\"played "), 15);
    assert_eq!(count("data:image/png;base64,"), 15 * 4 + 2);
    assert_eq!(count("the screen at the end, after the last action"), 2);
    assert_eq!(
        count(">the screen at the end</span>"),
        13,
        "what a report left is the screen at the end"
    );
    assert_eq!((count("class=\"tap\""), count("class=\"swipe\"")), (15, 15));
    assert_eq!(count("claimed success</span>"), 2 + 3, "failed, but claimed success");
    assert_eq!(
        count(
            "<b>not met</b> <code>settings get global &lt;b&gt;_on</code>: expected <code>1</code>, found <code>0</code>"
        ),
        4 + 2 + 3,
        "each failed episode says why"
    );
    assert!(html.contains("before, step 0") && html.contains("after, step 40"));
    assert!(html.contains("advantage -1.25") && html.contains("3 of 3 steps are shown"));
    assert!(html.contains("<code>trainer --seed 3</code>") && html.contains(" UTC by cua-grpo "));
    assert!(
        html.contains("27 of 40") && html.contains("52 % to 80 %"),
        "success by template with its interval"
    );
    for title in [
        "Groups of a step",
        "How training episodes end",
        "Turns an episode",
        "Replies that did nothing",
        "Entropy of the policy",
    ] {
        let chart = html
            .split("<figure class=\"chart\">")
            .find(|chart| chart.contains(title));
        assert!(chart.is_some_and(|chart| chart.contains("<circle")), "{title} is drawn");
    }
    assert!(
        html.contains("turn on &lt;Wi-Fi&gt; &amp;") && !html.contains("turn on <Wi-Fi>"),
        "escaped"
    );
    assert!(
        !html.contains("evaluation is greedy") && html.contains("one of a single attempt is greedy"),
        "an evaluation of several attempts samples"
    );
    for external in ["http://", "https://", "src=\"/", "@import", "<link"] {
        assert!(!html.contains(external), "{external} would need a network");
    }
    assert!(
        !html.contains("NaN") && !html.contains("<!--"),
        "every mark is replaced"
    );
}

#[test]
fn a_run_of_one_evaluation_and_no_episodes_still_has_a_report() {
    let run = tempfile::tempdir().unwrap();
    MetricsWriter::create(run.path())
        .unwrap()
        .write(&Line::Eval(EvalEvent::default()))
        .unwrap();
    let html = std::fs::read_to_string(write_report(run.path(), None).unwrap()).unwrap();
    assert!(html.contains("one evaluation so far") && html.contains("No episodes were saved"));
}

#[test]
fn evaluations_on_two_task_sets_are_never_compared() {
    let run = tempfile::tempdir().unwrap();
    let report = |evals: &[(usize, f64, &str)]| {
        let mut metrics = MetricsWriter::create(run.path()).unwrap();
        for (step, rate, set) in evals {
            let mut event = EvalEvent {
                step: *step,
                episodes: 8,
                success_rate: *rate,
                ..Default::default()
            };
            event.task_set = Some((*set).into());
            metrics.write(&Line::Eval(event)).unwrap();
        }
        std::fs::read_to_string(write_report(run.path(), None).unwrap()).unwrap()
    };
    let html = report(&[(0, 0.125, "a"), (2, 0.25, "a"), (3, 0.5, "b")]);
    let gain = html.split("<div class=\"gain\">").nth(1).unwrap();
    let gain = gain.split("</section>").next().unwrap();
    assert!(
        gain.contains("nothing to compare with yet") && !gain.contains("points"),
        "{gain}"
    );
    assert!(gain.contains("step 3") && !gain.contains("step 0"), "{gain}");
    assert!(gain.contains("2 of 3 evaluations are on another task set"), "{gain}");
    assert!(
        !html.contains("newly solved"),
        "no episode stands beside one of another set"
    );
    // In the charts no line leads from one set to the other.
    let chart = html.split("aria-label=\"Success on unseen instances\"").nth(1).unwrap();
    let chart = chart.split("</figure>").next().unwrap();
    assert!(
        chart.contains("another task set after step 2: 25.0") && chart.contains("verified after step 3"),
        "{chart}"
    );
    let lines: Vec<&str> = chart.split("class=\"line eval\"").skip(1).collect();
    assert!(
        lines.len() == 1 && !lines[0].split('>').next().unwrap().contains('L'),
        "{chart}"
    );
    let html = report(&[(0, 0.125, "a"), (2, 0.25, "a"), (3, 0.5, "b"), (5, 0.5, "a")]);
    assert!(html.contains("+37.5 points") && html.contains("1 of 4 evaluations are on another task set"));
}

#[test]
fn a_run_that_was_stopped_before_its_first_figures_has_a_report() {
    let run = tempfile::tempdir().unwrap();
    std::fs::write(run.path().join("config.yaml"), "model_name: made-up\n").unwrap();
    MetricsWriter::create(run.path()).unwrap();
    let html = std::fs::read_to_string(write_report(run.path(), None).unwrap()).unwrap();
    assert!(html.contains("No evaluation yet") && html.contains("made-up") && !html.contains("<!--"));
}

#[test]
fn a_run_folder_of_an_older_version_has_a_report() {
    let run = tempfile::tempdir().unwrap();
    let eval = |step: usize, rate: f64| {
        format!(
            "{{\"kind\":\"eval\",\"step\":{step},\"episodes\":4,\"success_rate\":{rate},\"claimed_success_rate\":0.5,\
             \"reward_mean\":{rate}}}\n"
        )
    };
    std::fs::write(run.path().join("metrics.jsonl"), eval(0, 0.25) + &eval(2, 0.5)).unwrap();
    for step in [0, 2] {
        let folder = Saved::Eval.folder(run.path(), step).join("000");
        std::fs::create_dir_all(&folder).unwrap();
        let old = r#"{"task":"wifi/1","template":"wifi","instruction":"Turn it on.","success":false,"claimed":null,
            "reward":0.0,"ending":"max_turns","seconds":1.5,
            "turns":[{"screenshot":null,"reply":"r","summary":"click","points":[],"error":null}]}"#;
        std::fs::write(folder.join("episode.json"), old).unwrap();
    }
    let html = std::fs::read_to_string(write_report(run.path(), None).unwrap()).unwrap();
    assert!(
        html.contains("+25.0 points") && html.contains("0 of 1"),
        "counted from the saved episodes"
    );
    assert!(html.contains("No record of when") && html.contains("ran out of turns"));
}

#[test]
fn a_folder_that_is_no_run_says_what_was_expected() {
    let run = tempfile::tempdir().unwrap();
    let text = write_report(run.path(), None).unwrap_err().to_string();
    assert!(text.contains("run folder") && text.contains("--output-dir"), "{text}");
}

#[test]
fn sizes_come_from_png_and_jpeg_headers() {
    assert_eq!(super::html::image_size(&stripes(0)), Some(SIZE));
    let jpeg = [
        0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xC2, 0, 11, 8, 1, 44, 0, 200, 3, 0, 0, 0,
    ];
    assert_eq!(super::html::image_size(&jpeg), Some((200, 300)));
    assert_eq!(super::html::image_size(b"GIF89a"), None);
    assert_eq!(super::html::image_size(&jpeg[..9]), None);
}

#[test]
fn a_saved_episode_is_read_back() {
    let run = tempfile::tempdir().unwrap();
    let folder = Saved::Train.folder(run.path(), 3);
    save_episode(&folder, 7, (&task(1), &episode(3, false), Some(0.5)), None).unwrap();
    assert_eq!(Saved::Train.folders(run.path()), [(3, folder.clone())]);
    assert!(Saved::Eval.folders(run.path()).is_empty());
    let (own, record) = load_episodes(run.path(), &folder).unwrap().remove(0);
    assert!(own.ends_with("episodes/train-3/007") && !record.success && record.advantage == Some(0.5));
    assert_eq!(record.turns[1].points, [(96.0, 300.0), (96.0, 120.0)]);
    assert_eq!(record.turns[2].screenshot.as_deref(), Some("turn-2.png"));
    assert_eq!(
        record.last_screenshot.as_deref(),
        Some("last.png"),
        "it ran out of turns"
    );
    assert_eq!((record.checks.len(), &*record.checks[1].found), (2, "0"));
}

#[test]
fn attempts_at_one_instance_make_no_interval_narrower() {
    let column = |attempts| crate::overview::Column {
        step: 3,
        counts: BTreeMap::from([(
            "made_up".to_owned(),
            TemplateCount {
                solved: 20,
                episodes: 40,
            },
        )]),
        attempts,
    };
    let one = crate::overview::templates(&[column(None)]);
    let eight = crate::overview::templates(&[column(Some(8))]);
    assert!(one.contains("20 of 40") && one.contains("35 % to 65 %"), "{one}");
    // As of five instances.
    assert!(eight.contains("20 of 40") && eight.contains("17 % to 83 %"), "{eight}");
    // What is counted has its name.
    assert!(one.contains("Solved instances") && !one.contains("attempts"), "{one}");
    assert!(
        eight.contains("Solved attempts") && !eight.contains("Solved instances"),
        "{eight}"
    );
}
