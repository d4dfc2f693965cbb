//! The table of goals and measurements.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use anyhow::Result;
use pushring_bench::table;
use serde::Serialize;

/// The measurements so far.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

#[derive(Serialize)]
struct Row {
    measured: String,
    /// At least or at most this; none for a fact.
    goal: Option<Goal>,
    found: f64,
    details: String,
}

/// A limit of a measurement.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    /// Adds a measurement that has a goal.
    pub(crate) fn goal(&mut self, measured: &str, goal: Goal, found: f64, details: impl Display) {
        self.add(measured, Some(goal), found, details);
    }

    /// Adds a measurement without a goal.
    pub(crate) fn fact(&mut self, measured: &str, found: f64, details: impl Display) {
        self.add(measured, None, found, details);
    }

    fn add(&mut self, measured: &str, goal: Option<Goal>, found: f64, details: impl Display) {
        self.0.push(Row { measured: measured.to_owned(), goal, found, details: details.to_string() });
    }

    /// Writes `bench/results/index.json`.
    pub(crate) fn write(&self) -> Result<()> {
        pushring_bench::write("index", &self.0)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let mut table = table(&["measured", "goal", "found", "met", "details"]);
        for row in &self.0 {
            let goal = row.goal.map(|goal| goal.to_string()).unwrap_or_default();
            let met = match row.goal.map(|goal| goal.is_met(row.found)) {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            };
            table.add_row([&row.measured, &goal, &number(row.found), met, &row.details]);
        }
        table.fmt(f)
    }
}

impl Goal {
    fn is_met(self, found: f64) -> bool {
        match self {
            Self::AtLeast(goal) => found >= goal,
            Self::AtMost(goal) => found <= goal,
        }
    }
}

impl Display for Goal {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(goal) => write!(f, "≥ {}", number(*goal)),
            Self::AtMost(goal) => write!(f, "≤ {}", number(*goal)),
        }
    }
}

/// Returns microseconds for each of some series.
pub(crate) fn micros(time: Duration, series: usize) -> f64 {
    time.as_secs_f64() * 1e6 / series as f64
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e4 => format!("{:.1} k", value / 1e3),
        value if value >= 10.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}
