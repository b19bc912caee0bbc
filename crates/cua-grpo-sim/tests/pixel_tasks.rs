//! The templates of the full phone (`configs/tasks/pixel`): all are read, and each is proved.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::{AnyTemplate, Catalogue};
use cua_grpo_sim::{PROOF_SEEDS, PhoneKind, Proof, Skill, demonstrate};
use std::path::Path;

fn templates() -> Vec<AnyTemplate> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks/pixel");
    let all = Catalogue::with_files(&[folder]).unwrap_or_else(|error| panic!("{error}"));
    all.own().to_vec()
}

#[test]
fn there_are_a_hundred_templates_with_experts_and_some_are_held_out() {
    let all = templates();
    let held_out = all.iter().filter(|template| template.is_held_out()).count();
    let counted = (all.len() - held_out, held_out);
    assert!(counted.0 >= 80 && counted.1 >= 20, "train and held out: {counted:?}");
    for template in &all {
        assert!(template.has_expert(PhoneKind::Pixel), "{} has no expert", template.id());
    }
}

#[test]
fn every_eighth_template_is_proved_at_one_instance() {
    for template in templates().iter().step_by(8) {
        let proof = Proof::of(template, 1, PhoneKind::Pixel);
        assert!(proof.holds() && proof.side_effects.is_empty(), "{proof}");
    }
}

#[test]
fn an_expert_that_errs_names_what_is_absent_or_reports_too_early() {
    let turns = 60;
    let (mut absent, mut early, mut slower) = (0, 0, 0);
    for template in templates().iter().step_by(6) {
        let task = template.instance(11, PhoneKind::Pixel);
        let play = |skill: Skill| demonstrate(&task, PhoneKind::Pixel, (skill, 5), turns).unwrap();
        let right = play(Skill::default());
        assert_eq!(
            right,
            play(Skill {
                slip: 0.5,
                ..Skill::default()
            }),
            "there are no wrong rows"
        );
        let blundering = play(Skill {
            blunder: 0.4,
            ..Skill::default()
        });
        assert!(blundering.reported, "{} goes on after its errors", template.id());
        slower += blundering.actions.len() - right.actions.len();
        let kept: Vec<_> = right
            .actions
            .iter()
            .filter(|action| !blundering.actions.contains(action))
            .collect();
        assert!(kept.is_empty(), "{}: {kept:?} are left out", template.id());
        absent += blundering
            .actions
            .iter()
            .filter(|action| !right.actions.contains(action))
            .count();
        let hasty = play(Skill {
            hurry: 0.3,
            ..Skill::default()
        });
        assert!(hasty.reported && hasty.actions.len() <= right.actions.len());
        early += usize::from(hasty.actions.len() < right.actions.len());
    }
    assert!(slower > 10 && absent > 5 && early > 5, "{slower} {absent} {early}");
}

/// The whole proof: `cargo test -p cua-grpo-sim --test pixel_tasks -- --ignored --nocapture`; `PIXEL_TASKS=across` proves
/// those whose names begin so.
#[test]
#[ignore = "minutes: every template at five instances"]
fn every_template_is_proved() {
    let (mut wrong, mut attempts, mut hits) = (Vec::new(), 0, 0);
    let begin = std::env::var("PIXEL_TASKS").unwrap_or_default();
    for template in templates() {
        if !template.id().starts_with(&begin) {
            continue;
        }
        let proof = Proof::of(&template, PROOF_SEEDS, PhoneKind::Pixel);
        println!("{} {proof}", template.difficulty());
        if template.difficulty() != "easy" {
            (attempts, hits) = (attempts + proof.random.0, hits + proof.random.1);
        }
        if !proof.holds() || !proof.side_effects.is_empty() {
            wrong.push(template.id().to_owned());
        }
    }
    println!("random taps fulfil {hits} of {attempts} attempts at medium and hard ones");
    assert!(
        wrong.is_empty(),
        "{} templates do not hold: {}",
        wrong.len(),
        wrong.join(", ")
    );
    assert!(
        20 * hits < attempts,
        "a random agent solves under 5 % of medium and hard ones"
    );
}

/// A template whose file has this tag held on a real phone, by `trainer tasks check --device`.
const TRIED: &str = "tried_on_device";

/// What `docs/TEMPLATES.md` says, a line for each template.
fn page() -> String {
    let mut page = String::from(
        "# Templates of the full phone\n\n\
         What the set-up and the checks of each template read, and where it was tried; [TASKS.md](TASKS.md) explains the \
         words.\n\
         `real` is what Android 13 to 15 has, `root` what a real phone lets root alone write, `simulator` what the simulated \
         phone alone has.\n\
         *Tried on* is the simulated phone, by `trainer tasks check`, unless the template has the tag \
         `tried_on_device`: then it held on a real one too, by `trainer tasks check --device`.\n\
         This page is written by `UPDATE_DOCS=1 cargo test -p cua-grpo-sim --test pixel_tasks page`.\n\n\
         | template | file | split | difficulty | reads | tried on |\n|---|---|---|---|---|---|\n",
    );
    for template in templates() {
        let AnyTemplate::File(file) = &template else {
            continue;
        };
        let tag = |name: &str| file.tags.iter().any(|tag| tag == name);
        let reads = ["real", "root", "simulator"].into_iter().find(|name| tag(name));
        let tried = match tag(TRIED) {
            true => "simulated and real phone",
            false => "simulated phone only",
        };
        let (id, stem) = (template.id(), file.path.file_stem().unwrap().to_string_lossy());
        let (split, difficulty) = (template.split(), template.difficulty());
        let reads = reads.unwrap_or_else(|| panic!("{id}: no tag says what it reads"));
        page += &format!("| `{id}` | `{stem}` | {split} | {difficulty} | {reads} | {tried} |\n");
    }
    page
}

#[test]
fn the_page_of_templates_says_what_was_tried() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/TEMPLATES.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/TEMPLATES.md: UPDATE_DOCS=1 cargo test -p cua-grpo-sim --test pixel_tasks page"
    );
}

/// Kinds of AndroidWorld: between apps, counting and repeating, questions, long ones; each with some that are held out.
#[test]
fn there_are_templates_of_every_kind_that_one_has_to_read_for() {
    let all = templates();
    let count = |wanted: &dyn Fn(&AnyTemplate) -> bool| {
        let found = all.iter().filter(|template| wanted(template));
        found.fold((0, 0), |(train, held), template| match template.is_held_out() {
            true => (train, held + 1),
            false => (train + 1, held),
        })
    };
    let tag = |template: &AnyTemplate, names: &[&str]| match template {
        AnyTemplate::File(file) => file.tags.iter().any(|tag| names.contains(&tag.as_str())),
        AnyTemplate::BuiltIn(_) => false,
    };
    for (kind, (train, held), (most_train, most_held)) in [
        ("between apps", count(&|one| one.category() == "compound"), (10, 5)),
        (
            "counted or repeated",
            count(&|one| tag(one, &["counting", "repeat"])),
            (5, 2),
        ),
        ("questions", count(&|one| one.category() == "question"), (15, 4)),
    ] {
        assert!(
            train >= most_train && held >= most_held,
            "{kind}: {train} and {held} held out"
        );
    }
}

/// What the experts change is what the checks ask for: `cargo test -p cua-grpo-sim --test pixel_tasks side -- --nocapture`.
#[test]
fn experts_have_no_side_effects() {
    let all = templates().into_iter().map(|template| (template, PhoneKind::Pixel));
    let built_in = Catalogue::built_in();
    let built_in = PhoneKind::ALL.map(|phone| {
        built_in
            .templates()
            .iter()
            .cloned()
            .map(move |template| (template, phone))
    });
    let mut wrong = Vec::new();
    for (template, phone) in all.chain(built_in.into_iter().flatten()) {
        let changed = cua_grpo_sim::side_effects(&template, phone);
        let changed = changed.unwrap_or_else(|| panic!("{phone} {} is not solved", template.id()));
        if !changed.is_empty() {
            println!("{phone} {}: {changed:#?}", template.id());
            wrong.push(template.id().to_owned());
        }
    }
    assert!(wrong.is_empty(), "{} templates: {}", wrong.len(), wrong.join(", "));
}
