//! Templates and instances as text for a terminal.

use super::any::AnyTemplate;
use super::{Check, TaskState};
use cua_grpo_core::{Fault, Task};
use std::fmt::Write;

/// One line for each template: id, category, difficulty, split, where from.
pub fn table(templates: &[AnyTemplate]) -> String {
    let row = |template: &AnyTemplate| {
        let words = [
            template.id(),
            template.category(),
            template.difficulty(),
            template.split(),
        ];
        (words.map(str::to_owned), template.origin())
    };
    let head = ["id", "category", "difficulty", "split"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once((head, "from".to_owned()))
        .chain(templates.iter().map(row))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|(words, _)| words[column].len())
            .max()
            .unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |([id, category, difficulty, split], origin): &([String; 4], String)| {
        let [a, b, c, d] = widths;
        format!("{id:<a$}  {category:<b$}  {difficulty:<c$}  {split:<d$}  {origin}\n")
    };
    rows.iter().map(line).collect()
}

/// An instance: instruction, goals, set-up, checks.
///
/// # Errors
/// When the payload is that of another kind of world.
pub fn describe(task: &Task) -> Result<String, Fault> {
    let state: TaskState = task.payload()?;
    let mut text = format!("task         {}\ninstruction  {}\n", task.id, task.instruction);
    for name in ["category", "difficulty", "tags", "apps", "goal", "split"] {
        if let Some(value) = task.tags.get(name) {
            let _ = writeln!(text, "{name:<12} {value}");
        }
    }
    if let Some(turns) = task.max_turns {
        let _ = writeln!(text, "max turns    {turns}");
    }
    let checks = |checks: &[Check]| -> Vec<String> {
        let one = |check: &Check| format!("{}\n               says {}", check.command, check.expect);
        checks.iter().map(one).collect()
    };
    for (name, lines) in [
        ("setup", state.setup.clone()),
        ("precheck", checks(&state.precheck)),
        ("checks", checks(&state.checks)),
        ("expert", state.expert.clone()),
    ] {
        for (index, line) in lines.iter().enumerate() {
            let _ = writeln!(text, "{:<12} {line}", if index == 0 { name } else { "" });
        }
    }
    if let Some(report) = &state.report {
        let said = report.expect.as_deref().unwrap_or("success");
        let _ = writeln!(text, "report       says {said}");
    }
    Ok(text)
}
