//! The check of the gateway, in a thread of its own: a gateway that hangs must not delay the lease.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::blocking::Client;

use super::super::health_check::HealthCheck;
use super::agent::Event;
use super::metrics;
use crate::error::BadInput;
use crate::gateway::client::MARK;
use crate::http::{self, AnswerLimits, Tls};

/// The page of a gateway that can take pushes.
pub(super) const READY: &str = "/-/ready";
/// A health page has a few bytes.
const MAX_BYTES: u64 = 1 << 16;

/// A check that runs at an interval.
pub(super) struct Check {
    client: Client,
    url: Url,
    headers: BTreeMap<String, Vec<String>>,
    settings: HealthCheck,
}

/// The state of the gateway after one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// `None`: too few checks yet.
    pub(super) passing: Option<bool>,
    /// The result of the last check, for people.
    pub(super) output: String,
}

impl Check {
    /// # Errors
    /// [`BadInput`]: the URL, a certificate or a key is invalid.
    pub(super) fn new(url: &str, settings: HealthCheck, tls: Tls<'_>) -> anyhow::Result<Self> {
        let found = http::without_credentials(url);
        let parsed = Url::parse(url).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        let bad = || BadInput(format!("--check: found {found:?}, expected http://… or https://…"));
        let url = parsed.ok_or_else(bad)?;
        let client = tls.add_to(http::client(settings.timeout))?;
        let client = client.tls_danger_accept_invalid_certs(settings.tls_skip_verify).build()?;
        Ok(Self { client, url, headers: settings.headers.clone(), settings })
    }

    /// Checks until the receiver is gone, and sends the state after each check.
    pub(super) fn start(self, events: Sender<Event>) -> anyhow::Result<()> {
        thread::Builder::new().name("check".to_owned()).spawn(move || {
            let mut count =
                Count::new(self.settings.failures_before_critical, self.settings.success_before_passing);
            loop {
                let began = Instant::now();
                let result = self.ask();
                metrics::checked(result.is_ok(), began.elapsed());
                let passing = count.add(result.is_ok());
                let output = result.unwrap_or_else(|error| error);
                if events.send(Event::Check(State { passing, output })).is_err() {
                    return;
                }
                thread::sleep(
                    self.settings.interval.saturating_sub(began.elapsed()).max(Duration::from_millis(1)),
                );
            }
        })?;
        Ok(())
    }

    /// Returns the result for people.
    fn ask(&self) -> Result<String, String> {
        let mut request = self.client.get(self.url.clone()).header(MARK.0, MARK.1);
        for (name, values) in &self.headers {
            request = values.iter().fold(request, |request, value| request.header(name, value));
        }
        let limits = AnswerLimits { bytes: MAX_BYTES, ..AnswerLimits::of_agent(self.settings.timeout) };
        let answer = http::send(request, limits).map_err(|error| format!("{:#}", http::cause(error)))?;
        let status = answer.status();
        if status.is_success() { Ok(format!("HTTP {}", status.as_u16())) } else { Err(answer.failure()) }
    }
}

/// Counts results of one kind in a row, as Consul does.
struct Count {
    failures: u32,
    successes: u32,
    passing: Option<bool>,
    /// The last result, and how often it came in a row.
    last: (bool, u32),
}

impl Count {
    fn new(failures: u32, successes: u32) -> Self {
        Self { failures, successes, passing: None, last: (false, 0) }
    }

    fn add(&mut self, good: bool) -> Option<bool> {
        let times = if self.last.0 == good { self.last.1.saturating_add(1) } else { 1 };
        self.last = (good, times);
        if times >= if good { self.successes } else { self.failures } {
            self.passing = Some(good);
        }
        self.passing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_after_results_in_a_row() {
        let mut count = Count::new(3, 2);
        let results = [true, false, true, true, false, false, true, false, false, false, true, true];
        let states: Vec<_> = results.map(|good| count.add(good)).to_vec();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(states, [None, None, None, yes, yes, yes, yes, yes, yes, no, no, yes]);
    }
}
