//! The charts of a run: what is drawn, in which order, and what a reader should make of it.

use crate::chart::{Chart, Scale, Series, smooth};
use crate::text::DISTANCES;
use cua_grpo_train::compare::task_set;
use cua_grpo_train::metrics::{Behaviour, Conduct, EvalEvent, TrainEvent};

type Points = Vec<(f64, f64)>;

/// All charts as HTML.
pub(super) fn charts(trains: &[&TrainEvent], evals: &[&EvalEvent]) -> String {
    let figures = Figures { trains, evals };
    let charts = figures
        .learning()
        .into_iter()
        .chain(figures.honesty())
        .chain(figures.episodes())
        .chain(figures.updates());
    charts.map(|chart| chart.render()).collect()
}

struct Figures<'a> {
    trains: &'a [&'a TrainEvent],
    evals: &'a [&'a EvalEvent],
}

impl Figures<'_> {
    /// One point a step; what was not measured is no point.
    fn train(&self, value: impl Fn(&TrainEvent) -> Option<f64>) -> Points {
        let points = self.trains.iter();
        points
            .filter_map(|train| Some((train.step as f64, value(train)?)))
            .collect()
    }

    /// One point for each evaluation.
    fn eval(&self, value: impl Fn(&EvalEvent) -> f64) -> Points {
        let points = self.evals.iter();
        points.map(|eval| (eval.step as f64, value(eval))).collect()
    }

    /// A line for each task set, since evaluations of two sets are not comparable: that of the last evaluation under
    /// `name`, on top of the others in grey.
    fn by_task_set<'a>(
        &self,
        name: &'a str,
        class: &'a str,
        value: impl Fn(&EvalEvent) -> f64 + Copy,
    ) -> Vec<Series<'a>> {
        let mut sets: Vec<(Option<&str>, Points)> = Vec::new();
        for eval in self.evals.iter().rev() {
            let point = (eval.step as f64, value(eval));
            match sets.iter_mut().find(|(set, _)| *set == task_set(eval)) {
                Some((_, points)) => points.insert(0, point),
                None => sets.push((task_set(eval), vec![point])),
            }
        }
        let series = sets.into_iter().enumerate().map(|(index, (_, points))| match index {
            0 => dotted(name, class, points),
            1 => dotted("another task set", "grey", points),
            // One key in the legend stands for all of them.
            _ => dotted("", "grey", points),
        });
        let mut series: Vec<_> = series.collect();
        series.reverse();
        series
    }

    /// One point for each evaluation on the task set of the last one; what was not measured is no point.
    fn last_set(&self, value: impl Fn(&EvalEvent) -> Option<f64>) -> Points {
        let Some(last) = self.evals.last() else {
            return Vec::new();
        };
        let evals = self.evals.iter().filter(|eval| task_set(eval) == task_set(last));
        evals
            .filter_map(|eval| Some((eval.step as f64, value(eval)?)))
            .collect()
    }

    /// Success by distance, where anything is held out; and what episodes did beside their tasks.
    fn honesty(&self) -> Vec<Chart<'static>> {
        let [near, templates, apps] = DISTANCES;
        let far = |eval: &EvalEvent| {
            let held_out = [eval.unseen_templates, eval.unseen_apps];
            held_out.iter().flatten().any(|distance| distance.episodes > 0)
        };
        let mut charts = Vec::new();
        if self.evals.iter().any(|eval| far(eval)) {
            charts.push(Chart {
                title: "Success by distance",
                note: "Other instances of what is trained on, other templates, other apps: what is learnt carries less far \
                       the farther it is. Intervals stand beside the bars above.",
                scale: Scale::Percent,
                reference: None,
                series: vec![
                    dotted(apps, "bad", self.last_set(|eval| eval.unseen_apps?.rate())),
                    dotted(templates, "claimed", self.last_set(|eval| eval.unseen_templates?.rate())),
                    dotted(near, "eval", self.last_set(|eval| eval.unseen_instances?.rate())),
                ],
            });
        }
        let share = |part: fn(&Conduct) -> Option<usize>, whole: fn(&EvalEvent, &Conduct) -> usize| {
            self.last_set(|eval| {
                let conduct = eval.conduct.as_ref()?;
                let all = whole(eval, conduct);
                (all > 0).then_some(part(conduct)? as f64 / all as f64)
            })
        };
        charts.push(Chart {
            title: "Beside the tasks",
            note: "Shares of the episodes of an evaluation: success claimed that is none, success that is not claimed, and \
                   changes that nobody asked for.",
            scale: Scale::Share,
            reference: None,
            series: vec![
                dotted(
                    "side effects",
                    "grey",
                    share(|conduct| conduct.side_effects, |_, conduct| conduct.side_effects_known),
                ),
                dotted(
                    "unreported successes",
                    "claimed",
                    share(|conduct| Some(conduct.unreported_successes), |eval, _| eval.episodes),
                ),
                dotted(
                    "false completes",
                    "bad",
                    share(|conduct| Some(conduct.false_completes), |eval, _| eval.episodes),
                ),
            ],
        });
        charts
    }

    /// A share of what `whole` counts.
    fn share(&self, part: fn(&Behaviour) -> usize, whole: fn(&Behaviour) -> usize) -> Points {
        self.train(|train| {
            let counts = train.behaviour.as_ref()?;
            (whole(counts) > 0).then(|| part(counts) as f64 / whole(counts) as f64)
        })
    }

    fn learning(&self) -> Vec<Chart<'static>> {
        let reward = self.train(|train| Some(train.reward_mean));
        vec![
            Chart {
                title: "Reward in training",
                note: "Mean over the episodes of a step; the bold line is a moving average.",
                scale: Scale::Number,
                reference: None,
                series: vec![
                    line("each step", "train", reward.clone()),
                    line("average", "smooth", smooth(&reward, 0.8)),
                ],
            },
            Chart {
                title: "Success on unseen instances",
                note: "Verified on the device's state. Claims above the verified curve are a warning of reward hacking.",
                scale: Scale::Percent,
                reference: None,
                series: {
                    let mut series = self.by_task_set("verified", "eval", |eval| eval.success_rate);
                    let mut claimed = self.by_task_set("claimed", "claimed", |eval| eval.claimed_success_rate);
                    // Claims of another task set would be one grey line more.
                    series.splice(0..0, claimed.pop());
                    series
                },
            },
        ]
    }

    fn episodes(&self) -> Vec<Chart<'static>> {
        let count =
            |value: fn(&TrainEvent) -> Option<usize>| self.train(|train| value(train).map(|count| count as f64));
        let ended = |part| {
            self.share(part, |counts| {
                counts.ended_reported + counts.ended_max_turns + counts.ended_max_tokens + counts.ended_max_time
            })
        };
        let replies = |part| self.share(part, |counts| counts.replies);
        vec![
            Chart {
                title: "Groups of a step",
                note: "Only kept groups are trained on. Flat ones have rewards that hardly differ; lost ones have fewer than two episodes left.",
                scale: Scale::Count,
                reference: None,
                series: vec![
                    line("lost", "bad", count(|train| train.groups_lost)),
                    line("flat", "grey", count(|train| Some(train.groups_filtered))),
                    line("kept", "smooth", count(|train| Some(train.groups_kept))),
                ],
            },
            Chart {
                title: "How training episodes end",
                note: "Shares of the episodes of a step. Many that run out of turns or context: raise the limit, or the policy is lost.",
                scale: Scale::Percent,
                reference: None,
                series: vec![
                    line(
                        "out of context or time",
                        "bad",
                        ended(|counts| counts.ended_max_tokens + counts.ended_max_time),
                    ),
                    line("out of turns", "claimed", ended(|counts| counts.ended_max_turns)),
                    line("reported", "smooth", ended(|counts| counts.ended_reported)),
                ],
            },
            Chart {
                title: "Turns an episode",
                note: "Mean over episodes. Training samples, and so does an evaluation of several attempts at each instance; one of a single attempt is greedy.",
                scale: Scale::Number,
                reference: None,
                series: {
                    let mut series = vec![line("training", "train", self.train(|train| train.turns_mean))];
                    series.extend(self.by_task_set("evaluation", "eval", |eval| eval.turns_mean));
                    series
                },
            },
            Chart {
                title: "Replies that did nothing",
                note: "Shares of the replies in training: outside of the grammar, not possible on the screen, or cut off by a limit.",
                scale: Scale::Share,
                reference: None,
                series: vec![
                    line("cut off", "grey", replies(|counts| counts.replies_truncated)),
                    line("malformed", "bad", replies(|counts| counts.replies_malformed)),
                    line("not possible", "claimed", replies(|counts| counts.replies_refused)),
                ],
            },
            Chart {
                title: "Attempts lost to faults",
                note: "Faults of devices, validators and samplers. They are tried again and are never bad actions.",
                scale: Scale::Count,
                reference: None,
                series: vec![
                    dotted("evaluation", "eval", self.eval(|eval| eval.faults as f64)),
                    line("training", "bad", count(|train| Some(train.faults))),
                ],
            },
        ]
    }

    fn updates(&self) -> Vec<Chart<'static>> {
        let single = |title, note, scale, values: fn(&TrainEvent) -> Option<f64>| Chart {
            title,
            note,
            scale,
            reference: None,
            series: vec![line("mean", "smooth", self.train(values))],
        };
        let several = self.trains.iter().any(|train| train.updates > Some(1));
        let mut ratio = vec![line("mean", "smooth", self.train(|train| train.ratio_mean))];
        if several {
            let last = self.train(|train| train.ratio_mean_last);
            ratio.insert(0, line("last update", "claimed", last));
        }
        vec![
            single(
                "Entropy of the policy",
                "Nats a token, at the tokens that are trained on. Near 0 the episodes of a group are all alike.",
                Scale::Number,
                |train| train.entropy,
            ),
            single(
                "KL from the reference",
                "Nats a token (k3), against the same weights with the adapter off; not measured where beta is 0.",
                Scale::Number,
                |train| train.kl,
            ),
            Chart {
                title: "Ratio of trainer to sampler",
                note: "1 in the first update at staleness 0: what is trained is exactly what was sampled.",
                scale: Scale::Number,
                reference: Some(1.0),
                series: ratio,
            },
            single(
                "Mismatch of sampler and trainer",
                "Mean of exp(d) - d - 1 over the tokens, d the trainer's log-prob less the sampler's. At staleness 0 only rounding is left.",
                Scale::Number,
                |train| train.mismatch_kl,
            ),
            Chart {
                title: "Staleness",
                note: "Updates between sampling and training a token; 0 unless max_staleness lets episodes run ahead.",
                scale: Scale::Number,
                reference: None,
                series: vec![
                    line("oldest", "grey", self.train(|train| Some(train.staleness_max as f64))),
                    line("mean", "smooth", self.train(|train| Some(train.staleness_mean))),
                ],
            },
            Chart {
                title: "Who is busy",
                note: "Shares of the seconds of a step in which the sampler was asked for tokens, and in which the learner worked.",
                scale: Scale::Percent,
                reference: None,
                series: vec![
                    line(
                        "learner",
                        "claimed",
                        self.train(|train| train.share(Some(train.train_s))),
                    ),
                    line(
                        "sampler",
                        "smooth",
                        self.train(|train| train.share(train.sampler_busy_s)),
                    ),
                ],
            },
            single(
                "Clipped tokens",
                "Share of the trained tokens whose ratio was clipped, over all updates of a step.",
                Scale::Share,
                |train| train.clip_fraction,
            ),
            single(
                "Loss",
                "The policy loss, over all updates of a step. It need not fall: it is measured on ever new episodes.",
                Scale::Number,
                |train| train.loss,
            ),
            single(
                "Gradient norm",
                "Before clipping to max_grad_norm.",
                Scale::Number,
                |train| train.grad_norm,
            ),
        ]
    }
}

fn line<'a>(name: &'a str, class: &'a str, points: Points) -> Series<'a> {
    Series {
        name,
        class,
        points,
        dots: false,
    }
}

fn dotted<'a>(name: &'a str, class: &'a str, points: Points) -> Series<'a> {
    Series {
        dots: true,
        ..line(name, class, points)
    }
}
