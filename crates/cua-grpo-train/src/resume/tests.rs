//! Tests of where a run goes on: which checkpoint, with which configuration, and what is refused.

use super::*;
use crate::checkpoint::TrainingState;
use crate::files::seal;

fn state(step: usize) -> String {
    let state = TrainingState {
        global_step: step,
        ..Default::default()
    };
    serde_json::to_string(&state).unwrap()
}

fn run(steps: &[usize]) -> tempfile::TempDir {
    let run = tempfile::tempdir().unwrap();
    for step in steps {
        let folder = run.path().join(format!("checkpoints/checkpoint-{step}"));
        std::fs::create_dir_all(&folder).unwrap();
        for name in crate::layout::FILES {
            std::fs::write(folder.join(name), format!("{name} of {step}")).unwrap();
        }
        std::fs::write(folder.join(STATE), state(*step)).unwrap();
        seal(&folder).unwrap();
    }
    run
}

#[test]
fn newest_checkpoint_of_a_run_is_found_and_a_named_one_is_kept() {
    let run = run(&[2, 10, 9]);
    let text = ResumePoint::find(run.path()).unwrap_err().to_string();
    assert!(text.contains("config.yaml"), "{text}");
    std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
    assert_eq!(ResumePoint::find(run.path()).unwrap().step, 10);
    let named = ResumePoint::find(&run.path().join("checkpoints/checkpoint-2")).unwrap();
    assert_eq!(
        (named.step, named.run_dir.as_path(), named.named),
        (2, run.path(), true)
    );
}

/// A folder that cannot be listed for now, as on a share that is away: a link to itself is refused to everybody.
#[cfg(unix)]
#[test]
fn a_run_whose_checkpoints_cannot_be_seen_does_not_begin_anew() {
    for name in [CHECKPOINTS, "checkpoints/checkpoint-10"] {
        let run = run(&[2, 10]);
        std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
        std::fs::write(run.path().join(METRICS), "").unwrap();
        let (path, away) = (run.path().join(name), run.path().join("away"));
        std::fs::rename(&path, &away).unwrap();
        std::os::unix::fs::symlink(path.file_name().unwrap(), &path).unwrap();
        let text = ResumePoint::find(run.path()).unwrap_err().to_string();
        assert!(text.contains(&format!("cannot read `{}`", path.display())), "{text}");
        assert!(text.contains("would begin anew"), "{text}");
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(ResumePoint::find(run.path()).unwrap().step, 10);
    }
}

#[test]
fn a_folder_without_checkpoints_begins_anew_when_it_has_a_configuration() {
    let run = run(&[]);
    let message = ResumePoint::find(run.path()).unwrap_err().to_string();
    assert!(
        message.contains("checkpoint-N") && message.contains("has no checkpoint"),
        "{message}"
    );
    let message = ResumePoint::find(&run.path().join("none")).unwrap_err().to_string();
    assert!(message.contains("no such folder"), "{message}");
    std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
    let message = ResumePoint::find(run.path()).unwrap_err().to_string();
    assert!(message.contains("no run began in it"), "{message}");
    std::fs::write(run.path().join(METRICS), "").unwrap();
    let point = ResumePoint::find(run.path()).unwrap();
    assert_eq!((point.step, &point.checkpoint), (0, &None));
    assert_eq!(point.clone().verified().unwrap(), (point, Vec::new()));
}

#[test]
fn a_configuration_that_was_cut_gives_way_to_the_copy_of_the_checkpoint() {
    let run = run(&[2]);
    let (own, copy) = (
        run.path().join(CONFIG),
        run.path().join("checkpoints/checkpoint-2/config.yaml"),
    );
    std::fs::write(&copy, "seed: 1\nlora_r: 8\n").unwrap();
    for text in ["", "\n", "see", "# nothing\n", "{}", "seed: 1\n", "seed: 1\nlora_r: [8"] {
        std::fs::write(&own, text).unwrap();
        let (found, note) = ResumePoint::find(run.path()).unwrap().config_file();
        assert_eq!(found, copy, "{text:?}");
        assert!(note.unwrap().contains("is lost or damaged"));
    }
    std::fs::write(&own, "lora_r: 4\nseed: 2\n").unwrap();
    assert_eq!(ResumePoint::find(run.path()).unwrap().config_file(), (own, None));
}

#[test]
fn an_adapter_folder_is_no_run_although_it_has_a_configuration() {
    let run = run(&[2]);
    let best = run.path().join("best_model");
    std::fs::create_dir(&best).unwrap();
    for name in [CONFIG, "adapter_config.json", METRICS] {
        std::fs::write(best.join(name), "seed: 1").unwrap();
    }
    let message = ResumePoint::find(&best).unwrap_err().to_string();
    assert!(message.contains("give the run folder above it"), "{message}");
}

#[test]
fn a_damaged_newest_checkpoint_gives_way_to_the_one_before() {
    let damages: [&dyn Fn(&Path); 4] = [
        &|folder| std::fs::write(folder.join("optimizer.safetensors"), "cut").unwrap(),
        &|folder| std::fs::write(folder.join("training_state.json"), "").unwrap(),
        &|folder| std::fs::remove_file(folder.join("adapter_model.safetensors")).unwrap(),
        &|folder| std::fs::write(folder.join(crate::files::CHECKSUMS), "{").unwrap(),
    ];
    for damage in damages {
        let run = run(&[2, 4, 6]);
        std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
        damage(&run.path().join("checkpoints/checkpoint-6"));
        let (point, notes) = ResumePoint::find(run.path()).unwrap().verified().unwrap();
        assert_eq!(point.step, 4);
        assert!(
            notes.len() == 1 && notes[0].text().contains("checkpoint-6 is damaged"),
            "{notes:?}"
        );
        let named = ResumePoint::find(&run.path().join("checkpoints/checkpoint-6")).unwrap();
        let text = named.verified().unwrap_err().to_string();
        assert!(
            text.contains("checkpoint-6 is damaged") && text.contains("checkpoint-4"),
            "{text}"
        );
        damage(&run.path().join("checkpoints/checkpoint-4"));
        damage(&run.path().join("checkpoints/checkpoint-2"));
        let text = ResumePoint::find(run.path())
            .unwrap()
            .verified()
            .unwrap_err()
            .to_string();
        assert!(text.contains("start a new run"), "{text}");
    }
}

#[test]
fn a_checkpoint_that_cannot_be_checked_is_told() {
    let run = run(&[2, 4]);
    std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
    let (_, notes) = ResumePoint::find(run.path()).unwrap().verified().unwrap();
    assert_eq!(notes, []);
    let checkpoint = run.path().join("checkpoints/checkpoint-4");
    std::fs::create_dir(checkpoint.join("best_model")).unwrap();
    std::fs::remove_file(checkpoint.join(crate::files::CHECKSUMS)).unwrap();
    // Damage that nothing tells now.
    std::fs::write(checkpoint.join("adapter_model.safetensors"), "cut").unwrap();
    let (point, notes) = ResumePoint::find(run.path()).unwrap().verified().unwrap();
    assert_eq!((point.step, notes.len()), (4, 2), "{notes:?}");
    for (note, name) in notes
        .iter()
        .zip(["checkpoint-4 has no", "checkpoint-4/best_model has no"])
    {
        assert!(matches!(note, Note::Warning(text) if text.starts_with("not verified: ") && text.contains(name)));
    }
    // One that takes the place of a damaged one is looked at as well.
    std::fs::write(checkpoint.join(STATE), "{").unwrap();
    std::fs::remove_file(
        run.path()
            .join("checkpoints/checkpoint-2")
            .join(crate::files::CHECKSUMS),
    )
    .unwrap();
    let (point, notes) = ResumePoint::find(run.path()).unwrap().verified().unwrap();
    assert_eq!(point.step, 2);
    assert!(
        notes[0].text().contains("is damaged") && notes[1].text().contains("checkpoint-2 has no"),
        "{notes:?}"
    );
}

#[test]
fn a_checkpoint_under_another_name_or_in_another_place_is_refused() {
    let run = run(&[2, 4]);
    std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
    let checkpoints = run.path().join(CHECKPOINTS);
    let named = checkpoints.join("checkpoint-9");
    std::fs::rename(checkpoints.join("checkpoint-2"), &named).unwrap();
    let (point, notes) = ResumePoint::find(run.path()).unwrap().verified().unwrap();
    assert_eq!(point.step, 4);
    assert!(notes[0].text().contains("it is of step 2"), "{notes:?}");
    let text = ResumePoint::find(&named).unwrap().verified().unwrap_err().to_string();
    assert!(text.contains("was called checkpoint-2"), "{text}");
    // Out of its run it would write into whatever folder is two above.
    let away = run.path().join("away/checkpoint-2");
    std::fs::create_dir(run.path().join("away")).unwrap();
    std::fs::rename(&named, &away).unwrap();
    std::fs::write(away.join(CONFIG), "seed: 1").unwrap();
    let text = ResumePoint::find(&away).unwrap_err().to_string();
    assert!(text.contains("lies in no run folder"), "{text}");
}

#[test]
fn a_lost_configuration_is_taken_from_the_checkpoint_and_never_from_defaults() {
    let run = run(&[2]);
    std::fs::write(run.path().join(CONFIG), "\n").unwrap();
    let copy = run.path().join("checkpoints/checkpoint-2").join(CONFIG);
    let (file, note) = ResumePoint::find(run.path()).unwrap().config_file();
    assert_eq!((file, note), (run.path().join(CONFIG), None), "there is no copy");
    std::fs::write(&copy, "seed: 1").unwrap();
    let (file, note) = ResumePoint::find(run.path()).unwrap().config_file();
    assert_eq!(file, copy);
    assert!(note.unwrap().contains("is lost"));
}

#[test]
fn keys_that_change_the_meaning_are_refused_with_both_values_and_others_are_told() {
    let run = run(&[2]);
    std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
    let point = ResumePoint::find(run.path()).unwrap();
    let before = TrainConfig::default();
    let with = |change: &dyn Fn(&mut TrainConfig)| {
        let mut now = before.clone();
        change(&mut now);
        point.compare(&before, &now, false)
    };
    let text = with(&|now| {
        now.lora_alpha = 64.0;
        now.use_rslora = true;
        now.learning_rate = 1.0;
    });
    let text = text.unwrap_err().to_string();
    for words in [
        "`lora_alpha` is 32.0 in the run, now 64.0",
        "`use_rslora` is false in the run, now true",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("learning_rate"), "{text}");
    let lines = with(&|now| {
        now.learning_rate = 1e-4;
        now.eval_seed = 7;
        now.max_steps = 900;
        now.verbose = true;
    })
    .unwrap();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0]
            .text()
            .contains("`learning_rate` was 0.00001 and is now 0.0001"),
        "{lines:?}"
    );
    assert!(
        lines[1].text().contains("`eval_seed` was 1000 and is now 7"),
        "{lines:?}"
    );
    let lines = with(&|now| {
        now.max_steps = 900;
        now.lr_scheduler = crate::config::Decay::Cosine;
    })
    .unwrap();
    assert!(lines.iter().any(|line| line.text().contains("max_steps")), "{lines:?}");
    let mut moved = before.clone();
    moved.model_name = "elsewhere".into();
    assert!(point.compare(&before, &moved, false).is_err());
    let lines = point.compare(&before, &moved, true).unwrap();
    assert!(
        lines.len() == 1 && lines[0].text().contains("the weights are the same"),
        "{lines:?}"
    );
}
