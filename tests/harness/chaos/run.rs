//! Runs the changes one after another and collects the results.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::ledger::Ledger;
use super::load::Load;
use super::plan::{Change, GATEWAYS, Kill, Plan, State};
use super::ring::Ring;
use super::servers::Servers;
use super::summary::{Settings, Summary};
use crate::poll_until;

/// Number of changes between two checks of all pushes.
const QUIET_EVERY: usize = 10;
/// Number of changes between two progress lines.
const PRINT_EVERY: usize = 50;

/// Pause between the pushes of one connection. Some thousand pushes a second in total leave the servers room on two
/// cores, because the run measures their reaction.
const PAUSE: Duration = Duration::from_millis(1);

/// Runs the changes; `print` gets the progress lines.
///
/// # Errors
/// If a server fails in a way that stops the run, such as a change that never becomes live. Lost pushes are not an error:
/// see [`Summary::lost`].
pub fn run(settings: Settings, print: impl FnMut(&str)) -> Result<Summary> {
    let dir = tempfile::tempdir()?;
    let summary = run_in(dir.path(), settings, print);
    if summary.as_ref().is_ok_and(|summary| summary.lost.is_empty()) {
        return summary;
    }
    let kept = dir.keep();
    summary.with_context(|| format!("the logs are in {}", kept.display()))
}

fn run_in(dir: &Path, settings: Settings, mut print: impl FnMut(&str)) -> Result<Summary> {
    let mut plan = Plan::new(settings.seed);
    let states = plan.states().to_vec();
    let servers = Servers::start(dir, settings, &states)?;
    let ring = Ring::of(settings.mode, &servers, &states)?;
    poll_until("the first ring", || (servers.digest()? == ring.digest).then_some(()))?;
    let ledger = Ledger::new(GATEWAYS, ring.owners);
    let load = Load::start(servers.envoy.push, PAUSE)?;
    let (counts, slowest, live) = (BTreeMap::new(), String::new(), [vec![], vec![]]);
    let mut run = Run { settings, servers, states, ledger, load, counts, slowest, live };
    for number in 1..=settings.changes {
        run.make(&plan.next())?;
        if number % QUIET_EVERY == 0 || number == settings.changes {
            run.look()?;
        }
        if number % PRINT_EVERY == 0 {
            let (pushes, lost) = (run.ledger.pushes, run.ledger.lost.len());
            print(&format!("{} mode: {number} changes, {pushes} pushes, {lost} lost", settings.mode));
        }
    }
    run.wait()?;
    run.look()?;
    let Run { ledger, load, mut live, slowest, counts, servers, .. } = run;
    drop(load);
    live.iter_mut().for_each(|times| times.sort_unstable());
    let [live, live_after_kill] = live;
    drop(servers);
    let envoy_log = dir.join("pushring/envoy.log");
    ensure!(ledger.pushes > settings.changes as u64, "too few pushes to prove anything: {}", ledger.pushes);
    Ok(Summary {
        settings,
        pushes: ledger.pushes,
        lost: ledger.lost,
        live,
        live_after_kill,
        slowest,
        counts,
        envoy_log,
    })
}

struct Run {
    settings: Settings,
    servers: Servers,
    /// The state of each gateway in the registry.
    states: Vec<State>,
    ledger: Ledger,
    load: Load,
    counts: BTreeMap<String, usize>,
    slowest: String,
    /// Times until a change was live, without and with a kill.
    live: [Vec<Duration>; 2],
}

impl Run {
    fn make(&mut self, change: &Change) -> Result<()> {
        self.ledger.note(change.to_string());
        *self.counts.entry(format!("{:?}", change.step)).or_default() += 1;
        let hunt = (change.kill == Some(Kill::Publish))
            .then(|| self.servers.follower.hunt_publish(change.pause / 16));
        let mut changed = None;
        for (index, state) in change.states.iter().enumerate() {
            if index > 0 {
                thread::sleep(change.pause);
            }
            // Only the last call is timed, because the earlier ones have been in progress during the pause.
            changed = self.set_state(change.gateway, *state)?;
        }
        let mut killed = change.kill.is_some();
        match change.kill {
            None => (),
            Some(Kill::Follower) => {
                thread::sleep(change.pause);
                self.servers.follower.kill()?;
            }
            Some(Kill::Registry) => self.kill_registry(change.pause)?,
            Some(Kill::Publish) => killed = hunt.is_some_and(|hunt| hunt.join().unwrap_or(false)),
        }
        if let Some(kill) = change.kill.filter(|_| killed) {
            *self.counts.entry(format!("{kill:?} killed")).or_default() += 1;
        }
        if change.wait {
            self.wait().with_context(|| change.to_string())?;
            if let Some(time) = changed {
                self.time(change, time.elapsed());
            }
            thread::sleep(change.pause);
        }
        Ok(())
    }

    fn time(&mut self, change: &Change, live: Duration) {
        let [undisturbed, after_kill] = &mut self.live;
        if change.kill.is_some() {
            after_kill.push(live);
            return;
        }
        if undisturbed.iter().all(|other| *other < live) {
            self.slowest = format!("{change} {} ms", live.as_millis());
        }
        undisturbed.push(live);
    }

    /// Sets a new state in the registry. Returns the time after the call if the change affects the ring.
    fn set_state(&mut self, gateway: usize, state: State) -> Result<Option<Instant>> {
        let from = std::mem::replace(&mut self.states[gateway], state);
        let changes = (from == State::Passing) != (state == State::Passing);
        if changes {
            let ring = Ring::of(self.settings.mode, &self.servers, &self.states)?;
            self.ledger.ring_may_be(ring.owners);
        }
        self.servers.set_state(gateway, from, state)?;
        Ok(changes.then(Instant::now))
    }

    fn kill_registry(&mut self, away: Duration) -> Result<()> {
        // At its start Consul's agent marks checks as critical that were not renewed; real services renew them all the
        // time.
        for gateway in (0..GATEWAYS).filter(|gateway| self.states[*gateway] == State::Passing) {
            self.servers.set_state(gateway, State::Passing, State::Passing)?;
        }
        self.servers.registry.restart(away)
    }

    /// Waits until Envoy has the latest ring.
    fn wait(&mut self) -> Result<()> {
        let ring = Ring::of(self.settings.mode, &self.servers, &self.states)?;
        poll_until("the ring in Envoy", || match self.servers.follower.supervise() {
            Ok(()) => (self.servers.digest()? == ring.digest).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })??;
        self.ledger.ring_seen();
        Ok(())
    }

    /// Checks all pushes.
    fn look(&mut self) -> Result<()> {
        self.load.pause(|pushes| self.ledger.judge(&pushes, || self.servers.gateways.held()))
    }
}
