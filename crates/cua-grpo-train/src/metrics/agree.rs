//! Whether the figures of a line agree with the counts of the same line: an edited digit is no measurement.

use super::conduct::Conduct;
use super::event::{EvalEvent, Line, TrainEvent};

/// How far a figure may be from what the counts give: figures are means over f32, in another order.
const ROUNDING: f64 = 1e-4;

/// Checks that `event` agrees with itself. What older versions left out is not asked for.
///
/// # Errors
/// Words that name the figure and the counts.
pub(super) fn agree(event: &Line) -> Result<(), String> {
    match event {
        Line::Train(event) => step(event),
        Line::Eval(event) => evaluation(event),
    }
}

fn step(event: &TrainEvent) -> Result<(), String> {
    if event.behaviour.is_some() {
        whole("success_rate", event.success_rate, event.episodes)?;
    }
    conduct(event.conduct.as_ref(), event.success_rate, event.episodes)
}

/// Checks that no more episodes did something than there are, and that what is solved is no false complete.
fn conduct(conduct: Option<&Conduct>, solved: f64, episodes: usize) -> Result<(), String> {
    let Some(conduct) = conduct else {
        return Ok(());
    };
    let solved = (solved * episodes as f64).round().max(0.0) as usize;
    for (key, count, most) in [
        (
            "false_completes",
            conduct.false_completes,
            episodes.saturating_sub(solved),
        ),
        ("unreported_successes", conduct.unreported_successes, episodes),
        ("side_effects_known", conduct.side_effects_known, episodes),
        (
            "side_effects",
            conduct.side_effects.unwrap_or(0),
            conduct.side_effects_known,
        ),
    ] {
        if count > most {
            return Err(contradiction(
                key,
                count as f64,
                &format!("the {most} that are possible"),
            ));
        }
    }
    Ok(())
}

fn evaluation(event: &EvalEvent) -> Result<(), String> {
    let episodes = event.episodes;
    if event.behaviour.is_some() {
        whole("claimed_success_rate", event.claimed_success_rate, episodes)?;
    }
    conduct(event.conduct.as_ref(), event.success_rate, episodes)?;
    if let Some(instances) = &event.instances {
        let all = 0..instances.solved.len();
        let [solved, claimed, ended] = instances.totals(all.clone());
        if ended != episodes {
            return Err(contradiction(
                "episodes",
                episodes as f64,
                &format!("{ended} of its instances"),
            ));
        }
        for (key, rate, count) in [
            ("success_rate", event.success_rate, solved),
            ("claimed_success_rate", event.claimed_success_rate, claimed),
        ] {
            let expected = count as f64 / ended.max(1) as f64;
            near(key, rate, expected, &format!("{count} of {ended} of its instances"))?;
        }
        let parts = instances.distances(all);
        let told = [event.unseen_instances, event.unseen_templates, event.unseen_apps];
        let names = ["unseen_instances", "unseen_templates", "unseen_apps"];
        for ((told, part), name) in told.into_iter().zip(parts).zip(names) {
            let Some(told) = told else { continue };
            let (solved, of) = (part.solved, part.episodes);
            if (told.solved, told.episodes) != (solved, of) {
                let counts = format!("{solved} of {of} of its instances");
                return Err(contradiction(name, told.solved as f64, &counts));
            }
            // A bound may be off by its rounding.
            let around = |rate: f64| {
                told.low.is_none_or(|low| low < rate + 1e-6) && told.high.is_none_or(|high| high > rate - 1e-6)
            };
            if told.rate().is_some_and(|rate| !around(rate)) {
                return Err(contradiction(
                    name,
                    told.low.unwrap_or_default(),
                    "an interval around its rate",
                ));
            }
        }
    }
    let distances = [event.unseen_instances, event.unseen_templates, event.unseen_apps];
    let distances: Vec<_> = distances.into_iter().flatten().collect();
    let templates = event.templates.values();
    for (what, solved, of) in [
        (
            "templates",
            templates.clone().map(|count| count.solved).sum::<usize>(),
            templates.map(|count| count.episodes).sum::<usize>(),
        ),
        (
            "distances",
            distances.iter().map(|distance| distance.solved).sum(),
            distances.iter().map(|distance| distance.episodes).sum(),
        ),
    ] {
        if of == 0 {
            continue;
        }
        if of != episodes {
            return Err(contradiction(
                "episodes",
                episodes as f64,
                &format!("{of} of its {what}"),
            ));
        }
        let rate = solved as f64 / of as f64;
        near(
            "success_rate",
            event.success_rate,
            rate,
            &format!("{solved} of {of} of its {what}"),
        )?;
    }
    let rewards = event.instances.as_ref().map(|instances| &instances.reward);
    if let Some(rewards) = rewards.and_then(|rewards| rewards.iter().copied().collect::<Option<Vec<f64>>>())
        && !rewards.is_empty()
    {
        let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
        near("reward_mean", event.reward_mean, mean, "the mean of its instances")?;
    }
    Ok(())
}

/// Checks that `rate` is a whole number of `episodes`.
fn whole(key: &str, rate: f64, episodes: usize) -> Result<(), String> {
    let count = rate * episodes as f64;
    if (count - count.round()).abs() > ROUNDING * (1.0 + count.abs()) {
        return Err(contradiction(key, rate, &format!("its {episodes} episodes")));
    }
    Ok(())
}

/// Checks that `figure` is `expected`; one that is no number was not measured.
fn near(key: &str, figure: f64, expected: f64, counts: &str) -> Result<(), String> {
    if (figure - expected).abs() > ROUNDING * (1.0 + expected.abs()) {
        return Err(contradiction(key, figure, counts));
    }
    Ok(())
}

fn contradiction(key: &str, figure: f64, counts: &str) -> String {
    format!("`{key}` {figure} contradicts {counts}: the line was edited")
}

#[cfg(test)]
mod tests {
    use super::super::conduct::Behaviour;
    use super::super::event::TemplateCount;
    use super::*;
    use crate::instances::{Distance, Instances};

    fn whole_evaluation() -> EvalEvent {
        let count = |solved, episodes| TemplateCount { solved, episodes };
        EvalEvent {
            episodes: 6,
            success_rate: 0.5,
            claimed_success_rate: 4.0 / 6.0,
            reward_mean: f64::from(0.35_f32),
            behaviour: Some(Behaviour::default()),
            templates: [("a".to_owned(), count(1, 2)), ("b".to_owned(), count(2, 4))].into(),
            unseen_instances: Some(Distance::new(2, 4)),
            unseen_apps: Some(Distance::new(1, 2)),
            instances: Some(Instances {
                solved: "110010".into(),
                claimed: "111010".into(),
                held_out: Some("000022".into()),
                reward: [0.0, 0.1, 0.2, 0.3, 0.5, 1.0].map(Some).into(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_figure_that_was_edited_contradicts_the_counts_of_its_line() {
        let check = |change: &dyn Fn(&mut EvalEvent)| {
            let mut event = whole_evaluation();
            change(&mut event);
            agree(&Line::Eval(event))
        };
        assert_eq!(check(&|_| {}), Ok(()));
        assert_eq!(check(&|event| event.instances = None), Ok(()), "an older version");
        assert_eq!(check(&|event| event.templates.clear()), Ok(()), "an older version");
        let lost = |event: &mut EvalEvent| event.instances.as_mut().unwrap().reward[0] = None;
        assert_eq!(check(&lost), Ok(()), "the reward of a lost instance is not known");
        let told = |false_completes, side_effects| {
            move |event: &mut EvalEvent| {
                event.conduct = Some(Conduct {
                    false_completes,
                    side_effects: Some(side_effects),
                    side_effects_known: 4,
                    ..Default::default()
                });
            }
        };
        assert_eq!(check(&told(3, 4)), Ok(()));
        assert!(check(&told(4, 4)).unwrap_err().contains("`false_completes` 4"));
        assert!(check(&told(3, 5)).unwrap_err().contains("`side_effects` 5"));
        let digit = |event: &mut EvalEvent| event.instances.as_mut().unwrap().solved = "111010".into();
        assert!(check(&digit).unwrap_err().contains("4 of 6 of its instances"));
        type Change = fn(&mut EvalEvent);
        let changes: [(&str, Change); 6] = [
            ("success_rate", |event| event.success_rate = 0.8),
            ("claimed_success_rate", |event| event.claimed_success_rate = 0.7),
            ("reward_mean", |event| event.reward_mean = 0.36),
            ("episodes", |event| event.episodes = 12),
            ("success_rate", |event| event.templates.get_mut("a").unwrap().solved = 2),
            ("unseen_apps", |event| event.unseen_apps = Some(Distance::new(2, 2))),
        ];
        for (key, change) in changes {
            let message = check(&change).unwrap_err();
            assert!(message.contains(&format!("`{key}`")), "{key}: {message}");
        }
    }

    #[test]
    fn a_step_solves_a_whole_number_of_episodes() {
        let event = |success_rate| {
            agree(&Line::Train(TrainEvent {
                episodes: 32,
                success_rate,
                behaviour: Some(Behaviour::default()),
                ..Default::default()
            }))
        };
        assert_eq!(event(0.125), Ok(()));
        assert_eq!(event(f64::NAN), Ok(()), "not measured");
        assert!(event(0.225).unwrap_err().contains("32 episodes"));
    }
}
