//! Configurations that a run saved.

use super::*;

#[test]
fn what_is_saved_is_read_back_equal() {
    let flags = [
        "templates=wifi_on, brightness_low",
        "clip_epsilon_high=0.28",
        "seed=18446744073709551615",
    ];
    let more = [
        "learning_rate=0.1",
        "device=cuda:1",
        "lora_alpha=7.3",
        "max_context_tokens=2000",
        "wandb_project=null",
    ];
    let config = with("", &[], &[&flags[..], &more[..]].concat()).unwrap();
    assert_eq!(config.templates, ["wifi_on", "brightness_low"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, to_yaml(&config).unwrap()).unwrap();
    assert_eq!(read_yaml::<TrainConfig>(&path).unwrap(), config);
    std::fs::write(&path, to_yaml(&SftConfig::default()).unwrap()).unwrap();
    assert_eq!(read_yaml::<SftConfig>(&path).unwrap(), SftConfig::default());
}

#[test]
fn a_run_keeps_what_held_before_a_key_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let old = |text: &str, saved| {
        std::fs::write(&path, text).unwrap();
        let sources = Sources {
            file: Some(path.clone()),
            saved,
            ..Sources::default()
        };
        let config: TrainConfig = load(&sources).unwrap();
        (config.instance_split, config.success_requires)
    };
    let (before, now) = (
        (InstanceSplit::Seeds, SuccessRequires::State),
        (InstanceSplit::Instructions, SuccessRequires::StateAndReport),
    );
    assert_eq!(old("seed: 1\n", true), before);
    assert_eq!(old("seed: 1\n", false), now);
    let said = "instance_split: instructions\nsuccess_requires: state_and_report\n";
    assert_eq!(old(said, true), now);
    std::fs::write(&path, "seed: 1\n").unwrap();
    assert_eq!(read_yaml::<TrainConfig>(&path).unwrap().instance_split, before.0);
}

#[test]
fn what_can_do_nothing_is_let_be_where_a_run_saved_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let read = |text: &str, saved, flags: &[&str]| {
        std::fs::write(&path, text).unwrap();
        load::<TrainConfig>(&Sources {
            file: Some(path.clone()),
            saved,
            flags: flags.iter().map(|text| Flag::assignment(text).unwrap()).collect(),
            ..Sources::default()
        })
    };
    let old = "loss_type: sapo\nclip_epsilon: 0.3\n";
    assert_eq!(read(old, true, &[]).unwrap().clip_epsilon, 0.3);
    for result in [
        read(old, false, &[]),
        read("loss_type: sapo\n", true, &["clip_epsilon=0.3"]),
    ] {
        let text = message(result);
        assert!(text.contains("`clip_epsilon`") && text.contains("sapo"), "{text}");
    }
    // What the run saved does not hide what is set in vain beside it.
    let beside = read(old, true, &["min_group_std=0", "max_refills=2"]);
    assert!(message(beside).contains("`max_refills`"));
    // What a run saves has every key, those too that say what is so anyway.
    let config = with("", &[], &["importance_sampling_mode=token_truncate", "loss_type=vespo"]).unwrap();
    let text = to_yaml(&config).unwrap();
    assert!(text.contains("recompute_logprob: false"), "{text}");
    assert_eq!(read(&text, false, &[]).unwrap(), config);
}
