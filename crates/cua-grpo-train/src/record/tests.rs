//! What is written is read back equal; what was changed on the way is damage, whatever it is.

use super::lines::{LINES, ROWS};
use super::*;
use crate::files::{CHECKSUMS, seal};
use crate::provenance::Base;
use cua_grpo_core::testing::fuzz;
use cua_grpo_core::{
    ActionRecord, Completion, Ending, Episode, Facts, Fault, FaultKind, Group, Image, Prompt, Row, StopReason, Task,
    Turn,
};
use cua_grpo_rollout::RolloutStats;
use std::path::Path;
use std::sync::Arc;

fn episode(attempt: u64) -> Episode {
    let [first, second] = [1_u8, 2].map(|byte| Image::new(vec![byte; 40]));
    let mut row = Row::new(0.7);
    row.push_prompt(&Prompt::new(vec![1, 2, 3]).with_images(vec![first.clone()]));
    let reply = Completion::new(vec![9, 8], vec![-0.1, -1.0 / 3.0], 4, StopReason::Stop).unwrap();
    let reply = reply.with_kept_mass(vec![0.9, 1.0 / 7.0]).unwrap();
    let tokens = row
        .push_completion(&reply.with_versions(vec![4, u64::MAX]).unwrap())
        .unwrap();
    row.push_prompt(&Prompt::new(vec![5; 4]).with_images(vec![second.clone()]));
    let action = ActionRecord::new("click").with_points(vec![(3.0, 4.0)]);
    let turn = Turn::new("{}", action, tokens, StopReason::MaxTokens)
        .with_screenshot(Some(first))
        .with_state(Some(u64::MAX - attempt));
    Episode::new(attempt, Ending::MaxTurns, Facts::new(true).with_extra("x", 1.0), row)
        .with_turns(vec![turn])
        // Equal bytes at another place are the same picture.
        .with_last_screenshot(Some(Image::new(second.bytes.to_vec())))
        .with_reward(0.1)
        .with_seconds(2.0)
}

/// The same episode with a second row, behind a cut of its context, and a turn there.
fn cut(episode: Episode) -> Episode {
    let picture = Image::new(vec![2; 40]);
    let mut prompt = Prompt::new(vec![1, 7, 7]);
    prompt.push_sampled(&[9, 8]);
    prompt.push(&Prompt::new(vec![5; 2]).with_images(vec![picture]));
    let mut row = Row::new(0.7);
    row.push_prompt(&prompt);
    let reply = Completion::new(vec![3, 4, 6], vec![-0.5; 3], 4, StopReason::Stop).unwrap();
    let tokens = row.push_completion(&reply).unwrap();
    let turn = Turn::new("again", ActionRecord::new("wait"), tokens, StopReason::Stop).with_row(1);
    let turns = [episode.turns.clone(), vec![turn]].concat();
    episode.with_turns(turns).with_later_rows(vec![row])
}

fn record() -> StepRecord {
    let base = Base {
        name: "starter".into(),
        path: None,
        fingerprint: "f".into(),
        files: Default::default(),
    };
    let fault = Fault::new(FaultKind::other("judge"), "ask", "no answer");
    let task = Task::new("wifi/1", "Turn it on.").with_payload(serde_json::json!({"a": [1, 2]}));
    let groups = vec![
        Group::new(task)
            .with_episodes(vec![episode(0), cut(episode(1))])
            .with_faults(vec![fault]),
        Group::new(Task::new("clock/2", "")),
    ];
    let mut head = Head::new(3, 5, base);
    head.groups = groups.len();
    // Not equal to its own text, read by a parser that may be off by one unit in the last place.
    head.stats = RolloutStats {
        kept_mass_sum: 0.1 + 0.2 + 1e-17 * 3.0,
        episodes: 2,
        ..Default::default()
    };
    StepRecord {
        head,
        cursors: vec![7, u64::MAX],
        groups: Arc::new(groups),
    }
}

fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_record(folder.path(), &record()).unwrap();
    folder
}

#[test]
fn what_is_written_is_read_back_equal_and_a_picture_is_there_once() {
    let folder = written();
    assert_eq!(read_step(folder.path()).unwrap(), record());
    assert_eq!(read_head(folder.path()).unwrap().step, 3);
    let rows = std::fs::read(folder.path().join(ROWS)).unwrap();
    let count = |byte: u8| rows.windows(40).filter(|window| *window == [byte; 40]).count();
    assert_eq!((count(1), count(2)), (1, 1));
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, [CHECKSUMS, ROWS, LINES]);
}

/// Reads a record whose lines were changed by `change` and sealed again.
fn changed(change: impl Fn(&str) -> String) -> String {
    let folder = written();
    let path = folder.path().join(LINES);
    let text = std::fs::read_to_string(&path).unwrap();
    let other = change(&text);
    assert_ne!(text, other);
    std::fs::write(&path, other).unwrap();
    seal(folder.path()).unwrap();
    read_step(folder.path()).unwrap_err().to_string()
}

#[test]
fn a_record_of_the_first_format_is_read() {
    let mut old = record();
    old.head.format = 1;
    let groups = Arc::make_mut(&mut old.groups);
    groups[0].episodes[1] = episode(1);
    let folder = tempfile::tempdir().unwrap();
    write_record(folder.path(), &old).unwrap();
    let text = std::fs::read_to_string(folder.path().join(LINES)).unwrap();
    assert!(text.contains("\"format\":1,") && !text.contains("row\":") && !text.contains("later_rows"));
    assert_eq!(read_step(folder.path()).unwrap(), old);
}

#[test]
fn what_does_not_fit_together_is_damage() {
    for (from, to, word) in [
        ("\"format\":2", "\"format\":3", "format 3"),
        ("\"row\":1", "\"row\":2", "a turn in row 2 of 2"),
        ("\"row\":1,", "", "a turn of the tokens 7 to 10"),
        ("{\"tokens\":10", "{\"tokens\":11", "for its row"),
        ("\"groups\":2", "\"groups\":3", "do not fit together"),
        ("\"tokens\":9", "\"tokens\":8", "do not fit together"),
        ("\"tokens\":9", "\"tokens\":18446744073709551615", "for its row"),
        ("\"end\":5", "\"end\":10", "a turn of the tokens"),
        ("\"end\":5", "\"end\":1", "a turn of the tokens"),
        ("\"episodes\":0", "\"episodes\":1", "lacks an episode"),
        ("\"kind\":\"step\"", "\"kind\":\"group\"", "line 1"),
        ("\"pictures\":[\"", "\"pictures\":[\"0", "no such tensor"),
        ("{", "", "line 1"),
    ] {
        let text = changed(|text| text.replacen(from, to, 1));
        assert!(text.contains(word) && text.contains("the record"), "{from}: {text}");
    }
    for name in [LINES, ROWS, CHECKSUMS] {
        let folder = written();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let text = read_step(folder.path()).unwrap_err().to_string();
        assert!(text.contains(name), "{name}: {text}");
    }
    let folder = written();
    std::fs::write(folder.path().join(LINES), "{}").unwrap();
    assert!(
        read_step(folder.path())
            .unwrap_err()
            .to_string()
            .contains("not what was written")
    );
}

#[test]
fn changed_at_random_it_is_read_or_is_an_error() {
    let whole = written();
    let files = [LINES, ROWS].map(|name| std::fs::read(whole.path().join(name)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let read = |path: &Path| {
        seal(path).unwrap();
        let _ = read_step(path);
    };
    let words = [
        "18446744073709551615",
        "null",
        "-1",
        "\"data_offsets\":[0,",
        "[]",
        "\n",
        "1e999",
    ];
    fuzz::run(
        "record",
        |mutator| {
            let which = mutator.below(2);
            let mut bytes = mutator.bytes(&files[which], &words);
            bytes.push(which as u8);
            bytes
        },
        |bytes| {
            let (which, bytes) = bytes.split_last().unwrap();
            for (number, name) in [LINES, ROWS].into_iter().enumerate() {
                put(
                    name,
                    if number == usize::from(*which) {
                        bytes
                    } else {
                        &files[number]
                    },
                );
            }
            read(folder.path());
        },
    );
}
