//! What must hold of a template whatever is drawn: each value is tried before the first instance is made.

use super::parameter::{Domain, Word};
use super::pattern::Pattern;
use super::template::FileTemplate;
use super::yaml::{Wrong, shortened};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Draws that tell how many fit the constraints, and how many have to.
const DRAWS: usize = 1_000;
const ENOUGH: usize = 20;
/// Instances that are tried besides one for each value of each parameter.
const TRIED: usize = 200;
/// Values of a parameter that are tried one by one.
const MOST_TRIED: u64 = 1_000;
/// Instances whose expressions are compiled.
const COMPILED: usize = 3;
/// Characters of an instruction.
const LONGEST: usize = 1_000;

/// Checks a template as it was read, and finds values for it that fit.
pub(super) fn verify(template: &mut FileTemplate) -> Result<(), Wrong> {
    named(template)?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let drawn: Vec<Vec<u64>> = (0..DRAWS).map(|_| template.numbers(&mut rng)).collect();
    let fitting: Vec<Vec<u64>> = drawn.into_iter().filter(|numbers| template.fits(numbers)).collect();
    if fitting.len() < ENOUGH {
        let what = format!(
            "the constraints leave {} of {DRAWS} drawn instances, fewer than {ENOUGH}; narrow the parameters instead",
            fitting.len()
        );
        return Err(Wrong::new(template.constraints_at, what));
    }
    template.fitting.clone_from(&fitting[0]);
    let single = each_value(template, &fitting);
    for (index, numbers) in fitting.iter().take(TRIED).chain(&single).enumerate() {
        instance(template, &template.words(numbers), index < COMPILED)?;
    }
    Ok(())
}

/// For each value of each parameter, an instance with it, where one fits.
fn each_value(template: &FileTemplate, fitting: &[Vec<u64>]) -> Vec<Vec<u64>> {
    let mut found = Vec::new();
    for (index, parameter) in template.parameters.iter().enumerate() {
        for number in 0..parameter.domain.size().min(MOST_TRIED) {
            let others = fitting.iter().take(10).map(|numbers| {
                let mut numbers = numbers.clone();
                numbers[index] = number;
                numbers
            });
            found.extend(others.into_iter().find(|numbers| template.fits(numbers)));
        }
    }
    found
}

/// Every parameter is used, and what the policy is judged by is said in every wording.
fn named(template: &FileTemplate) -> Result<(), Wrong> {
    let of = |patterns: &[Pattern]| patterns.iter().flat_map(Pattern::parameters).collect::<BTreeSet<_>>();
    let in_checks = |checks: &[super::template::CheckPattern]| {
        let each = checks
            .iter()
            .flat_map(|check| check.command.parameters().chain(check.expect.parameters()));
        each.collect::<BTreeSet<_>>()
    };
    let mut judged = of(&template.goals);
    judged.extend(in_checks(&template.checks));
    let mut used = judged.clone();
    used.extend(of(&template.setup));
    used.extend(in_checks(&template.precheck));
    used.extend(of(&template.instructions));
    let steps = template.expert.iter().flat_map(|step| &step.words);
    used.extend(steps.flat_map(|(pattern, _)| pattern.parameters()));
    // An answer is what the policy has to find, so no wording says it.
    let answer = template.report.as_ref().and_then(|report| report.pattern());
    used.extend(answer.into_iter().flat_map(Pattern::parameters));
    let sums = template.parameters.iter().enumerate();
    let sums = sums.filter_map(|(index, parameter)| match &parameter.domain {
        Domain::Sum(parts) => Some((index, parts)),
        _ => None,
    });
    // Who knows the parts knows the sum, and a sum that is used uses its parts.
    let sums: BTreeMap<usize, &Vec<usize>> = sums.collect();
    let parts = |index: &usize| sums.get(index).map_or_else(|| vec![*index], |parts| parts.to_vec());
    used.extend(used.clone().iter().flat_map(parts));
    for (index, parameter) in template.parameters.iter().enumerate() {
        if !used.contains(&index) {
            let what = format!("parameter `{}` is used nowhere; remove it", parameter.name);
            return Err(Wrong::new(template.at, what));
        }
    }
    let put = of(&template.setup);
    let found = |index: &usize| put.contains(index) || parts(index).iter().all(|part| put.contains(part));
    if let Some(index) = template.hidden.iter().find(|index| !found(index)) {
        let name = &template.parameters[*index].name;
        let what = format!("`{name}` is hidden, and no command of `setup` puts it on the phone; nobody could find it");
        return Err(Wrong::new(template.at, what));
    }
    judged.retain(|index| !template.hidden.contains(index));
    for wording in &template.instructions {
        let said: BTreeSet<usize> = wording.parameters().collect();
        let unsaid = judged.difference(&said).flat_map(parts);
        let mut unsaid = unsaid.filter(|index| !said.contains(index) && !template.hidden.contains(index));
        if let Some(index) = unsaid.find(|index| template.parameters[*index].domain.size() > 1) {
            let name = &template.parameters[index].name;
            let what = format!("this wording does not say {{{name}}}, which the goals or checks depend on; add it");
            return Err(Wrong::new(wording.at, what));
        }
    }
    Ok(())
}

/// Checks the texts of one instance.
fn instance(template: &FileTemplate, words: &[Word], compile: bool) -> Result<(), Wrong> {
    for wording in &template.instructions {
        let text = wording.spoken(words);
        if text.chars().count() > LONGEST {
            let what = format!(
                "an instruction of more than {LONGEST} characters: `{}`",
                shortened(&text)
            );
            return Err(Wrong::new(wording.at, what));
        }
    }
    let goals = template
        .goals(words)
        .map_err(|(at, error)| Wrong::new(at, error.to_string()))?;
    for step in &template.expert {
        step.step(words)
            .map_err(|error| Wrong::new(step.at, error.to_string()))?;
    }
    let mut subjects = BTreeSet::new();
    for (goal, pattern) in goals.iter().zip(&template.goals) {
        if !subjects.insert(goal.subject()) {
            let what = format!(
                "the goal `{goal}` and another one are both about {}; keep one, or a constraint that keeps them apart",
                goal.subject()
            );
            return Err(Wrong::new(pattern.at, what));
        }
    }
    if compile {
        expressions(template, words)?;
    }
    Ok(())
}

/// Checks that expectations can be compiled.
fn expressions(template: &FileTemplate, words: &[Word]) -> Result<(), Wrong> {
    let checks = template.precheck.iter().chain(&template.checks);
    let checks = checks.map(|pattern| (pattern.check(words).expect, pattern.expect.at));
    let report = template.report.as_ref().and_then(|report| {
        let expect = report.check(words).expect?;
        Some((expect, report.pattern()?.at))
    });
    for (expect, at) in checks.chain(report) {
        crate::matches(&expect, "").map_err(|error| {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim();
            let what = format!(
                "`{}` is no regular expression ({why}); `equals` takes texts as they are",
                shortened(&expect)
            );
            Wrong::new(at, what)
        })?;
    }
    Ok(())
}
