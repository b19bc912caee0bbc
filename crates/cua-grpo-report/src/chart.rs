//! Line charts as inline SVG: no script, no library; colours come from the style sheet.

use crate::html::escape;
use std::fmt::Write;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;

/// Points that belong together.
pub(super) struct Series<'a> {
    /// Name in the legend.
    pub(super) name: &'a str,
    /// Class of the style sheet: `train`, `smooth`, `eval`.
    pub(super) class: &'a str,
    /// `(step, value)`; what is not finite is left out.
    pub(super) points: Vec<(f64, f64)>,
    /// Draw a dot on each point.
    pub(super) dots: bool,
}

/// What values are, and so how the axis is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Numbers; the axis fits them.
    Number,
    /// Numbers of 0 or more that are counted; the axis starts at 0.
    Count,
    /// Fractions, shown as per cent on an axis from 0 to 100.
    Percent,
    /// Fractions, shown as per cent on an axis from 0 that fits them: for what is mostly small.
    Share,
}

/// A chart over training steps.
pub(super) struct Chart<'a> {
    /// Its heading.
    pub(super) title: &'a str,
    /// One sentence on what is good.
    pub(super) note: &'a str,
    /// What the values are.
    pub(super) scale: Scale,
    /// A value to mark with a dashed line.
    pub(super) reference: Option<f64>,
    /// Drawn in order, the last on top.
    pub(super) series: Vec<Series<'a>>,
}

impl Chart<'_> {
    /// The chart as an HTML `figure`; a sentence in place of the curve when there are no points.
    pub(super) fn render(&self) -> String {
        let all = || self.series.iter().flat_map(|series| finite(&series.points));
        let mut html = format!("<figure class=\"chart\"><figcaption><b>{}</b>", escape(self.title));
        for series in self.series.iter().filter(|series| !series.name.is_empty()) {
            let _ = write!(
                html,
                "<span class=\"key {}\">{}</span>",
                series.class,
                escape(series.name)
            );
        }
        html += "</figcaption>";
        if all().next().is_none() {
            return html + "<p class=\"empty\">Nothing was measured yet.</p></figure>";
        }
        let last = all().map(|(x, _)| x).fold(1.0, f64::max);
        let (low, high, step) = self.range(all().map(|(_, y)| y));
        let x = |value: f64| LEFT + value / last * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
        let _ = write!(
            html,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(self.title)
        );
        let ticks = ((high - low) / step).round() as usize;
        for tick in 0..=ticks {
            let value = low + tick as f64 * step;
            let (at, text) = (y(value), self.label(value, step));
            let _ = write!(
                html,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/>",
                WIDTH - RIGHT
            );
            let _ = write!(
                html,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        let stride = nice(last / 6.0).max(1.0);
        let mut value = 0.0;
        while value <= last {
            let _ = write!(
                html,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>",
                x(value),
                HEIGHT - 10.0
            );
            value += stride;
        }
        if let Some(reference) = self.reference.filter(|value| (low..=high).contains(value)) {
            let _ = write!(
                html,
                "<path class=\"reference\" d=\"M{LEFT} {:.1}H{:.1}\"/>",
                y(reference),
                WIDTH - RIGHT
            );
        }
        for series in &self.series {
            let points: Vec<_> = finite(&series.points).map(|(a, b)| (x(a), y(b), a, b)).collect();
            let path: Vec<_> = points.iter().map(|(a, b, ..)| format!("{a:.1} {b:.1}")).collect();
            let _ = write!(
                html,
                "<path class=\"line {}\" d=\"M{}\"/>",
                series.class,
                path.join("L")
            );
            let radius = if series.dots || points.len() == 1 { 4.0 } else { 2.5 };
            let class = if series.dots || points.len() == 1 {
                "dot"
            } else {
                "dot hidden"
            };
            for (a, b, step, value) in points {
                let tip = format!("{} after step {step}: {}", series.name, self.exact(value));
                let _ = write!(
                    html,
                    "<circle class=\"{class} {}\" cx=\"{a:.1}\" cy=\"{b:.1}\" r=\"{radius}\"><title>{}</title></circle>",
                    series.class,
                    escape(tip.trim())
                );
            }
        }
        let _ = write!(html, "</svg><p>{}</p></figure>", escape(self.note));
        html
    }

    /// Lowest and highest value of the axis and the distance of its ticks.
    fn range(&self, values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
        let start = match (self.reference, self.scale) {
            (Some(value), _) => (value, value),
            (None, Scale::Percent) => return (0.0, 1.0, 0.25),
            (None, Scale::Count | Scale::Share) => (0.0, 0.0),
            (None, Scale::Number) => (f64::MAX, f64::MIN),
        };
        let (mut low, mut high) = values.fold(start, |(low, high), value| (low.min(value), high.max(value)));
        // Values that are all alike have no range of their own: the axis then reaches from 0 to them, or from 0 to 1.
        let size = low.abs().max(high.abs());
        if self.reference.is_none() && high - low <= 1e-9 * size {
            let unit = if self.scale == Scale::Share { 0.1 } else { 1.0 };
            (low, high) = match size == 0.0 {
                true => (0.0, unit),
                false => (low.min(0.0), high.max(0.0)),
            };
        }
        let least = match self.reference {
            Some(_) => 0.01,
            None if self.scale == Scale::Count => 2.0,
            None => 0.0,
        };
        let mut step = nice((high - low).max(least) / 4.0);
        if self.scale == Scale::Count {
            step = step.max(1.0);
        }
        let low = if low >= 0.0 && low < 2.0 * step {
            0.0
        } else {
            (low / step).floor() * step
        };
        (low, ((high / step).ceil() * step).max(low + 2.0 * step), step)
    }

    fn label(&self, value: f64, step: f64) -> String {
        let percent = matches!(self.scale, Scale::Percent | Scale::Share);
        let (value, step) = if percent {
            (100.0 * value, 100.0 * step)
        } else {
            (value, step)
        };
        // The nearest whole number of steps: no rounding error and no -0 is shown.
        let steps = (value / step).round();
        let value = if steps == 0.0 { 0.0 } else { steps * step };
        let unit = if percent { "%" } else { "" };
        if value != 0.0 && !(1e-4..1e7).contains(&step) {
            return format!("{}{unit}", short_exponent(value));
        }
        let decimals = if value == 0.0 {
            0
        } else {
            (-step.log10().floor()).max(0.0) as usize
        };
        format!("{value:.decimals$}{unit}")
    }

    fn exact(&self, value: f64) -> String {
        match self.scale {
            Scale::Percent | Scale::Share => format!("{:.1} %", 100.0 * value),
            Scale::Count => format!("{value}"),
            Scale::Number if value != 0.0 && value.abs() < 1e-3 => format!("{value:.3e}"),
            Scale::Number => format!("{value:.5}"),
        }
    }
}

/// `0.0000025` as `2.5e-6`: as many digits as a label needs.
fn short_exponent(value: f64) -> String {
    let text = format!("{value:.3e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}e{exponent}")
}

/// Exponential moving average, so that a noisy curve can be read.
pub(super) fn smooth(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let mut mean = None;
    let average = finite(points).map(|(x, y)| {
        let value = mean.map_or(y, |mean: f64| weight * mean + (1.0 - weight) * y);
        mean = Some(value);
        (x, value)
    });
    average.collect()
}

fn finite(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> + '_ {
    points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
}

/// The next of 1, 2, 5 times a power of ten that is at least `value`.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= value * 0.999_999)
        .unwrap_or(10.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        for (value, expected) in [(0.7, 1.0), (1.0, 1.0), (1.3, 2.0), (30.0, 50.0), (0.06, 0.1)] {
            assert!((nice(value) - expected).abs() < 1e-9, "{value} -> {}", nice(value));
        }
    }

    #[test]
    fn nan_is_left_out_and_no_points_say_so() {
        let chart = |points| Chart {
            title: "KL",
            note: "",
            scale: Scale::Number,
            reference: None,
            series: vec![Series {
                name: "a",
                class: "train",
                points,
                dots: false,
            }],
        };
        assert!(
            !chart(vec![(1.0, 0.5), (2.0, f64::NAN), (3.0, 0.7)])
                .render()
                .contains("NaN")
        );
        assert!(chart(vec![(1.0, f64::NAN)]).render().contains("Nothing was measured"));
        assert!(!chart(vec![(1.0, 0.0)]).render().contains("NaN"));
    }

    /// The labels of the value axis, from the lowest.
    fn labels(scale: Scale, reference: Option<f64>, values: &[f64]) -> Vec<String> {
        let chart = Chart {
            title: "t",
            note: "",
            scale,
            reference,
            series: Vec::new(),
        };
        let (low, high, step) = chart.range(values.iter().copied());
        let ticks = ((high - low) / step).round() as usize;
        (0..=ticks)
            .map(|tick| chart.label(low + tick as f64 * step, step))
            .collect()
    }

    #[test]
    fn axes_of_all_series_have_labels_that_can_be_read() {
        let cases: [(Scale, Option<f64>, &[f64], &str); 12] = [
            (Scale::Number, None, &[0.0, 0.0, 0.0], "0 0.5 1.0"),
            (Scale::Number, None, &[-0.0], "0 0.5 1.0"),
            (Scale::Number, None, &[0.7, 0.7], "0 0.2 0.4 0.6 0.8"),
            (Scale::Number, None, &[-3.0], "-3 -2 -1 0"),
            (Scale::Number, None, &[0.0, 2e-7], "0 5e-8 1e-7 1.5e-7 2e-7"),
            (Scale::Number, None, &[1e-12], "0 5e-13 1e-12"),
            (Scale::Number, None, &[0.0, 3e8], "0 1e8 2e8 3e8"),
            (Scale::Number, None, &[-0.2, 0.2], "-0.2 -0.1 0 0.1 0.2"),
            (Scale::Number, Some(1.0), &[1.0, 1.0], "1.000 1.005 1.010"),
            (Scale::Count, None, &[0.0, 0.0], "0 1 2"),
            (Scale::Count, None, &[3.0, 8.0], "0 2 4 6 8"),
            (Scale::Share, None, &[0.0, 0.0], "0% 5% 10%"),
        ];
        for (scale, reference, values, expected) in cases {
            let got = labels(scale, reference, values).join(" ");
            assert_eq!(got, expected, "{scale:?} {values:?}");
        }
        assert_eq!(labels(Scale::Percent, None, &[0.0]).join(" "), "0% 25% 50% 75% 100%");
    }
}
