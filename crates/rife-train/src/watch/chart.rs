//! Line charts as inline SVG, coloured by CSS classes of the report.

use std::fmt::Write;

/// Width of a chart in SVG units.
const WIDTH: f64 = 560.0;
/// Height of a chart.
const HEIGHT: f64 = 240.0;
/// Left margin, for the labels of the y axis.
const LEFT: f64 = 64.0;
/// Bottom margin, for the labels of the x axis.
const BELOW: f64 = 28.0;
/// Top margin.
const ABOVE: f64 = 12.0;
/// Maximum points of a curve; longer curves are averaged in groups.
const POINTS: usize = 400;
/// Number of colour classes of the style sheet.
const COLOURS: usize = 6;

/// A named curve.
pub(super) struct Curve {
    /// Name in the legend.
    pub(super) name: String,
    /// Steps and values.
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart of curves over steps.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// Whether the y axis is logarithmic; values that are not positive are then left out.
    pub(super) is_log: bool,
    pub(super) curves: Vec<Curve>,
}

/// Ranges of both axes, `[min, max]`, of the logarithm for a logarithmic y axis.
struct Axes {
    /// First and last x.
    x: [f64; 2],
    /// Lowest and highest y, of its logarithm if `is_log`.
    y: [f64; 2],
    /// Whether the y axis is logarithmic.
    is_log: bool,
}

impl Chart<'_> {
    /// Formats the chart as an HTML figure with title, legend and SVG; empty without points.
    pub(super) fn html(&self) -> String {
        let curves: Vec<_> = self.curves.iter().map(|curve| self.usable(curve)).collect();
        let Some(axes) = Axes::around(curves.iter().flatten(), self.is_log) else {
            return String::new();
        };
        let mut legend = String::new();
        let mut lines = String::new();
        for (i, (curve, points)) in self.curves.iter().zip(&curves).enumerate() {
            let Some(last) = points.last() else { continue };
            let colour = i % COLOURS;
            let _ = write!(
                legend,
                "<span class=\"key c{colour}\">{} <b>{}</b></span>",
                escape(&curve.name),
                short(last.1)
            );
            lines += &axes.line(points, colour);
        }
        format!(
            "<figure><figcaption>{}</figcaption><div class=\"legend\">{legend}</div><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" aria-label=\"{}\">{}{lines}</svg></figure>\n",
            escape(self.title),
            escape(self.title),
            axes.grid()
        )
    }

    /// Returns a curve's finite points, averaged in groups to at most [`POINTS`].
    fn usable(&self, curve: &Curve) -> Vec<(f64, f64)> {
        let usable = |(_, y): &&(f64, f64)| y.is_finite() && (!self.is_log || *y > 0.0);
        let points: Vec<_> = curve.points.iter().filter(usable).copied().collect();
        let mean = |group: &[(f64, f64)]| {
            let sum = group.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
            (sum.0 / group.len() as f64, sum.1 / group.len() as f64)
        };
        points
            .chunks(points.len().div_ceil(POINTS).max(1))
            .map(mean)
            .collect()
    }
}

impl Axes {
    /// Fits the axes to the points, x from 0, y with a margin; `None` without points.
    fn around<'a>(points: impl Iterator<Item = &'a (f64, f64)>, is_log: bool) -> Option<Self> {
        let scaled = points.map(|(x, y)| (*x, if is_log { y.log10() } else { *y }));
        let range = scaled.fold(None, |range: Option<[[f64; 2]; 2]>, (x, y)| {
            let [rx, ry] = range.unwrap_or([[x; 2], [y; 2]]);
            Some([[rx[0].min(x), rx[1].max(x)], [ry[0].min(y), ry[1].max(y)]])
        })?;
        let [[_, x1], [y0, y1]] = range;
        let margin = ((y1 - y0) * 0.06).max(if is_log { 0.02 } else { y1.abs() * 1e-3 + 1e-9 });
        Some(Self {
            x: [0.0, x1.max(1.0)],
            y: [y0 - margin, y1 + margin],
            is_log,
        })
    }

    /// Converts a point to SVG coordinates.
    fn position(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let y = if self.is_log { y.log10() } else { y };
        let fraction = |value: f64, [low, high]: [f64; 2]| (value - low) / (high - low);
        (
            LEFT + fraction(x, self.x) * (WIDTH - LEFT - 8.0),
            ABOVE + (1.0 - fraction(y, self.y)) * (HEIGHT - BELOW - ABOVE),
        )
    }

    /// Formats a curve as an SVG polyline with a labelled last point.
    fn line(&self, points: &[(f64, f64)], colour: usize) -> String {
        let mut text = String::new();
        for point in points {
            let (x, y) = self.position(*point);
            let _ = write!(text, "{x:.1},{y:.1} ");
        }
        let mut line = format!("<polyline class=\"c{colour}\" points=\"{}\"/>", text.trim_end());
        if let Some(last) = points.last() {
            let (x, y) = self.position(*last);
            let label = format!("step {:.0}: {}", last.0, short(last.1));
            let _ = write!(
                line,
                "<circle class=\"c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{label}</title></circle>"
            );
        }
        line
    }

    /// Formats grid lines and axis labels as SVG.
    fn grid(&self) -> String {
        let mut text = String::new();
        for value in self.ticks() {
            let (_, y) = self.position((0.0, value));
            let _ = write!(
                text,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>",
                WIDTH - 8.0,
                LEFT - 6.0,
                y + 4.0,
                short(value)
            );
        }
        for step in round_steps(self.x, 6.0) {
            let (x, _) = self.position((step, if self.is_log { 1.0 } else { 0.0 }));
            let _ = write!(
                text,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - 8.0,
                short(step)
            );
        }
        text
    }

    /// Returns the y values of the grid lines: round numbers, or 1, 2 and 5 of each decade on a logarithmic axis.
    fn ticks(&self) -> Vec<f64> {
        if !self.is_log || self.y[1] - self.y[0] < 0.3 {
            let range = if self.is_log {
                self.y.map(|y| 10f64.powf(y))
            } else {
                self.y
            };
            return round_steps(range, 5.0);
        }
        let decades = self.y[0].floor() as i32..=self.y[1].ceil() as i32;
        let is_long = self.y[1] - self.y[0] > 3.0;
        let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|n| (n, n * 10f64.powi(decade))));
        all.filter(|(n, value)| (*n == 1.0 || !is_long) && (self.y[0]..=self.y[1]).contains(&value.log10()))
            .map(|(_, value)| value)
            .collect()
    }
}

/// Returns about `count` multiples of 1, 2 or 5 times a power of ten within a range.
fn round_steps([low, high]: [f64; 2], count: f64) -> Vec<f64> {
    let rough = (high - low) / count;
    let decade = 10f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade);
    let step = round.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|k| k as f64 * step).collect()
}

/// Formats a number with four significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        _ if size >= 10_000.0 => format!("{}k", trimmed(format!("{:.1}", value / 1000.0))),
        _ if size >= 1000.0 => format!("{value:.0}"),
        _ if size >= 0.01 => {
            let places = (3 - size.log10().floor() as i32).clamp(0, 5) as usize;
            trimmed(format!("{value:.places$}"))
        }
        _ => {
            let text = format!("{value:.2e}");
            text.replace(".00e", "e").replace("0e", "e")
        }
    }
}

/// Removes trailing zeros of a decimal fraction.
fn trimmed(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>, is_log: bool) -> String {
        let curves = vec![Curve {
            name: "a<b".to_owned(),
            points,
        }];
        Chart {
            title: "T",
            is_log,
            curves,
        }
        .html()
    }

    #[test]
    fn curves_lie_where_their_values_are() {
        let svg = chart(vec![(0.0, 1.0), (50.0, 2.0), (100.0, 3.0)], false);
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let places: Vec<Vec<f64>> = points
            .split(' ')
            .map(|pair| pair.split(',').map(|n| n.parse().unwrap()).collect())
            .collect();
        assert!((places[1][0] - (places[0][0] + places[2][0]) / 2.0).abs() < 0.11);
        assert!(
            places[0][1] > places[1][1] && places[1][1] > places[2][1],
            "more is higher"
        );
        assert!(svg.contains("a&lt;b"), "names are escaped");
    }

    #[test]
    fn nothing_and_one_point_and_many_are_drawn() {
        assert_eq!(chart(vec![], false), "");
        assert_eq!(
            chart(vec![(1.0, -1.0), (2.0, f64::NAN)], true),
            "",
            "no logarithm"
        );
        for is_log in [false, true] {
            let one = chart(vec![(1.0, 0.5)], is_log);
            assert!(one.contains("<polyline") && !one.contains("NaN"), "{one}");
            let many = chart(
                (0..5000)
                    .map(|i| (f64::from(i), 1.0 / (1.0 + f64::from(i))))
                    .collect(),
                is_log,
            );
            assert!(many.len() < 12_000 && !many.contains("NaN"), "{}", many.len());
        }
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (12_500.0, "12.5k"),
            (4000.0, "4000"),
            (31.25, "31.25"),
            (0.05, "0.05"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(4e-4), "4e-4");
        assert_eq!(
            round_steps([0.0, 10_000.0], 5.0),
            [0.0, 2000.0, 4000.0, 6000.0, 8000.0, 10_000.0]
        );
    }
}
