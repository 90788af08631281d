//! A list of named steps: each runs, whatever became of the ones before, and a table sums them up.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

/// How a step that did not fail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran and found nothing wrong.
    Passed,
    /// It could not be run here, for a reason that is not a fault of the code.
    Skipped(String),
}

/// The steps run so far.
#[derive(Debug, Default)]
pub struct Steps {
    reports: Vec<Report>,
}

#[derive(Debug)]
struct Report {
    name: String,
    time: Duration,
    result: Result<Outcome>,
}

impl Steps {
    /// Runs one step under a headline and says how it ended.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<Outcome>) {
        println!("\n==> {name}");
        let started = Instant::now();
        let result = step();
        let report = Report { name: name.to_owned(), time: started.elapsed(), result };
        println!("<== {}", report.sentence());
        self.reports.push(report);
    }

    /// Whether no step has failed.
    pub fn passed(&self) -> bool {
        self.reports.iter().all(|report| report.result.is_ok())
    }

    /// A line for each step with its seconds and its end, and what each failure said.
    pub fn table(&self) -> String {
        let mut table = format!("{:<24} {:>8}  result\n", "step", "seconds");
        for report in &self.reports {
            table.push_str(&row(&report.name, report.time, report.word()));
        }
        let total = self.reports.iter().map(|report| report.time).sum();
        let word = if self.passed() { "ok" } else { "FAILED" };
        table.push_str(&row("total", total, word));
        for report in &self.reports {
            if let Some(reason) = report.reason() {
                // Writing to a string cannot fail.
                let _ = write!(table, "\n{} {}: {reason}", report.name, report.word());
            }
        }
        table
    }
}

impl Report {
    fn word(&self) -> &'static str {
        match self.result {
            Ok(Outcome::Passed) => "ok",
            Ok(Outcome::Skipped(_)) => "skipped",
            Err(_) => "FAILED",
        }
    }

    fn reason(&self) -> Option<String> {
        match &self.result {
            Ok(Outcome::Passed) => None,
            Ok(Outcome::Skipped(reason)) => Some(reason.clone()),
            Err(error) => Some(in_full(error)),
        }
    }

    fn sentence(&self) -> String {
        let seconds = self.time.as_secs_f64();
        let end = format!("{} {} after {seconds:.1} s", self.name, self.word());
        match self.reason() {
            Some(reason) => format!("{end}: {reason}"),
            None => end,
        }
    }
}

fn row(name: &str, time: Duration, word: &str) -> String {
    format!("{name:<24} {:>8.1}  {word}\n", time.as_secs_f64())
}

fn in_full(error: &Error) -> String {
    format!("{error:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_failure_stops_no_other_step_and_fails_the_whole() {
        let mut steps = Steps::default();
        steps.run("first", || bail!("two files are not formatted"));
        steps.run("second", || Ok(Outcome::Passed));
        assert!(!steps.passed());
        let table = steps.table();
        let words: Vec<&str> = table.lines().filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(words, ["result", "FAILED", "ok", "FAILED", "formatted"]);
    }

    #[test]
    fn a_skipped_step_says_why_and_does_not_fail() {
        let mut steps = Steps::default();
        steps.run("advisories", || Ok(Outcome::Skipped("no network".into())));
        assert!(steps.passed());
        assert!(steps.table().ends_with("advisories skipped: no network"));
    }
}
