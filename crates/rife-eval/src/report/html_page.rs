//! HTML page of a quality report: scores, SVG plots and thumbnails in one self-contained file without scripts, in a light or
//! dark colour scheme as the reader's system prefers.

use std::fmt::Write;

use super::{EvaluatedFrame, Quality, Report};

/// The page's style sheet.
const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--text:#1a1a1a;--dim:#5c5c5c;--line:#d9d9d9;--network:#0b6bcb;--blend:#b35900;--hold:#6b6b6b}
@media(prefers-color-scheme:dark){:root{--back:#16181b;--text:#e8e8e8;--dim:#a3a3a3;--line:#3a3d42;--network:#63b3ff;--blend:#ffb066;--hold:#a0a0a0}}
body{background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}p,figcaption{color:var(--dim)}
table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left}
svg{width:100%;height:auto}svg text{fill:var(--dim);font-size:12px}figure{margin:1rem 0}
.frames{display:grid;grid-template-columns:repeat(3,1fr);gap:.5rem}.frames img{width:100%}
.network{stroke:var(--network);fill:none}.blend{stroke:var(--blend);fill:none}.hold{stroke:var(--hold);fill:none}
.axis{stroke:var(--line)}.dot{fill:var(--network)}path{stroke-width:2}";

/// Width and height of a plot in SVG units.
const SIZE: [f64; 2] = [900.0, 260.0];
/// Width of the left margin, with the numbers of the y axis, in SVG units.
const LEFT: f64 = 48.0;
/// Height of the bottom margin, with the numbers of the x axis, in SVG units.
const BOTTOM: f64 = 28.0;

/// Formats a report as an HTML page.
pub(super) fn html(report: &Report) -> String {
    let clip = escaped(&report.clip);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{clip}: interpolation report</title><style>{STYLE}</style></head><body>\n<h1>{clip}</h1>\n"
    );
    page += &summary(report);
    if !report.frames.is_empty() {
        page += &quality_plot(report);
        page += &confidence_plot(report);
        page += &worst(report);
    }
    page + "</body></html>\n"
}

/// Escapes text for HTML content and attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c if c.is_control() => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Formats the clip's properties and the table of mean scores.
fn summary(report: &Report) -> String {
    let [width, height] = report.size;
    let count = report.frames.len();
    let mut text = format!(
        "<p>{width}x{height}, {} frames. {count} odd frames were left out, rebuilt from both neighbours, and compared \
         with what they are; {} beside cuts were passed over. The step is twice that of real use: these figures \
         are lower bounds.</p>\n<p>{}; rife {}</p>\n",
        report.frames_read,
        report.skipped_at_cuts,
        escaped(&report.model),
        report.program
    );
    text += "<table><tr><th>rebuilt by</th><th>PSNR, dB</th><th>SSIM</th><th>SSIMULACRA 2</th></tr>";
    let means = &report.means;
    for (name, quality) in [
        ("the network", means.network),
        ("blending", means.blend),
        ("holding", means.hold),
    ] {
        let Quality { psnr, ssim, .. } = quality;
        let perceived = quality
            .ssimulacra2
            .map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let _ = write!(
            text,
            "<tr><td>{name}</td><td>{psnr:.2}</td><td>{ssim:.4}</td><td>{perceived}</td></tr>"
        );
    }
    let ranking = report.confidence_rank_correlation.map_or(String::new(), |correlation| {
        format!(" It ranks the network's PSNR on this clip with a correlation of {correlation:.2} (1 is perfect, 0 none).")
    });
    let _ = writeln!(
        text,
        "</table>\n<p>The network is nearer to the truth than blending in {} of {count} frames. Mean confidence {:.2}.{ranking}</p>",
        report.better_than_blend, means.confidence
    );
    text
}

/// Minimum and maximum of the values on both axes of a plot.
struct Scale {
    x: [f64; 2],
    y: [f64; 2],
}

impl Scale {
    /// Fits the ranges to points (x, y).
    fn new(points: impl Iterator<Item = (f64, f64)>) -> Self {
        let start = Self {
            x: [f64::INFINITY, f64::NEG_INFINITY],
            y: [f64::INFINITY, f64::NEG_INFINITY],
        };
        let mut scale = points.fold(start, |scale, (x, y)| Self {
            x: [scale.x[0].min(x), scale.x[1].max(x)],
            y: [scale.y[0].min(y), scale.y[1].max(y)],
        });
        for range in [&mut scale.x, &mut scale.y] {
            // The range of a single value must not be empty.
            let min = 0.02 * range[0].abs().max(0.5);
            if range[1] - range[0] < min {
                *range = [range[0] - min / 2.0, range[1] + min / 2.0];
            }
        }
        scale
    }

    /// Converts a point to SVG coordinates.
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let relative = |value: f64, [low, high]: [f64; 2]| (value - low) / (high - low);
        (
            LEFT + relative(x, self.x) * (SIZE[0] - LEFT - 8.0),
            8.0 + (1.0 - relative(y, self.y)) * (SIZE[1] - BOTTOM - 8.0),
        )
    }

    /// Draws grid lines and the numbers of both axes: y with `digits` decimals, x followed by `unit`.
    fn axes(&self, digits: usize, unit: &str) -> String {
        let mut svg = String::new();
        for step in 0..=4 {
            let fraction = f64::from(step) / 4.0;
            let value = self.y[0] + fraction * (self.y[1] - self.y[0]);
            let (_, y) = self.at((self.x[0], value));
            let right = SIZE[0] - 8.0;
            let _ = write!(
                svg,
                "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{right}\"/><text x=\"2\" y=\"{:.1}\">{value:.digits$}</text>",
                y + 4.0
            );
            let value = self.x[0] + fraction * (self.x[1] - self.x[0]);
            let (x, _) = self.at((value, self.y[0]));
            let anchor = ["start", "middle", "middle", "middle", "end"][step as usize];
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{value:.2}{unit}</text>",
                SIZE[1] - 6.0
            );
        }
        svg
    }
}

/// Wraps an SVG plot in a figure with caption.
fn figure(label: &str, body: &str, caption: &str) -> String {
    let [width, height] = SIZE;
    format!(
        "<figure><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">{body}</svg>\
         <figcaption>{caption}</figcaption></figure>\n"
    )
}

/// Draws a polyline through points, with a CSS class for its colour.
fn line(scale: &Scale, class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
    let vertices: Vec<String> = points
        .map(|point| scale.at(point))
        .map(|(x, y)| format!("{x:.1} {y:.1}"))
        .collect();
    format!("<path class=\"{class}\" d=\"M{}\"/>", vertices.join("L"))
}

/// Returns an HTML section that plots over time the PSNR of the network and of the two baselines: blending both neighbouring
/// frames, and repeating the nearer one.
fn quality_plot(report: &Report) -> String {
    /// A function that selects the plotted score.
    type Metric = fn(&EvaluatedFrame) -> f64;
    let lines: [(&str, Metric); 3] = [
        ("hold", |frame| frame.hold.psnr),
        ("blend", |frame| frame.blend.psnr),
        ("network", |frame| frame.network.psnr),
    ];
    let frames = &report.frames;
    let all = lines
        .iter()
        .flat_map(|(_, of)| frames.iter().map(move |s| (s.time, of(s))));
    let scale = Scale::new(all);
    let mut body = scale.axes(1, " s");
    for (class, of) in lines {
        body += &line(&scale, class, frames.iter().map(|s| (s.time, of(s))));
    }
    let caption = "PSNR in dB over time: <span style=\"color:var(--network)\">the network</span>, \
                   <span style=\"color:var(--blend)\">blending</span>, <span style=\"color:var(--hold)\">repeating</span>.";
    format!("<h2>PSNR</h2>\n{}", figure("PSNR over time", &body, caption))
}

/// Plots confidence over time, and the network's PSNR against confidence.
fn confidence_plot(report: &Report) -> String {
    let frames = &report.frames;
    let over_time = Scale::new(frames.iter().map(|s| (s.time, s.confidence)));
    let body = over_time.axes(3, " s")
        + &line(
            &over_time,
            "network",
            frames.iter().map(|s| (s.time, s.confidence)),
        );
    let first = figure(
        "Confidence over time",
        &body,
        "Confidence over time: how alike both neighbours are once the network has moved them to the frame's time.",
    );
    let scale = Scale::new(frames.iter().map(|s| (s.confidence, s.network.psnr)));
    let mut body = scale.axes(1, "");
    for frame in frames {
        let (x, y) = scale.at((frame.confidence, frame.network.psnr));
        let _ = write!(
            body,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"
        );
    }
    let second = figure(
        "PSNR against confidence",
        &body,
        "The network's PSNR in dB against confidence, a dot a frame: where they rise together, a fallback below some confidence replaces the right frames.",
    );
    format!("<h2>Confidence</h2>\n{first}{second}")
}

/// Formats the thumbnails of the worst frames.
fn worst(report: &Report) -> String {
    let mut text =
        String::from("<h2>Worst frames</h2>\n<p>From left to right: the truth, the network, blending.</p>\n");
    for worst in &report.worst {
        let frame = &report.frames[worst.index];
        let _ = writeln!(
            text,
            "<figure><div class=\"frames\"><img alt=\"the truth\" src=\"{}\"><img alt=\"the network's frame\" src=\"{}\">\
             <img alt=\"blending's frame\" src=\"{}\"></div><figcaption>Frame {} at {:.3} s: the network {:.2} dB, \
             blending {:.2} dB, confidence {:.3}</figcaption></figure>",
            worst.truth,
            worst.network,
            worst.blend,
            frame.frame,
            frame.time,
            frame.network.psnr,
            frame.blend.psnr,
            frame.confidence
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_write_html() {
        assert_eq!(
            escaped("<a href='x'>\u{1b}&\""),
            "&lt;a href=&#39;x&#39;&gt;\u{FFFD}&amp;&quot;"
        );
    }

    #[test]
    fn one_value_has_a_scale_too() {
        let scale = Scale::new([(1.0, 30.0)].into_iter());
        let (x, y) = scale.at((1.0, 30.0));
        assert!(x.is_finite() && y.is_finite() && (LEFT..SIZE[0]).contains(&x));
    }
}
