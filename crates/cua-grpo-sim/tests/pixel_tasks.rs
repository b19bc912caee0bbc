//! The templates of the full phone (`configs/tasks/pixel`): all are read, and each is proved.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::{AnyTemplate, Catalogue};
use cua_grpo_sim::{PROOF_SEEDS, PhoneKind, Proof};
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

/// The whole proof: `cargo test -p cua-grpo-sim --test pixel_tasks -- --ignored --nocapture`.
#[test]
#[ignore = "minutes: every template at five instances"]
fn every_template_is_proved() {
    let (mut wrong, mut attempts, mut hits) = (Vec::new(), 0, 0);
    for template in templates() {
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
