//! `pushring sweep --watch`: the one active sweeper of a fleet runs a pass at a fixed interval until stopped.
//!
//! While members settle, or while deleting is not safe, a pass is a dry run that only updates the metrics.
//! A failed pass is logged and retried at the next interval.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::ValueEnum;
use tracing::info;

use super::log::EventLog;
use super::metrics::Metrics;
use super::pass::{self, Options};
use super::repair::require_replicas;
use super::report::{PassResult, Report};
use crate::cleanup::safety_check::SafetyCheck;
use crate::command::expire::report::Report as ExpireReport;
use crate::command::expire::rules::{self, JobRule, Rules};
use crate::command::given::Flag;
use crate::consul::lock::ConsulLock;
use crate::duration;
use crate::error::BadInput;
use crate::etcd::client::EtcdArgs;
use crate::etcd::lock::EtcdLock;
use crate::fleet::past::Past;
use crate::fleet::source::Source;
use crate::gateway::pool::{GatewayArgs, Gateways};
use crate::kubernetes::access::{KubernetesArgs, check_label};
use crate::kubernetes::lease::LeaseLock;
use crate::lock::Lock;
use crate::lock::held::Held;
use crate::lock::store::Store;
use crate::log;

/// Minimum interval between passes, because each pass reads every gateway.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which the lock and signals are checked.
const PAUSE: Duration = Duration::from_millis(100);
/// Interval at which members are read between passes.
const READ_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Watch mode")]
pub(crate) struct WatchArgs {
    /// Repeat the sweep at this interval, from start to start, until stopped. A lock elects one active sweeper and the others
    /// stand by
    #[arg(long, value_name = "TIME", value_parser = duration::within(Duration::ZERO, duration::DAY))]
    pub(crate) watch: Option<Duration>,
    /// Take no lock, because this is the only sweeper of the fleet
    #[arg(long, requires = "watch", conflicts_with = "lock")]
    pub(crate) single: bool,
    /// Where the lock is; default: consul with --consul
    #[arg(long, value_enum, value_name = "STORE", requires = "watch")]
    pub(crate) lock: Option<LockStore>,
    /// Name of the lock, one for each fleet; that of Consul comes from --service, --datacenter and --tag
    #[arg(long, value_name = "NAME", requires = "lock", default_value = "pushring-sweep")]
    pub(crate) lock_name: String,
    #[command(flatten)]
    pub(crate) etcd: EtcdArgs,
    #[command(flatten)]
    pub(crate) kubernetes: KubernetesArgs,
    /// Address at which /metrics is served; port 0 selects a free port, which is logged
    #[arg(long, value_name = "ADDRESS", requires = "watch", default_value = "127.0.0.1:9089", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Also delete groups whose last push is older than this, as `pushring expire --after`
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = rules::limit)]
    pub(crate) expire_after: Option<Duration>,
    /// Override the expiry time for jobs whose full name matches REGEX, as `pushring expire --job`. Repeatable
    #[arg(long = "expire-job", value_name = "REGEX=TIME", requires = "watch", value_parser = JobRule::parse)]
    pub(crate) expire_jobs: Vec<JobRule>,
}

/// Where the lock is that elects the active sweeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LockStore {
    /// A session that holds a key (the token needs session:write and key:write)
    Consul,
    /// A key that belongs to a lease (the user needs readwrite on the key /pushring/NAME)
    Etcd,
    /// A Lease (get, create and update on leases)
    Kubernetes,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:9089".to_owned())
}

impl WatchArgs {
    /// Requires that the lock reads each flag.
    ///
    /// # Errors
    /// [`BadInput`]: it ignores one.
    pub(crate) fn check(&self, given: &[Flag]) -> anyhow::Result<()> {
        for flag in given {
            let (store, name) = match flag.heading.as_str() {
                "etcd" => (LockStore::Etcd, "etcd"),
                "Kubernetes" => (LockStore::Kubernetes, "kubernetes"),
                _ => continue,
            };
            ensure!(
                self.lock == Some(store),
                BadInput(format!("--{}: only for --lock {name}; remove it, or add --lock {name}", flag.name))
            );
        }
        Ok(())
    }
}

/// Sweeps every `interval` until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`BadInput`] for an invalid flag or configuration, [`crate::error::NotSafe`] if groups do not have a
/// single owner each. Later errors are logged.
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
    let election = election(args, safety.source())?;
    check_configuration(safety.source(), options)?;
    log::start();
    let (metrics, address) = Metrics::serve(args.listen)?;
    info!(url = format!("http://{address}/metrics"), "started");
    let lock = election.map(Lock::join).transpose()?;
    let held = lock.as_ref().map(Lock::held);
    if let Some(held) = held.clone() {
        safety.require_lock(move || held.check());
    }
    let rules = Rules { after: args.expire_after, jobs: args.expire_jobs.clone() };
    let mut watcher = Watcher {
        safety,
        held,
        gateways,
        options,
        rules,
        metrics,
        events: EventLog::default(),
        past: Past::default(),
    };
    while !watcher.safety.interrupted() {
        let began = Instant::now();
        let active = watcher.is_active();
        watcher.metrics.active(active);
        if active {
            watcher.run_pass();
        }
        watcher.wait(began, interval, active);
    }
    if let Some(lock) = lock {
        lock.release();
    }
    info!("ended");
    Ok(())
}

/// Fails fast on configuration errors; a Consul outage is retried.
fn check_configuration(source: &Source, options: Options) -> anyhow::Result<()> {
    match source.read() {
        Ok(fleet) if options.repair => {
            fleet.require_owners()?;
            require_replicas(fleet.router.config())
        }
        Ok(fleet) => fleet.require_owners(),
        Err(error) if error.is::<BadInput>() => Err(error),
        Err(_) => Ok(()),
    }
}

/// Returns the lock that elects the active sweeper; `None` with `--single`.
fn election(args: &WatchArgs, source: &Source) -> anyhow::Result<Option<Box<dyn Store>>> {
    Ok(match (args.lock, source.consul()) {
        _ if args.single => None,
        (Some(LockStore::Etcd), _) => {
            check_label("--lock-name", &args.lock_name)?;
            Some(Box::new(EtcdLock::new(&args.etcd, &args.lock_name)?))
        }
        (Some(LockStore::Kubernetes), _) => {
            Some(Box::new(LeaseLock::new(&args.kubernetes, &args.lock_name)?))
        }
        (None | Some(LockStore::Consul), Some(consul)) => {
            // Other datacenters or tags make another fleet of the same service, with its own sweeper.
            let service = source.service();
            let parts = [list("dc", &service.datacenters), list("tag", &service.tags)];
            let name: Vec<_> =
                [service.service.clone()].into_iter().chain(parts.into_iter().flatten()).collect();
            Some(Box::new(ConsulLock::new(consul.clone(), &name)))
        }
        (Some(LockStore::Consul), None) => bail!(BadInput("--lock consul: requires --consul".to_owned())),
        (None, None) => bail!(BadInput(
            "--watch requires a lock that elects the active sweeper (--consul, or --lock) or --single (this is the only \
             sweeper)"
                .to_owned()
        )),
    })
}

fn list(name: &str, values: &[String]) -> Option<String> {
    let mut values = values.to_vec();
    values.sort();
    (!values.is_empty()).then(|| format!("{name}={}", values.join(",")))
}

struct Watcher<'a> {
    safety: SafetyCheck,
    held: Option<Arc<Held>>,
    gateways: &'a GatewayArgs,
    options: Options,
    rules: Rules,
    metrics: Metrics,
    events: EventLog,
    past: Past,
}

struct Pass {
    ended: PassResult,
    swept: Report,
    expired: ExpireReport,
}

impl Watcher<'_> {
    fn is_active(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.is_likely())
    }

    /// Waits until the next pass is due, this sweeper becomes active, or a signal arrives. Reads the members
    /// in the meantime, because Consul does not report that a member left and came back between two passes.
    fn wait(&mut self, began: Instant, interval: Duration, active: bool) {
        // The modification time of a file shows every change.
        let reads = active && self.safety.source().consul().is_some();
        let mut last_read = Instant::now();
        while began.elapsed() < interval && !self.safety.interrupted() && (active || !self.is_active()) {
            if reads && last_read.elapsed() >= READ_INTERVAL {
                // The next pass reports the error.
                if let Ok((fleet, _)) = self.safety.read_fleet() {
                    self.past.observe(&fleet);
                }
                last_read = Instant::now();
            }
            thread::sleep(PAUSE);
        }
    }

    fn run_pass(&mut self) {
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
        self.past.observe(&fleet);
        let config = fleet.router.config();
        self.metrics.fleet(config.members.len(), !left.is_zero());
        let paused = if left.is_zero() {
            self.safety.check().err().map(|error| format!("{error:#}"))
        } else {
            Some("members or settings may have changed recently (--settle)".to_owned())
        };
        let is_paused = paused.is_some();
        self.events.paused(paused);
        // For each pass, because passwords, certificates and CA certificates may have been replaced.
        let gateways = &Gateways::new(self.gateways, &fleet)?;
        let options = Options { dry_run: self.options.dry_run || is_paused, ..self.options };
        let swept = pass::pass(&fleet, gateways, &self.safety, (options, &self.past), |_, _| {})?;
        let expired = if self.rules.after.is_none() && self.rules.jobs.is_empty() {
            ExpireReport::default()
        } else if options.dry_run {
            rules::dry_run(&fleet, gateways, &self.rules)
        } else {
            rules::pass(&fleet, gateways, &self.safety, &self.rules, |_, _| {})
        };
        Ok(Pass { ended: if is_paused { PassResult::Paused } else { PassResult::Completed }, swept, expired })
    }
}
