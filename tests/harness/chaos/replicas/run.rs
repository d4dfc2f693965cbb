//! Kills gateways and changes members one after another, and collects the results.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::book::{Book, COPIED};
use super::clients::{Clients, lock};
use super::exposition::Exposed;
use super::fleet::{Fleet, Ring};
use super::groups::GROUPS;
use super::plan::{GATEWAYS, Plan, Step};
use super::servers::Servers;
use super::summary::{Settings, Summary};
use super::watcher::{Seen, Watcher};
use crate::chaos::gateways::name;
use crate::chaos::plan::State;
use crate::poll_until;

/// All groups must have two copies again within this time, however busy the machine is.
const RESTORED: Duration = Duration::from_secs(150);
/// Time between two looks.
const TICK: Duration = Duration::from_millis(100);
/// Number of steps between two progress lines.
const PRINT_EVERY: usize = 10;
/// Steps before a broken promise that its report shows.
const SHOWN: usize = 6;

/// Runs until all kills and changes are made, or `stop` is set; `print` gets the progress lines.
///
/// # Errors
/// If a server fails in a way that stops the run, or groups do not get two copies again. Broken promises are not an error: see
/// [`Summary::faults`].
pub fn run(settings: Settings, stop: &AtomicBool, print: impl FnMut(&str)) -> Result<Summary> {
    let dir = tempfile::tempdir()?;
    let summary = run_in(dir.path(), settings, stop, print);
    if summary.as_ref().is_ok_and(Summary::is_clean) {
        return summary;
    }
    let kept = dir.keep();
    summary.with_context(|| format!("the logs are in {}", kept.display()))
}

fn run_in(dir: &Path, settings: Settings, stop: &AtomicBool, mut print: impl FnMut(&str)) -> Result<Summary> {
    let mut plan = Plan::new(settings.seed, settings.kills, settings.changes);
    let fleet = Fleet::start(dir, GATEWAYS)?;
    let servers = Servers::start(dir, settings, &fleet, plan.members())?;
    let book = Arc::new(Mutex::new(Book::new()));
    let members = plan.members().to_vec();
    let started = Instant::now();
    let mut run = Run { servers, fleet, book, members, started, steps: Vec::new(), restored: Vec::new() };
    run.wait_ring()?;
    let clients = Clients::start(run.servers.envoy.push, Arc::clone(&run.book), settings.seed)?;
    let watcher = Watcher::start(run.servers.serve, run.fleet.addresses(), Arc::clone(&run.book), started)?;
    run.wait_restored(stop)?;
    let (mut kills, mut changes, mut shown) = (0, 0, 0);
    while !stop.load(Ordering::SeqCst) {
        let Some((step, pause)) = plan.next() else { break };
        thread::sleep(pause);
        run.make(step)?;
        kills += usize::from(matches!(step, Step::Kill { .. } | Step::Crash { .. }));
        changes += usize::from(!matches!(step, Step::Kill { .. }));
        let outcome = run.wait_restored(stop);
        let steps = run.steps.len();
        if steps.is_multiple_of(PRINT_EVERY) {
            let accepted = lock(&run.book).accepted;
            let faults = seen(&watcher, |seen| seen.total());
            print(&format!("{kills} kills, {changes} changes, {accepted} pushes, {faults} broken promises"));
        }
        // A run takes half an hour, and its logs show more while it runs.
        let new = seen(&watcher, |seen| seen.texts.get(shown..).unwrap_or_default().to_vec());
        shown += new.len();
        faults(&new, &run.steps, started).iter().for_each(|fault| print(fault));
        run.servers.check()?;
        watcher.check()?;
        clients.check()?;
        if let Err(error) = outcome {
            let faults = faults(&seen(&watcher, |seen| seen.texts.clone()), &run.steps, started);
            bail!("{error:#}\nbroken promises so far:\n{}", faults.join("\n"));
        }
    }
    drop(clients);
    let prometheus = poll_until("Prometheus to scrape", || match run.servers.scrapes() {
        Ok((0, _)) => None,
        other => Some(other),
    })??;
    let seen = seen(&watcher, std::mem::take);
    drop(watcher);
    ensure!(seen.scrapes > 0 && prometheus.0 > 0, "no scrapes, which proves nothing");
    let Run { book, mut restored, steps, .. } = run;
    restored.sort_unstable();
    let book = lock(&book);
    let faults = faults(&seen.texts, &steps, started);
    let (mode, pushes, failed_pushes) = (settings.mode, book.accepted, book.failed);
    Ok(Summary {
        mode,
        kills,
        changes,
        pushes,
        failed_pushes,
        seen,
        prometheus,
        restored,
        faults,
        logs: dir.to_owned(),
    })
}

fn seen<T>(watcher: &Watcher, read: impl FnOnce(&mut Seen) -> T) -> T {
    read(&mut watcher.seen.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns each broken promise with the steps before it.
fn faults(texts: &[(Instant, String)], steps: &[(Instant, String)], started: Instant) -> Vec<String> {
    let seconds = |time: &Instant| time.duration_since(started).as_secs_f64();
    let fault = |(time, text): &(Instant, String)| {
        let before: Vec<&(Instant, String)> = steps.iter().filter(|(step, _)| step <= time).collect();
        let before = before.iter().rev().take(SHOWN).rev();
        let before: String =
            before.map(|(step, what)| format!("    {:.3} s: {what}\n", seconds(step))).collect();
        format!("at {:.3} s: {text}\n{before}", seconds(time))
    };
    texts.iter().map(fault).collect()
}

struct Run {
    servers: Servers,
    fleet: Fleet,
    book: Arc<Mutex<Book>>,
    members: Vec<bool>,
    started: Instant,
    steps: Vec<(Instant, String)>,
    restored: Vec<Duration>,
}

impl Run {
    fn note(&mut self, what: String) {
        self.steps.push((Instant::now(), what));
    }

    fn make(&mut self, step: Step) -> Result<()> {
        self.note(format!("{step:?}"));
        lock(&self.book).repair_begins(Instant::now());
        let mut concerned = self.groups_of(step.gateway())?;
        match step {
            Step::Kill { gateway, away } => {
                self.kill(gateway);
                lock(&self.book).gateway_ended(gateway, Instant::now());
                thread::sleep(away);
                self.fleet.restart(gateway)?;
            }
            Step::Crash { gateway } => {
                self.kill(gateway);
                self.change(gateway, State::Critical)?;
                lock(&self.book).gateway_ended(gateway, Instant::now());
                self.fleet.restart(gateway)?;
            }
            Step::Leave { gateway, keeps } => {
                lock(&self.book).gateway_ends(gateway, Instant::now());
                self.change(gateway, State::Absent)?;
                if !keeps {
                    self.fleet.kill(gateway);
                }
                lock(&self.book).gateway_ended(gateway, Instant::now());
                if !keeps {
                    self.fleet.restart(gateway)?;
                }
            }
            Step::Join { gateway } => self.change(gateway, State::Passing)?,
        }
        concerned.extend(self.groups_of(step.gateway())?);
        lock(&self.book).repair_concerns(concerned);
        self.note("  done".to_owned());
        Ok(())
    }

    /// Returns the groups whose owner or replica is this gateway.
    fn groups_of(&self, gateway: usize) -> Result<BTreeSet<usize>> {
        let (ring, address) = (Ring::read(&self.servers.ring)?, self.fleet.address(gateway));
        let mut groups = BTreeSet::new();
        for group in 0..GROUPS {
            if ring.homes(group)?.contains(&address) {
                groups.insert(group);
            }
        }
        Ok(groups)
    }

    fn kill(&mut self, gateway: usize) {
        lock(&self.book).gateway_ends(gateway, Instant::now());
        self.fleet.kill(gateway);
    }

    /// Changes the state of a gateway in the list and waits until Envoy has the new ring.
    fn change(&mut self, gateway: usize, to: State) -> Result<()> {
        let from = if self.members[gateway] { State::Passing } else { State::Absent };
        self.members[gateway] = to == State::Passing;
        self.servers.set_state(self.fleet.address(gateway), from, to)?;
        self.wait_ring()
    }

    fn wait_ring(&self) -> Result<()> {
        let on = (0..self.members.len()).filter(|gateway| self.members[*gateway]);
        let addresses: Vec<_> = on.map(|gateway| self.fleet.address(gateway)).collect();
        poll_until("the ring in Envoy", || {
            let ring = Ring::read(&self.servers.ring).ok().filter(|ring| ring.has(&addresses))?;
            (self.servers.digest()? == ring.digest()).then_some(())
        })
    }

    /// Waits until every group has two copies again, and the sweep that may have copied the last of them has ended: a copy may
    /// arrive after a newer push, and a sweep ends when it has seen that it did not, or copied again.
    fn wait_restored(&mut self, stop: &AtomicBool) -> Result<()> {
        let begin = Instant::now();
        let mut looked = begin;
        let mut problems = self.problems()?;
        let mut passes = None;
        // From COPIED on, a look covers all pushes that were accepted before the end of the step.
        let early = || begin.elapsed() <= COPIED;
        while !stop.load(Ordering::SeqCst) {
            if !early() && problems.is_empty() {
                let now = self.servers.passes()?;
                if *passes.get_or_insert(now) < now {
                    break;
                }
            }
            if begin.elapsed() > RESTORED {
                problems.truncate(20);
                bail!(
                    "not restored within {} s, at {:.3} s:\n{}",
                    RESTORED.as_secs(),
                    self.started.elapsed().as_secs_f64(),
                    problems.join("\n")
                );
            }
            self.servers.check()?;
            thread::sleep(TICK);
            looked = Instant::now();
            problems = self.problems()?;
        }
        lock(&self.book)
            .repair_ends(Instant::now(), looked.checked_sub(COPIED).context("a clock that began just now")?);
        self.restored.push(begin.elapsed());
        self.note("  restored".to_owned());
        Ok(())
    }

    /// Returns the groups that their owner or their replica does not hold as of [`COPIED`] ago.
    fn problems(&self) -> Result<Vec<String>> {
        let start = Instant::now();
        let on = (0..self.members.len()).filter(|gateway| self.members[*gateway]);
        let held: Vec<(usize, Exposed)> =
            on.map(|gateway| Ok((gateway, self.fleet.read(gateway)?))).collect::<Result<_>>()?;
        let end = Instant::now();
        let start = start.checked_sub(COPIED).context("a clock that began just now")?;
        let ring = Ring::read(&self.servers.ring)?;
        let book = lock(&self.book);
        let mut problems = Vec::new();
        for group in 0..GROUPS {
            let homes = ring.homes(group)?;
            for (gateway, exposed) in &held {
                let name = name(*gateway);
                let role = homes.iter().position(|home| *home == self.fleet.address(*gateway));
                let Some(role) = role else { continue };
                let role = ["owner", "replica"][role];
                for fault in book.judge_group(group, exposed, start, end) {
                    let history = book.history(group, self.started, fault.series).join("\n    ");
                    problems.push(format!("{name}, {role}: {fault}\n    {history}"));
                }
            }
        }
        Ok(problems)
    }
}
