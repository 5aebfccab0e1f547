//! HTML report of a run: one self-contained file with charts, scores and example images.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::chart::{Chart, Curve, escape};
use super::history::Entry;
use super::pictures::Example;
use super::reading::{Reading, clock};
use crate::scores::Scores;
use crate::weights_file::write_atomic;

/// File name of the report.
pub const REPORT: &str = "report.html";

/// Style sheet of the report, with light and dark colours.
const STYLE: &str = include_str!("report.css");

/// Title and provenance of a run in its report.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The heading.
    pub title: String,
    /// Names and values of the provenance, in display order.
    pub facts: Vec<(String, String)>,
}

/// Writes the report into the run's folder.
///
/// Errors: a file that cannot be written, an image that cannot be encoded.
pub fn write(folder: &Path, about: &About, entries: &[Entry], examples: &[Example]) -> Result<()> {
    write_atomic(&folder.join(REPORT), page(about, entries, examples)?.as_bytes())
}

/// Formats the page.
fn page(about: &About, entries: &[Entry], examples: &[Example]) -> Result<String> {
    let readings: Vec<&Reading> = entries.iter().filter_map(reading).collect();
    let scores: Vec<&Scores> = entries.iter().filter_map(judged).collect();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n",
        title = escape(&about.title)
    );
    html += &tiles(readings.last().copied(), &scores);
    html += "<div class=\"charts\">\n";
    for chart in charts(&readings, &scores) {
        html += &chart.html();
    }
    html += "</div>\n";
    html += &table(&scores);
    for example in examples {
        html += &pictures(example)?;
    }
    html += "<h2>How it was made</h2>\n<dl>\n";
    for (name, text) in &about.facts {
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(text));
    }
    html += "</dl>\n</body></html>\n";
    Ok(html)
}

/// Returns the reading of a log entry; `None` for a validation.
fn reading(entry: &Entry) -> Option<&Reading> {
    match entry {
        Entry::Reading(reading) => Some(reading),
        Entry::Scores(_) => None,
    }
}

/// Returns the scores of a log entry; `None` for a reading.
fn judged(entry: &Entry) -> Option<&Scores> {
    match entry {
        Entry::Scores(scores) => Some(scores),
        Entry::Reading(_) => None,
    }
}

/// Formats the summary at the top: step, loss, speed, time left, last and best PSNR.
fn tiles(last: Option<&Reading>, scores: &[&Scores]) -> String {
    let mut tiles = Vec::new();
    if let Some(last) = last {
        tiles.push(("step", last.step.to_string()));
        tiles.push(("loss", format!("{:.5}", last.loss)));
        tiles.push(("steps a second", format!("{:.2}", last.speed)));
        tiles.push(("wait for data a step", format!("{:.0} ms", last.wait_ms)));
        tiles.push(("left", clock(last.seconds_left)));
    }
    if let Some(last) = scores.last() {
        tiles.push(("last mean PSNR", format!("{:.2} dB", last.mean())));
    }
    if let Some(best) = scores.iter().max_by(|a, b| a.mean().total_cmp(&b.mean())) {
        tiles.push(("best, at step", format!("{:.2} dB, {}", best.mean(), best.step)));
    }
    let tile = |(name, text): (&str, String)| format!("<div><span>{name}</span><b>{text}</b></div>");
    let tiles: String = tiles.into_iter().map(tile).collect();
    format!("<div class=\"tiles\">{tiles}</div>\n")
}

/// Makes the charts over steps: loss terms, PSNR, learning rate, gradient norm, speed, wait for data.
fn charts(readings: &[&Reading], scores: &[&Scores]) -> Vec<Chart<'static>> {
    let curve = |name: &str, value: &dyn Fn(&Reading) -> Option<f64>| Curve {
        name: name.to_owned(),
        points: readings
            .iter()
            .filter_map(|reading| Some((reading.step as f64, value(reading)?)))
            .collect(),
    };
    let score = |name: &str, value: fn(&Scores) -> Option<f64>| Curve {
        name: name.to_owned(),
        points: scores
            .iter()
            .filter_map(|scores| Some((scores.step as f64, value(scores)?)))
            .collect(),
    };
    let names: std::collections::BTreeSet<&String> = readings.iter().flat_map(|r| r.terms.keys()).collect();
    let mut losses = vec![curve("all, weighted", &|r| Some(r.loss))];
    losses.extend(
        names
            .into_iter()
            .map(|name| curve(name, &|r| r.terms.get(name).copied())),
    );
    let chart = |title, is_log, curves| Chart {
        title,
        is_log,
        curves,
    };
    vec![
        chart("Loss and its terms before weighting", true, losses),
        chart(
            "PSNR on held-out frames, dB",
            false,
            vec![
                score("adjacent", |s| Some(s.adjacent)),
                score("wide", |s| s.wide),
                score("quarter", |s| s.quarter),
            ],
        ),
        chart("Learning rate", false, vec![curve("rate", &|r| Some(r.rate))]),
        chart(
            "Gradients' usual norm",
            true,
            vec![curve("norm", &|r| Some(r.norm))],
        ),
        chart("Steps a second", false, vec![curve("speed", &|r| Some(r.speed))]),
        chart(
            "Wait for data, ms a step",
            false,
            vec![curve("wait", &|r| Some(r.wait_ms))],
        ),
    ]
}

/// Formats the table of the last ten validations, newest first; empty without validations.
fn table(scores: &[&Scores]) -> String {
    if scores.is_empty() {
        return String::new();
    }
    let text = |value: Option<f64>| value.map_or("&ndash;".to_owned(), |value| format!("{value:.3}"));
    let row = |s: &&Scores| {
        let [adjacent, wide, quarter] = [Some(s.adjacent), s.wide, s.quarter].map(text);
        format!(
            "<tr><td>{}</td><td>{adjacent}</td><td>{wide}</td><td>{quarter}</td></tr>\n",
            s.step
        )
    };
    let rows: String = scores.iter().rev().take(10).map(row).collect();
    format!(
        "<h2>Last validations, PSNR in dB</h2>\n<table><tr><th>step</th><th>adjacent</th><th>wide</th>\
         <th>quarter</th></tr>\n{rows}</table>\n"
    )
}

/// Formats the images of one example with captions.
fn pictures(example: &Example) -> Result<String> {
    let mut html = format!(
        "<h2>{}, t = {}: {:.2} dB</h2>\n<div class=\"pictures\">\n",
        escape(&example.name),
        example.time,
        example.psnr
    );
    for (caption, address) in example.pictures()? {
        let caption = escape(&caption);
        let _ = writeln!(
            html,
            "<figure><img alt=\"{caption}\" src=\"{address}\"><figcaption>{caption}</figcaption></figure>"
        );
    }
    html += "</div>\n";
    Ok(html)
}

#[cfg(test)]
mod tests {
    use super::super::pictures::tests::example;
    use super::*;

    fn entries() -> Vec<Entry> {
        let reading = |step: u64| {
            Entry::Reading(Reading {
                step,
                loss: 1.0 / step as f64,
                terms: [("laplacian".to_owned(), 0.5 / step as f64)].into(),
                rate: 1e-4,
                norm: 0.5,
                skipped: 0,
                wait_ms: 3.0,
                speed: 2.0,
                seconds_left: 60.0,
            })
        };
        let scores = |step, adjacent| {
            Entry::Scores(Scores {
                step,
                adjacent,
                wide: Some(adjacent - 4.0),
                quarter: None,
            })
        };
        vec![reading(1), scores(1, 30.0), reading(2), scores(2, 29.0)]
    }

    #[test]
    fn the_report_holds_curves_pictures_and_how_it_was_made() {
        let about = About {
            title: "r <1>".to_owned(),
            facts: vec![("command".to_owned(), "rife-train --out \"a&b\"".to_owned())],
        };
        let html = page(&about, &entries(), &[example()]).unwrap();
        for part in [
            "r &lt;1&gt;",
            "Loss and its terms",
            "laplacian",
            "PSNR on held-out",
            "Learning rate",
            "28.00 dB, 1",
            "flow to the first",
            "mask",
            "made (the blend)",
            "a&amp;b",
            "prefers-color-scheme",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(html.matches("<svg").count(), 6);
        assert_eq!(html.matches("<img").count(), 7);
        assert!(!html.contains("http"), "nothing is loaded from elsewhere");
        assert!(
            page(&About::default(), &[], &[]).unwrap().contains("</html>"),
            "an empty run"
        );
    }
}
