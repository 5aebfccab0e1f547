//! Observers of a training run ([`Watch`]): readings and validations. [`RunWatch`] shows them in the terminal, logs them in
//! the run's folder and writes the report.

mod chart;
pub mod history;
pub mod pictures;
mod reading;
pub mod report;
mod terminal;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::scores::Scores;
pub use history::{Entry, History};
pub use pictures::Example;
pub use reading::Reading;
pub use report::{About, REPORT};
use terminal::Terminal;

/// Observer of a training run. A function `FnMut(String)` observes, too: it gets a line of text for every event.
pub trait Watch {
    /// Observes a step; called after every step.
    fn step(&mut self, _step: u64) {}

    /// Observes the means over the steps since the last reading; called every few steps.
    ///
    /// Errors: a log that cannot be written.
    fn reading(&mut self, reading: &Reading) -> Result<()>;

    /// Observes a validation; called after weights were validated (if there is held-out data) and written.
    ///
    /// Errors: a log or report that cannot be written.
    fn validated(&mut self, validation: Validation<'_>) -> Result<()>;
}

impl<F: FnMut(String)> Watch for F {
    /// Passes the reading as a line of text.
    fn reading(&mut self, reading: &Reading) -> Result<()> {
        self(reading.to_string());
        Ok(())
    }

    /// Passes the scores, if there are any, as a line of text.
    fn validated(&mut self, validation: Validation<'_>) -> Result<()> {
        if let Some(scores) = validation.scores {
            self(scores.to_string());
        }
        Ok(())
    }
}

/// Results of a validation.
pub struct Validation<'a> {
    /// PSNR on held-out data; `None` without such data.
    pub scores: Option<Scores>,
    /// Whether this is the highest score so far.
    pub is_best: bool,
    /// Interpolates a few fixed held-out samples.
    pub examples: &'a dyn Fn() -> Result<Vec<Example>>,
}

impl fmt::Debug for Validation<'_> {
    /// Writes the scores only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Validation({:?})", self.scores)
    }
}

/// Accumulates sums between readings.
#[derive(Debug)]
pub struct Meter {
    /// Time of the last reading.
    began: Instant,
    /// Sum of the waits for data.
    waited: Duration,
    /// Number of steps.
    steps: u64,
    /// Sum of the losses.
    loss: f64,
    /// Sums of the unweighted loss terms by name.
    terms: BTreeMap<String, f64>,
}

impl Default for Meter {
    /// Starts at the present time without steps.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            waited: Duration::ZERO,
            steps: 0,
            loss: 0.0,
            terms: BTreeMap::new(),
        }
    }
}

impl Meter {
    /// Excludes a duration, such as that of a validation, from the speed.
    pub fn pause(&mut self, pause: Duration) {
        self.began += pause;
    }

    /// Adds a step: its wait for data, loss and unweighted terms.
    pub fn add<'a>(&mut self, waited: Duration, loss: f32, terms: impl IntoIterator<Item = (&'a str, f32)>) {
        self.steps += 1;
        self.waited += waited;
        self.loss += f64::from(loss);
        for (name, value) in terms.into_iter().filter(|(_, value)| *value != 0.0) {
            *self.terms.entry(name.to_owned()).or_default() += f64::from(value);
        }
    }

    /// Returns the means since the last call at step `step` of `last`, and resets the sums; `rate`, `norm` and `skipped` are
    /// copied into the reading.
    pub fn read(&mut self, step: u64, last: u64, rate: f64, norm: f64, skipped: u64) -> Reading {
        let sums = std::mem::take(self);
        let steps = sums.steps.max(1) as f64;
        let speed = steps / sums.began.elapsed().as_secs_f64().max(1e-9);
        Reading {
            step,
            loss: sums.loss / steps,
            terms: sums
                .terms
                .into_iter()
                .map(|(name, sum)| (name, sum / steps))
                .collect(),
            rate,
            norm,
            skipped,
            wait_ms: sums.waited.as_secs_f64() * 1e3 / steps,
            speed,
            seconds_left: last.saturating_sub(step) as f64 / speed,
        }
    }
}

/// Observer that prints to the terminal, logs to the run's folder and writes the report at every validation.
#[derive(Debug)]
pub struct RunWatch {
    history: History,
    terminal: Terminal,
    about: About,
}

impl RunWatch {
    /// Starts observing a run in folder `out` that continues from `step`; log entries of later steps are dropped.
    ///
    /// Errors: a folder that cannot be read or written.
    pub fn new(out: &Path, step: u64, last_step: u64, about: About) -> Result<Self> {
        Ok(Self {
            history: History::open(out, step)?,
            terminal: Terminal::new(step, last_step),
            about,
        })
    }
}

impl Watch for RunWatch {
    /// Shows the step in the terminal.
    fn step(&mut self, step: u64) {
        self.terminal.step(step);
    }

    /// Shows the reading in the terminal and appends it to the run's log.
    fn reading(&mut self, reading: &Reading) -> Result<()> {
        self.terminal.reading(reading);
        self.history.push(Entry::Reading(reading.clone()))
    }

    /// Shows the scores in the terminal, appends them to the run's log and writes the report.
    fn validated(&mut self, validation: Validation<'_>) -> Result<()> {
        if let Some(scores) = validation.scores {
            self.terminal.scores(&scores, validation.is_best);
            self.history.push(Entry::Scores(scores))?;
        }
        let examples = (validation.examples)()?;
        report::write(
            self.history.folder(),
            &self.about,
            self.history.entries(),
            &examples,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_means_and_say_everything() {
        let mut meter = Meter::default();
        meter.add(Duration::from_millis(10), 0.5, [("laplacian", 0.25), ("l1", 0.0)]);
        meter.add(Duration::from_millis(30), 1.5, [("laplacian", 0.75), ("l1", 0.0)]);
        let reading = meter.read(2, 10, 1e-4, 0.5, 1);
        assert_eq!(
            (reading.loss, reading.terms["laplacian"], reading.wait_ms.round()),
            (1.0, 0.5, 20.0)
        );
        assert!(!reading.terms.contains_key("l1"), "terms that are not there");
        assert!((reading.seconds_left * reading.speed - 8.0).abs() < 1e-6);
        let text = Reading {
            speed: 2.0,
            seconds_left: 3723.0,
            ..reading
        }
        .to_string();
        assert_eq!(
            text,
            "step 2 loss 1.00000 laplacian 0.50000 wait 20 ms 2.00 steps/s lr 1.00e-4 norm 0.50 skipped 1 left 1:02:03"
        );
        assert_eq!(meter.read(3, 10, 0.0, 0.0, 0).loss, 0.0, "sums start again");
    }
}
