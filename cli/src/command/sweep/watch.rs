//! `pushring sweep --watch`: a pass every interval, by one sweeper of a fleet, for as long as it is let.
//!
//! A pass while members settle, or while it is not safe to act, is a dry run: what it finds still shows in the metrics.
//! An error in a pass is logged and the next pass is due at its time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use pushring_router::Config;
use tracing::info;

use super::log::{self, EventLog};
use super::metrics::Metrics;
use super::pass::{self, Options};
use super::report::{PassResult, Report};
use crate::cleanup::safety_check::SafetyCheck;
use crate::command::expire::report::Report as ExpireReport;
use crate::command::expire::rules::{self, JobRule, Rules};
use crate::consul::client::Consul;
use crate::consul::lock::Lock;
use crate::consul::lock_state::Held;
use crate::error::BadInput;
use crate::fleet::source::Source;
use crate::gateway::pool::{GatewayArgs, Gateways};

/// From one pass to the next at least: each reads every gateway.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// How soon it is noticed that the lock was gained, or that the end was asked for.
const PAUSE: Duration = Duration::from_millis(100);
/// From one look at the members to the next, between passes.
const LOOK: Duration = Duration::from_millis(500);

/// Going on instead of ending after one pass.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Watch mode")]
pub(crate) struct WatchArgs {
    /// Go on, with a pass each time this long after the last one began. With --consul one sweeper of a fleet is active
    /// and the others stand by (a session lock: the token needs session:write and key:write)
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) watch: Option<Duration>,
    /// Take no lock: nobody else sweeps this fleet
    #[arg(long, requires = "watch")]
    pub(crate) single: bool,
    /// Where to serve /metrics; port 0 is any free one, told in the log
    #[arg(long, value_name = "ADDRESS", requires = "watch", default_value = "127.0.0.1:9089")]
    pub(crate) listen: SocketAddr,
    /// Also delete groups whose last push is that long ago, as `pushring expire --after`
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = rules::limit)]
    pub(crate) expire_after: Option<Duration>,
    /// Another time for jobs that match as a whole, or never, as `pushring expire --job`; may be repeated
    #[arg(long = "expire-job", value_name = "REGEX=TIME", requires = "watch", value_parser = JobRule::parse)]
    pub(crate) expire_jobs: Vec<JobRule>,
}

/// Sweeps until Ctrl-C or SIGTERM, every `interval`. `safety` is new; what a pass does is in `options`.
///
/// # Errors
/// [`BadInput`] when a flag or the configuration cannot be used, [`crate::error::NotSafe`] where a group has no one owner. Once
/// it runs, errors are logged.
pub(crate) fn run(
    args: &WatchArgs,
    interval: Duration,
    gateways: &GatewayArgs,
    mut safety: SafetyCheck,
    options: Options,
) -> anyhow::Result<()> {
    ensure!(
        interval >= MIN_INTERVAL,
        BadInput(format!("--watch: found {interval:?}, allowed at least {MIN_INTERVAL:?}"))
    );
    let contest = contest(args, safety.source())?;
    usable(safety.source())?;
    log::start();
    let (metrics, address) = Metrics::serve(args.listen)?;
    info!(url = format!("http://{address}/metrics"), "started");
    let lock = contest.map(|(consul, name)| Lock::join(consul, &name)).transpose()?;
    let held = lock.as_ref().map(Lock::held);
    if let Some(held) = held.clone() {
        safety.require_lock(move || held.check());
    }
    let gateways = Connected { args: gateways, known: None };
    let rules = Rules { after: args.expire_after, jobs: args.expire_jobs.clone() };
    let mut watcher =
        Watcher { safety, held, gateways, options, rules, metrics, events: EventLog::default() };
    while !watcher.safety.interrupted() {
        let began = Instant::now();
        let active = watcher.is_active();
        watcher.metrics.active(active);
        if active {
            watcher.turn();
        }
        watcher.wait(began, interval, active);
    }
    if let Some(lock) = lock {
        lock.release();
    }
    info!("ended");
    Ok(())
}

/// What would not become usable by itself is told at once. Consul may come back.
fn usable(source: &Source) -> anyhow::Result<()> {
    match source.read() {
        Ok(fleet) => fleet.require_owners(),
        Err(error) if error.is::<BadInput>() => Err(error),
        Err(_) => Ok(()),
    }
}

/// Where a lock is to be had, and its name; none with `--single`.
fn contest(args: &WatchArgs, source: &Source) -> anyhow::Result<Option<(Consul, Vec<String>)>> {
    if args.single {
        return Ok(None);
    }
    let Some(consul) = source.consul() else {
        bail!(BadInput(
            "--watch: found neither --consul nor --single; with --consul a lock lets one sweeper work at a time, \
             without it give --single, and see to it that this is the only one"
                .to_owned()
        ));
    };
    // What differs in these is another fleet of the same service, with a sweeper of its own.
    let service = source.service();
    let parts = [list("dc", &service.datacenters), list("tag", &service.tags)];
    let name = [service.service.clone()].into_iter().chain(parts.into_iter().flatten()).collect();
    Ok(Some((consul.clone(), name)))
}

fn list(name: &str, values: &[String]) -> Option<String> {
    let mut values = values.to_vec();
    values.sort();
    (!values.is_empty()).then(|| format!("{name}={}", values.join(",")))
}

struct Watcher<'a> {
    safety: SafetyCheck,
    held: Option<Arc<Held>>,
    gateways: Connected<'a>,
    options: Options,
    /// Without any, nothing expires.
    rules: Rules,
    metrics: Metrics,
    events: EventLog,
}

/// What a pass found and did.
struct Pass {
    ended: PassResult,
    swept: Report,
    expired: ExpireReport,
}

impl Watcher<'_> {
    fn is_active(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.is_likely())
    }

    /// Until the next pass is due, this one gets active, or somebody asks for the end. Meanwhile it looks at the members:
    /// those that went and came back between two passes have to settle too, and Consul does not tell that they did.
    fn wait(&mut self, began: Instant, interval: Duration, active: bool) {
        // A file tells by itself when it changed.
        let looks = active && self.safety.source().consul().is_some();
        let mut looked = Instant::now();
        while began.elapsed() < interval && !self.safety.interrupted() && (active || !self.is_active()) {
            if looks && looked.elapsed() >= LOOK {
                // An error comes again in the next pass, which tells it.
                let _ = self.safety.read_fleet();
                looked = Instant::now();
            }
            thread::sleep(PAUSE);
        }
    }

    fn turn(&mut self) {
        let began = Instant::now();
        match self.pass() {
            Ok(pass) => {
                let took = began.elapsed();
                self.events.pass(pass.ended, &pass.swept, &pass.expired, took);
                self.metrics.found(&pass.swept, &pass.expired);
                self.metrics.pass(pass.ended, took);
            }
            Err(error) => {
                self.events.failed(&error);
                self.metrics.pass(PassResult::Failed, began.elapsed());
            }
        }
    }

    fn pass(&mut self) -> anyhow::Result<Pass> {
        let (fleet, left) = self.safety.read_fleet()?;
        let config = fleet.router.config();
        self.metrics.fleet(config.members.len(), !left.is_zero());
        let holding = if left.is_zero() {
            self.safety.check().err().map(|error| format!("{error:#}"))
        } else {
            Some("members or settings may have changed just now (--settle)".to_owned())
        };
        let held = holding.is_some();
        self.events.holding(holding);
        let gateways = self.gateways.of(config)?;
        let options = Options { dry_run: self.options.dry_run || held, ..self.options };
        let swept = pass::pass(&fleet, gateways, &self.safety, options, |_, _| {})?;
        let expired = if self.rules.after.is_none() && self.rules.jobs.is_empty() {
            ExpireReport::default()
        } else if options.dry_run {
            rules::dry_run(&fleet, gateways, &self.rules)
        } else {
            rules::pass(&fleet, gateways, &self.safety, &self.rules, |_, _| {})
        };
        Ok(Pass { ended: if held { PassResult::Paused } else { PassResult::Completed }, swept, expired })
    }
}

/// The clients of the gateways, made anew when a setting on which they rest changed.
struct Connected<'a> {
    args: &'a GatewayArgs,
    known: Option<(String, String, Gateways)>,
}

impl Connected<'_> {
    fn of(&mut self, config: &Config) -> anyhow::Result<&Gateways> {
        let (scheme, prefix) = (config.redirect_scheme, &config.path_prefix);
        let known = self.known.take().filter(|known| known.0 == scheme && known.1 == *prefix);
        let known = match known {
            Some(known) => known,
            None => (scheme.to_owned(), prefix.clone(), Gateways::new(self.args, config)?),
        };
        Ok(&self.known.insert(known).2)
    }
}
