//! Line charts as inline SVG: no script, no library; colours come from the style sheet.

use super::html::escape;
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

/// A chart over training steps.
pub(super) struct Chart<'a> {
    /// Its heading.
    pub(super) title: &'a str,
    /// One sentence on what is good.
    pub(super) note: &'a str,
    /// Values are fractions, shown as per cent on a fixed range.
    pub(super) percent: bool,
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
        if self.percent {
            return (0.0, 1.0, 0.25);
        }
        let start = self.reference.map_or((f64::MAX, f64::MIN), |value| (value, value));
        let (low, high) = values.fold(start, |(low, high), value| (low.min(value), high.max(value)));
        let least = if self.reference.is_some() {
            0.01
        } else {
            1e-6_f64.max(high.abs() * 1e-3)
        };
        let step = nice((high - low).max(least) / 4.0);
        let low = if low >= 0.0 && low < 2.0 * step {
            0.0
        } else {
            (low / step).floor() * step
        };
        (low, ((high / step).ceil() * step).max(low + 2.0 * step), step)
    }

    fn label(&self, value: f64, step: f64) -> String {
        if self.percent {
            return format!("{:.0}%", 100.0 * value);
        }
        let decimals = (-step.log10().floor()).clamp(0.0, 8.0) as usize;
        format!("{value:.decimals$}")
    }

    fn exact(&self, value: f64) -> String {
        if self.percent {
            format!("{:.1} %", 100.0 * value)
        } else {
            format!("{value:.5}")
        }
    }
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
            percent: false,
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
}
