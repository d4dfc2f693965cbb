//! Scrapes `pushring serve` all the time and judges every scrape.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::book::Book;
use super::clients::lock;
use super::exposition::{self, Exposed};
use super::fault::Kind;
use super::groups::SERIES;
use crate::chaos::gateways::name;
use crate::http::Client;

const PAUSE: Duration = Duration::from_millis(50);
/// Broken promises that are kept in full.
const KEPT: usize = 200;

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) scrapes: u64,
    /// Number of broken promises of each kind: each group counts in each scrape.
    pub(super) faults: BTreeMap<Kind, u64>,
    pub(super) twice: u64,
    /// Scrapes without an answer, or with an answer that is no scrape.
    pub(super) failed: u64,
    /// The first of each row of scrapes with the same broken promise.
    pub(super) texts: Vec<(Instant, String)>,
    /// The broken promises of the last scrape.
    last: Vec<(Kind, usize)>,
}

impl Seen {
    pub(super) fn is_clean(&self) -> bool {
        self.total() == 0
    }

    /// Returns the number of broken promises.
    pub(super) fn total(&self) -> u64 {
        let broken = self.faults.iter().filter(|(kind, _)| **kind != Kind::Overtaken);
        broken.map(|(_, count)| count).sum::<u64>() + self.twice + self.failed
    }

    fn add(&mut self, time: Instant, text: String) {
        if self.texts.len() < KEPT {
            self.texts.push((time, text));
        }
    }
}

/// The watcher. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    pub(super) seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts it; times in texts count from `started`.
    pub(super) fn start(
        serve: SocketAddr,
        gateways: Vec<SocketAddr>,
        book: Arc<Mutex<Book>>,
        started: Instant,
    ) -> Result<Self> {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (own_stop, own_seen) = (Arc::clone(&stop), Arc::clone(&seen));
        let client = Client::new(serve)?;
        let thread = thread::spawn(move || {
            while !own_stop.load(Ordering::SeqCst) {
                let begin = Instant::now();
                let scrape = scrape(&client);
                let end = Instant::now();
                let mut seen = own_seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.scrapes += 1;
                match scrape {
                    Ok(exposed) => judge(&mut seen, &exposed, &book, begin, end, started, &gateways),
                    Err(error) => {
                        seen.failed += 1;
                        seen.add(begin, format!("scrape failed: {error:#}"));
                    }
                }
                drop(seen);
                thread::sleep(PAUSE);
            }
        });
        Ok(Self { stop, seen, thread: Some(thread) })
    }

    /// Returns an error if it has ended.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "the watcher has ended");
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn scrape(client: &Client) -> Result<Exposed> {
    let answer = client.get("/metrics")?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    exposition::parse(&answer.text())
}

fn judge(
    seen: &mut Seen,
    exposed: &Exposed,
    book: &Mutex<Book>,
    begin: Instant,
    end: Instant,
    started: Instant,
    gateways: &[SocketAddr],
) {
    let faults = lock(book).judge(exposed, begin, end);
    seen.twice += exposed.twice.len() as u64;
    if let Some(first) = exposed.twice.first() {
        seen.add(begin, format!("{} twice, for example {first}", exposed.twice.len()));
    }
    let before = std::mem::take(&mut seen.last);
    for fault in faults {
        *seen.faults.entry(fault.kind).or_default() += 1;
        seen.last.push((fault.kind, fault.group));
        let is_new = fault.kind != Kind::Overtaken && !before.contains(&(fault.kind, fault.group));
        if is_new && seen.texts.len() < KEPT {
            let mut lines = vec![fault.to_string()];
            lines.extend(exposed.down.iter().map(|gateway| format!("not read: {gateway}")));
            lines.extend(lock(book).history(fault.group, started, fault.series));
            lines.extend(held(gateways, fault.group, fault.series));
            seen.add(begin, lines.join("\n    "));
        }
    }
}

/// Returns the series as each gateway holds it now, for a report.
fn held(gateways: &[SocketAddr], group: usize, series: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, gateway) in gateways.iter().enumerate() {
        let answer = match Client::new(*gateway).and_then(|client| client.get("/metrics")) {
            Ok(answer) => answer,
            Err(error) => {
                lines.push(format!("{}: {error:#}", name(index)));
                continue;
            }
        };
        let (text, instance) = (answer.text(), format!("instance=\"g{group}\""));
        let wanted = |line: &&str| {
            (line.starts_with(SERIES[series]) || line.starts_with("push_time_seconds{"))
                && line.contains(&instance)
        };
        let found: Vec<&str> = text.lines().filter(wanted).collect();
        if !found.is_empty() {
            lines.push(format!("{} holds now: {}", name(index), found.join(" ")));
        }
    }
    lines
}
