//! Terminal output of a run: a progress bar with the latest readings, or one line per reading if stdout is no terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::reading::{Reading, clock};
use crate::scores::Scores;

/// Template of the progress bar (indicatif), with the lines of [`Terminal::message`] below it.
const TEMPLATE: &str = "{bar:40} step {pos} of {len}, {percent} %\n{msg}";

/// The terminal output.
#[derive(Debug)]
pub(super) struct Terminal {
    /// The progress bar; `None` if lines are printed.
    bar: Option<ProgressBar>,
    /// Last reading.
    reading: Option<Reading>,
    /// Scores of the last validation.
    last: Option<Scores>,
    /// Highest scores so far.
    best: Option<Scores>,
}

impl Terminal {
    /// Starts the output of a run from `step` to `last_step`.
    pub(super) fn new(step: u64, last_step: u64) -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(last_step), ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well formed");
            bar.set_style(style);
            bar.set_position(step);
            bar
        });
        Self {
            bar,
            reading: None,
            last: None,
            best: None,
        }
    }

    /// Moves the progress bar.
    pub(super) fn step(&self, step: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
    }

    /// Shows a reading.
    pub(super) fn reading(&mut self, reading: &Reading) {
        self.reading = Some(reading.clone());
        self.show(reading.to_string());
    }

    /// Shows the scores of a validation.
    pub(super) fn scores(&mut self, scores: &Scores, is_best: bool) {
        self.last = Some(*scores);
        if is_best {
            self.best = Some(*scores);
        }
        self.show(scores.to_string());
    }

    /// Updates the text below the bar, or prints the line.
    fn show(&self, line: String) {
        match &self.bar {
            Some(bar) => bar.set_message(self.message()),
            None => println!("{line}"),
        }
    }

    /// Formats the lines below the bar: last reading, last and best scores.
    fn message(&self) -> String {
        let mut lines = Vec::new();
        if let Some(reading) = &self.reading {
            let terms = reading
                .terms
                .iter()
                .map(|(name, value)| format!("  {name} {value:.5}"));
            lines.push(format!("loss {:.5}{}", reading.loss, terms.collect::<String>()));
            lines.push(format!(
                "{:.2} steps/s, {} left, {:.0} ms a step waiting for data",
                reading.speed,
                clock(reading.seconds_left),
                reading.wait_ms
            ));
            lines.push(format!(
                "learning rate {:.2e}, gradient norm {:.2}, {} batches skipped",
                reading.rate, reading.norm, reading.skipped
            ));
        }
        lines.extend(self.last.map(|scores| format!("last: {scores}")));
        lines.extend(self.best.map(|scores| format!("best: {scores}")));
        lines.join("\n")
    }
}

impl Drop for Terminal {
    /// Leaves the progress bar on the screen.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboard_says_loss_rate_wait_time_and_scores() {
        let scores = |step, adjacent| Scores {
            step,
            adjacent,
            wide: None,
            quarter: None,
        };
        let mut terminal = Terminal::new(0, 10);
        assert!(terminal.bar.is_none(), "tests write to no terminal");
        terminal.scores(&scores(4, 31.0), true);
        terminal.scores(&scores(6, 30.0), false);
        terminal.reading(&Reading {
            step: 7,
            loss: 0.25,
            terms: [("census".to_owned(), 0.125)].into(),
            rate: 3e-4,
            norm: 1.5,
            skipped: 2,
            wait_ms: 12.0,
            speed: 2.5,
            seconds_left: 61.0,
        });
        let message = terminal.message();
        for part in [
            "loss 0.25000  census 0.12500",
            "2.50 steps/s",
            "0:01:01 left",
            "12 ms",
            "3.00e-4",
            "2 batches",
            "last: step 6",
            "best: step 4",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}
