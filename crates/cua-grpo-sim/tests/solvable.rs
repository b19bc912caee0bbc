//! Every task template can be solved on the phone within its turns, by words and by coordinates.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::{
    TargetStyle,
    action::Action,
    tasks::{Split, TEMPLATES, TaskState, TemplateTasks},
};
use cua_grpo_core::{Task, TaskSource};
use cua_grpo_sim::{Demonstrator, Phone, Skill};
use regex::Regex;

/// Whether every check of the task holds.
fn verified(phone: &mut Phone, task: &Task) -> bool {
    let state: TaskState = task.payload().unwrap();
    state.checks.iter().all(|check| {
        let output = phone.shell(&check.command);
        assert_eq!(output.exit_code, 0, "{} left {}", check.command, output.stderr);
        Regex::new(&format!("^(?:{})$", check.expect))
            .unwrap()
            .is_match(output.stdout.trim())
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
    let state: TaskState = task.payload().unwrap();
    for command in &state.setup {
        let output = phone.shell(command);
        assert_eq!(output.exit_code, 0, "setup {command} left {}", output.stderr);
    }
    assert!(!verified(&mut phone, task), "{} is done before the first turn", task.id);
    let mut expert = Demonstrator::new(task, skill, seed).unwrap();
    let mut log = Vec::new();
    let mut reported = false;
    for _ in 0..task.max_turns.unwrap().get() {
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
    Outcome {
        verified: verified(&mut phone, task),
        reported,
        turns: log.len(),
        log,
    }
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
    eprintln!(
        "{:.2} turns on average",
        all_turns as f64 / 200.0 / TEMPLATES.len() as f64
    );
}

#[test]
fn coordinates_lead_to_the_same_end() {
    let tasks = TemplateTasks::new(8, Split::Eval);
    let skill = Skill {
        target: TargetStyle::Coordinate,
        ..Skill::default()
    };
    for cursor in 0..200 {
        let task = tasks.task(cursor);
        let (by_words, by_points) = (attempt(&task, Skill::default(), 1), attempt(&task, skill, 1));
        assert!(
            by_points.verified && by_points.reported,
            "{} {:?}",
            task.id,
            by_points.log
        );
        assert_eq!(by_words.turns, by_points.turns, "{}", task.id);
    }
}

/// Share of 400 tasks that are verified, and turns on average.
fn play(skill: Skill) -> (f64, f64) {
    let tasks = TemplateTasks::new(9, Split::Train);
    let outcomes: Vec<Outcome> = (0..400)
        .map(|cursor| attempt(&tasks.task(cursor), skill, cursor))
        .collect();
    let won = outcomes.iter().filter(|outcome| outcome.verified).count();
    let turns: usize = outcomes.iter().map(|outcome| outcome.turns).sum();
    (won as f64 / 400.0, turns as f64 / 400.0)
}

#[test]
fn haste_fails_and_slips_are_recovered() {
    let mut before = 1.0;
    for hurry in [0.1, 0.2, 0.3, 0.5, 1.0] {
        let (won, turns) = play(Skill {
            hurry,
            ..Skill::default()
        });
        eprintln!("hurry {hurry}: {won:.3} verified, {turns:.2} turns");
        assert!(won < before, "more haste, less success: {won} after {before}");
        before = won;
    }
    assert!(before > 0.0, "some tasks leave no room for haste");
    for slip in [0.05, 0.15, 0.3] {
        let (won, turns) = play(Skill {
            slip,
            ..Skill::default()
        });
        eprintln!("slip {slip}: {won:.3} verified, {turns:.2} turns");
        assert!(won > 0.9, "slips are recovered: {won}");
    }
}
