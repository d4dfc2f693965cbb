//! One run: change after change, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pushring_router::{Config, Router};

use super::ledger::{Ledger, Loss};
use super::load::{self, GROUPS, Load};
use super::plan::{Change, Kill, Plan, State};
use super::servers::Servers;
use crate::{Member, Mode, live, poll_until};

/// Gateways that come and go.
const GATEWAYS: usize = 6;
/// After so many changes all that was pushed is looked for.
const QUIET_EVERY: usize = 10;
/// How often the progress is told, in changes.
const TELL_EVERY: usize = 50;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// `Cluster` or `Endpoint`.
    pub mode: Mode,
    /// How many changes.
    pub changes: usize,
    /// The same seed gives the same changes, though not at the same times.
    pub seed: u64,
}

/// What came of it; displayed as the one line that says it all.
#[derive(Debug)]
pub struct Summary {
    settings: Settings,
    pushes: u64,
    /// Pushes that were not answered 2xx, or are not where they belong.
    pub lost: Vec<Loss>,
    /// Times until a change was live, undisturbed ones, in ascending order.
    live: Vec<Duration>,
    /// The same with something killed on the way.
    live_after_kill: Vec<Duration>,
    /// The change that took longest of the undisturbed ones.
    slowest: String,
    /// What happened how often.
    counts: BTreeMap<String, usize>,
    /// Envoy's log; kept when a push was lost.
    pub envoy_log: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { mode, changes, .. } = self.settings;
        let (p50, p99) = (percentile(&self.live, 50), percentile(&self.live, 99));
        let (pushes, lost) = (self.pushes, self.lost.len());
        write!(f, "chaos mode={mode} changes={changes} pushes={pushes} lost={lost} ")?;
        write!(f, "live_ms_p50={p50} live_ms_p99={p99}")
    }
}

impl Summary {
    /// What happened how often, and how long a change took with something killed on its way.
    #[must_use]
    pub fn details(&self) -> String {
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let (p50, p99) = (percentile(&self.live_after_kill, 50), percentile(&self.live_after_kill, 99));
        let (counts, slowest) = (counts.join(", "), &self.slowest);
        format!("{counts}; live after a kill: p50 {p50} ms, p99 {p99} ms; slowest without: {slowest}")
    }
}

/// Runs; `tell` gets a line now and then.
///
/// # Errors
/// When a server does not do what it must for the run to go on, such as a change that is never live. Pushes that were
/// lost are no error here: see [`Summary::lost`].
pub fn run(settings: Settings, tell: impl FnMut(&str)) -> Result<Summary> {
    let dir = tempfile::tempdir()?;
    let summary = run_in(dir.path(), settings, tell);
    if summary.as_ref().is_ok_and(|summary| summary.lost.is_empty()) {
        return summary;
    }
    let kept = dir.keep();
    summary.with_context(|| format!("the logs are in {}", kept.display()))
}

fn run_in(dir: &Path, settings: Settings, mut tell: impl FnMut(&str)) -> Result<Summary> {
    let servers = Servers::start(dir, settings.mode, GATEWAYS)?;
    let states = vec![State::Passing; GATEWAYS];
    let ring = Ring::of(settings.mode, &servers, &states)?;
    poll_until("the first ring", || (servers.digest()? == ring.digest).then_some(()))?;
    let ledger = Ledger::new(GATEWAYS, ring.owners);
    let load = Load::start(servers.envoy.push)?;
    let (counts, slowest, live) = (BTreeMap::new(), String::new(), [vec![], vec![]]);
    let mut run = Run { settings, servers, states, ledger, load, counts, slowest, live };
    let mut plan = Plan::new(settings.seed, GATEWAYS);
    for number in 1..=settings.changes {
        run.make(&plan.next())?;
        if number % QUIET_EVERY == 0 || number == settings.changes {
            run.look()?;
        }
        if number % TELL_EVERY == 0 {
            let (pushes, lost) = (run.ledger.pushes, run.ledger.lost.len());
            tell(&format!("{} mode: {number} changes, {pushes} pushes, {lost} lost", settings.mode));
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
    /// What Consul was told of each gateway.
    states: Vec<State>,
    ledger: Ledger,
    load: Load,
    counts: BTreeMap<String, usize>,
    slowest: String,
    /// Times until a change was live: undisturbed, and with something killed.
    live: [Vec<Duration>; 2],
}

impl Run {
    fn make(&mut self, change: &Change) -> Result<()> {
        self.ledger.note(change.to_string());
        *self.counts.entry(format!("{:?}", change.step)).or_default() += 1;
        let hunt = (change.kill == Some(Kill::Publish)).then(|| self.servers.hunt_publish(change.pause / 16));
        let mut changed = None;
        for (index, state) in change.states.iter().enumerate() {
            if index > 0 {
                thread::sleep(change.pause);
            }
            changed = self.tell(change.gateway, *state)?.or(changed);
        }
        let mut killed = change.kill.is_some();
        match change.kill {
            None => (),
            Some(Kill::ConsulTemplate) => {
                thread::sleep(change.pause);
                self.servers.kill_consul_template()?;
            }
            Some(Kill::Consul) => self.kill_consul(change.pause)?,
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

    /// Tells Consul of a new state; gives the time when it knew, if that changes the ring.
    fn tell(&mut self, gateway: usize, state: State) -> Result<Option<Instant>> {
        let from = std::mem::replace(&mut self.states[gateway], state);
        let changes = (from == State::Passing) != (state == State::Passing);
        if changes {
            let ring = Ring::of(self.settings.mode, &self.servers, &self.states)?;
            self.ledger.ring_may_be(ring.owners);
        }
        self.servers.tell(gateway, from, state)?;
        Ok(changes.then(Instant::now))
    }

    fn kill_consul(&mut self, away: Duration) -> Result<()> {
        // A check that its service did not renew is critical when the agent starts; services renew theirs all the time.
        for gateway in (0..GATEWAYS).filter(|gateway| self.states[*gateway] == State::Passing) {
            self.servers.tell(gateway, State::Passing, State::Passing)?;
        }
        self.servers.restart_consul(away)
    }

    /// Waits until Envoy has the latest ring.
    fn wait(&mut self) -> Result<()> {
        let ring = Ring::of(self.settings.mode, &self.servers, &self.states)?;
        poll_until("the ring in Envoy", || match self.servers.supervise() {
            Ok(()) => (self.servers.digest()? == ring.digest).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })??;
        self.ledger.ring_seen();
        Ok(())
    }

    /// Looks for all that was pushed.
    fn look(&mut self) -> Result<()> {
        let held = self.load.pause(|pushes| Ok((pushes, self.servers.gateways.held()?)));
        let (pushes, held) = held?;
        self.ledger.judge(&pushes, &held);
        Ok(())
    }
}

/// The ring of the gateways that are passing, as the filter is to make it.
struct Ring {
    digest: String,
    /// The gateway that owns each group.
    owners: Vec<usize>,
}

impl Ring {
    fn of(mode: Mode, servers: &Servers, states: &[State]) -> Result<Self> {
        let passing = (0..states.len()).filter(|gateway| states[*gateway] == State::Passing);
        let addresses: BTreeMap<String, usize> =
            passing.map(|gateway| (servers.gateways.address(gateway).to_string(), gateway)).collect();
        let members: Vec<Member> = addresses
            .keys()
            .map(|address| Member { name: address.clone(), address: address.clone(), weight: 1 })
            .collect();
        let router = Router::new(Config::parse(live::config(mode, &members)?.to_string().as_bytes())?)?;
        let owner = |group| {
            let key = router.group(load::path(group).as_bytes()).context("not a push path")?.key;
            let owner = router.owner(&key).context("no members")?;
            addresses.get(&owner.name).copied().context("an unknown owner")
        };
        Ok(Self { digest: router.digest(), owners: (0..GROUPS).map(owner).collect::<Result<_>>()? })
    }
}

/// Milliseconds; the smallest time that is not below that part of all.
fn percentile(sorted: &[Duration], percent: usize) -> u128 {
    let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(index).map(Duration::as_millis).unwrap_or_default()
}
