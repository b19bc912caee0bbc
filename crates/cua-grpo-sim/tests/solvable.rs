//! Every task template can be solved on the phone within its turns, by words and by coordinates.

use cua_grpo_core::{Task, TaskSource};
use cua_grpo_gbox::{
    action::Action,
    tasks::{Split, TEMPLATES, TemplateTasks},
};
use cua_grpo_sim::{Demonstrator, Phone, Skill, TargetStyle};
use regex::Regex;

/// Whether every check of the task holds.
fn verified(phone: &mut Phone, task: &Task) -> bool {
    task.checks.iter().all(|check| {
        let output = phone.shell(&check.command);
        assert_eq!(output.exit_code, 0, "{} left {}", check.command, output.stderr);
        Regex::new(&format!("^(?:{})$", check.expect)).unwrap().is_match(output.stdout.trim())
    })
}

struct Outcome {
    verified: bool,
    reported: bool,
    turns: usize,
    log: Vec<String>,
}

fn attempt(task: &Task, skill: Skill, seed: u64) -> Outcome {
    let mut phone = Phone::new(task.seed);
    for command in &task.setup {
        let output = phone.shell(command);
        assert_eq!(output.exit_code, 0, "setup {command} left {}", output.stderr);
    }
    assert!(!verified(&mut phone, task), "{} is done before the first turn", task.id);
    let mut expert = Demonstrator::new(task, skill, seed).unwrap();
    let mut log = Vec::new();
    let mut reported = false;
    for _ in 0..task.max_turns {
        let action = expert.next(&phone);
        log.push(action.to_string());
        if let Err(error) = phone.perform(&action) {
            panic!("{}: {error} after {log:?}", task.id);
        }
        if let Action::Report { success, .. } = action {
            reported = success;
            break;
        }
    }
    Outcome { verified: verified(&mut phone, task), reported, turns: log.len(), log }
}

#[test]
fn the_expert_solves_every_template() {
    let mut all_turns = 0;
    for template in TEMPLATES {
        let tasks = TemplateTasks::with_templates(7, Split::Train, &[template.id]).unwrap();
        let (mut solved, mut turns, mut most) = (0, 0, 0);
        for cursor in 0..200 {
            let task = tasks.task(cursor);
            let outcome = attempt(&task, Skill::default(), 1);
            solved += usize::from(outcome.verified && outcome.reported);
            turns += outcome.turns;
            most = most.max(outcome.turns);
            if !(outcome.verified && outcome.reported) {
                eprintln!("{} {:?}: {:?}", task.id, task.instruction, outcome.log);
            }
        }
        all_turns += turns;
        eprintln!(
            "{:22} solved {solved}/200, turns {:.2} on average, {most} at most of {}",
            template.id,
            turns as f64 / 200.0,
            template.max_turns
        );
        assert!(solved >= 198, "{}: {solved}/200", template.id);
    }
    eprintln!("{:.2} turns on average", all_turns as f64 / 200.0 / TEMPLATES.len() as f64);
}

#[test]
fn coordinates_lead_to_the_same_end() {
    let tasks = TemplateTasks::new(8, Split::Eval);
    let skill = Skill { target: TargetStyle::Coordinates, ..Skill::default() };
    for cursor in 0..200 {
        let task = tasks.task(cursor);
        let (by_words, by_points) = (attempt(&task, Skill::default(), 1), attempt(&task, skill, 1));
        assert!(by_points.verified && by_points.reported, "{} {:?}", task.id, by_points.log);
        assert_eq!(by_words.turns, by_points.turns, "{}", task.id);
    }
}

#[test]
fn haste_fails_and_slips_are_recovered() {
    let tasks = TemplateTasks::new(9, Split::Train);
    let share = |skill: Skill| {
        let won = (0..400).filter(|&cursor| attempt(&tasks.task(cursor), skill, cursor).verified).count();
        won as f64 / 400.0
    };
    let hasty = share(Skill { hurry: 0.3, ..Skill::default() });
    assert!((0.5..0.85).contains(&hasty), "share of successes in a hurry: {hasty}");
    let slippery = share(Skill { slip: 0.15, ..Skill::default() });
    assert!(slippery > 0.97, "share of successes with slips: {slippery}");
}
