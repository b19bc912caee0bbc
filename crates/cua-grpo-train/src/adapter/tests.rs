//! Tests of which configuration counts for an adapter.

use super::*;
use crate::config::to_yaml;
use crate::files::seal;

/// A run folder whose `final` was saved with the same configuration, and that configuration.
fn run() -> (tempfile::TempDir, TrainConfig) {
    let home = tempfile::tempdir().unwrap();
    let config = TrainConfig::default();
    let last = home.path().join("final");
    std::fs::create_dir(&last).unwrap();
    let lora = serde_json::json!({
        "peft_type": "LORA", "r": config.lora_r, "lora_alpha": config.lora_alpha, "target_modules": ["q_proj"],
    });
    std::fs::write(last.join("adapter_config.json"), lora.to_string()).unwrap();
    for folder in [home.path(), &last] {
        std::fs::write(folder.join(CONFIG), to_yaml(&config).unwrap()).unwrap();
    }
    std::fs::write(home.path().join(METRICS), "").unwrap();
    seal(&last).unwrap();
    (home, config)
}

#[test]
fn the_configuration_beside_an_adapter_counts_and_another_in_the_run_folder_is_told_or_refused() {
    let (home, config) = run();
    let (own, run) = (home.path().join("final").join(CONFIG), home.path().join(CONFIG));
    let edit = |change: &dyn Fn(&mut TrainConfig)| {
        let mut other = config.clone();
        change(&mut other);
        std::fs::write(&run, to_yaml(&other).unwrap()).unwrap();
        let adapter = Adapter::find(home.path()).unwrap();
        assert_eq!(adapter.config_file().unwrap(), own);
        let lines = adapter.other_values(&own, &config);
        (adapter.config(), lines, other_configuration(home.path()))
    };
    let (found, lines, shown) = edit(&|_| {});
    assert_eq!((found.unwrap().as_ref(), shown), (Some(&config), Vec::new()));
    assert!(lines.unwrap().is_empty());
    // What means nothing for a policy is not told.
    let (_, lines, shown) = edit(&|other| {
        other.output_dir = "elsewhere".into();
        other.save_steps += 1;
    });
    assert!(lines.unwrap().is_empty() && shown.is_empty());
    let (found, lines, shown) = edit(&|other| {
        other.max_turns = config.max_turns + 6;
        other.model_name = "same".into();
    });
    assert_eq!(found.unwrap(), Some(config.clone()), "the checked one is used");
    let lines = lines.unwrap();
    assert_eq!((lines.len(), shown.len()), (2, 2), "{lines:?} {shown:?}");
    let words = format!(
        "`max_turns` is {} in {}, but {} in {}",
        config.max_turns,
        own.display(),
        config.max_turns + 6,
        run.display()
    );
    let told = |lines: &[String]| lines.iter().any(|line| line.starts_with(&words));
    assert!(told(&lines) && told(&shown), "{lines:?} {shown:?}");
    let (found, _, _) = edit(&|other| other.use_rslora = !config.use_rslora);
    let text = found.unwrap_err().to_string();
    assert!(
        text.contains("`use_rslora` is false in") && text.contains("restore it"),
        "{text}"
    );
    // One that was cut or emptied says nothing any more.
    for text in ["", "# nothing\n", "{}", "seed: 1\n", "seed: 1\nlora_r: [8"] {
        std::fs::write(&run, text).unwrap();
        let adapter = Adapter::find(home.path()).unwrap();
        assert_eq!(adapter.config().unwrap(), Some(config.clone()));
        let lines = adapter.other_values(&own, &config).unwrap();
        assert!(lines[0].contains("is used in its place"), "{lines:?}");
    }
    // Where an older version saved none beside it, the run's holds.
    std::fs::write(&run, to_yaml(&config).unwrap()).unwrap();
    std::fs::remove_file(&own).unwrap();
    seal(&home.path().join("final")).unwrap();
    assert_eq!(Adapter::find(home.path()).unwrap().config_file().unwrap(), run);
}

#[test]
fn a_checkpoint_under_the_name_of_another_step_is_refused() {
    let (home, _) = run();
    let provenance = |step| Provenance {
        step,
        run: None,
        base: Base {
            name: "starter".into(),
            path: None,
            fingerprint: "f".into(),
            files: Default::default(),
        },
    };
    let last = home.path().join("final");
    provenance(2).write(&last).unwrap();
    seal(&last).unwrap();
    let folder = home.path().join(CHECKPOINTS).join("checkpoint-3");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::rename(&last, &folder).unwrap();
    for path in [home.path(), folder.as_path()] {
        let error = Adapter::find(path).unwrap_err();
        assert!(
            error.is_mendable()
                && error
                    .to_string()
                    .contains("is of step 2, so the folder was called checkpoint-2"),
            "{error}"
        );
    }
    // Under its own name, and outside of a run, it is what it is.
    let own = folder.with_file_name("checkpoint-2");
    std::fs::rename(&folder, &own).unwrap();
    assert_eq!(Adapter::find(home.path()).unwrap().folder, own);
    let away = tempfile::tempdir().unwrap();
    let away = away.path().join("checkpoint-9");
    std::fs::rename(&own, &away).unwrap();
    Adapter::find(&away).unwrap();
}

#[test]
fn an_adapter_that_is_replaced_after_the_look_is_noticed_and_one_before_is_looked_at_again() {
    let (home, _) = run();
    let last = home.path().join("final");
    let found = Adapter::find(home.path()).unwrap();
    found.unchanged().unwrap();
    // As a run does it: the new version is made beside, and takes the name.
    let newer = home.path().join("newer");
    let replace = |bytes: &str| {
        std::fs::create_dir(&newer).unwrap();
        for name in ["adapter_config.json", CONFIG] {
            std::fs::copy(last.join(name), newer.join(name)).unwrap();
        }
        std::fs::write(newer.join("adapter_model.safetensors"), bytes).unwrap();
        seal(&newer).unwrap();
        std::fs::remove_dir_all(&last).unwrap();
        std::fs::rename(&newer, &last).unwrap();
    };
    replace("one");
    let text = found.unchanged().unwrap_err().to_string();
    assert!(text.contains("was replaced or removed while it was read"), "{text}");
    let found = Adapter::find(home.path()).unwrap();
    replace("two");
    assert!(found.unchanged().is_err(), "the lengths are the same");
    let found = Adapter::find(home.path()).unwrap();
    found.unchanged().unwrap();
    std::fs::remove_dir_all(&last).unwrap();
    assert!(found.unchanged().is_err());
}
