//! The running fleet, and what all steps of the story need.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use pushring_harness::{Mode, Process, command, poll_until, process, tools};
use serde_json::{Value, json};

use super::ObserveOptions;
use super::alerts::Alerts;
use super::config;
use super::gateway::Gateway;
use super::ingress::{self, Ingress};
use super::jobs::Jobs;
use super::ports::{GATEWAYS, Ports};
use super::store::Store;
use super::watchers;
use crate::screen;

/// Pause between two looks at processes and alerts.
const TICK: Duration = Duration::from_millis(100);
/// The file with the addresses, for programs.
pub(super) const WHERE: &str = "where.json";

/// The user or the clock ended it.
#[derive(Debug)]
pub(super) struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ended")
    }
}

impl std::error::Error for Ended {}

/// Everything. Dropping it stops the jobs and what watches first, so that nothing reports the end of the others.
pub(super) struct Running {
    pub(super) jobs: Jobs,
    /// The job that pushed past the ring, through Envoy.
    pub(super) repaired: Option<Jobs>,
    pub(super) mode: Mode,
    watchers: Vec<(&'static str, Process)>,
    pub(super) alerts: Alerts,
    pub(super) sweeper: Process,
    pub(super) ingress: Vec<Ingress>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) store: Store,
    pub(super) ports: Ports,
    pub(super) dir: PathBuf,
    pub(super) speed: u64,
    options: Value,
    shown: Vec<&'static str>,
    zipkin_is_up: bool,
    reported: BTreeSet<String>,
    stop: Arc<AtomicBool>,
    end: Option<Instant>,
}

impl Running {
    /// Starts all parts, those first that others need.
    ///
    /// # Errors
    /// If a part does not start, with its name and the end of its log.
    pub(super) fn start(
        options: &ObserveOptions,
        dir: &Path,
        stop: Arc<AtomicBool>,
        end: Option<Instant>,
    ) -> Result<Self> {
        let ObserveOptions { source, mode, port, speed, .. } = *options;
        screen::heading(format_args!(
            "pushring: {GATEWAYS} pushgateways, two Envoys (mode {mode}), and their observers"
        ));
        let ports = Ports::choose(port)?;
        let going = || if stop.load(Ordering::Relaxed) { Err(Ended) } else { Ok(()) };
        // Java needs most of the time, and nothing waits for it.
        let zipkin = watchers::zipkin(dir, ports.zipkin());
        if let Err(reason) = &zipkin {
            screen::problem(screen::wrap(&format!("no traces, without Zipkin: {reason}"), 3));
        }
        let store = Store::start(source, dir, ports.store())?;
        let name = store.name();
        screen::step(format_args!("{name} at {}", store.url()), || Ok(()))?;
        going()?;
        let gateways = screen::step("pushgateways, each with an agent that registers it", || {
            (0..GATEWAYS)
                .map(|index| Gateway::start(dir, &store, ports.gateway(index), ports.agent(index)))
                .collect::<Result<Vec<_>>>()
        })?;
        going()?;
        let alerts = Alerts::receive()?;
        let mut watchers: Vec<(&'static str, Process)> = Vec::new();
        watchers.extend(zipkin.ok().map(|process| ("Zipkin", process)));
        let traces = (!watchers.is_empty()).then(|| ports.zipkin());
        let ingress = screen::step("Envoys, each with `pushring discover`", || {
            wait_registered(&gateways)?;
            let start = |index: u16| {
                let folder = dir.join(format!("ingress-{}", index + 1));
                fs::create_dir(&folder)?;
                Ingress::start(&folder, mode, (ports, index), &store, traces)
            };
            // Each takes a second, at the same time.
            thread::scope(|scope| {
                let both = [0, 1].map(|index| scope.spawn(move || start(index)));
                both.map(|one| one.join().map_err(|_| anyhow!("a thread ended"))?)
                    .into_iter()
                    .collect::<Result<Vec<_>>>()
            })
        })?;
        going()?;
        let first = ingress.first().context("no Envoy")?;
        let serve =
            screen::step(format_args!("`pushring serve`, one page at http://{}/", first.envoy.push), || {
                watchers::serve(dir, ports.serve(), &first.ring(), first.envoy.push)
            })?;
        watchers.push(("pushring serve", serve));
        let sweeper = screen::step("sweeper", || sweeper(dir, &store, &ingress, ports.sweeper()))?;
        let node = screen::step("node_exporter", || watchers::node_exporter(dir, ports.node_exporter()))?;
        watchers.push(("node_exporter", node));
        let alertmanager =
            screen::step(format_args!("Alertmanager at http://{}/", ports.alertmanager()), || {
                watchers::alertmanager(dir, ports.alertmanager(), alerts.address, speed)
            })?;
        watchers.push(("Alertmanager", alertmanager));
        going()?;
        let agents = (0..=GATEWAYS).map(|index| ports.agent(index)).take(gateways.len()).collect();
        let targets: Vec<config::Targets<'_>> = vec![
            ("envoy", ingress.iter().map(|one| one.metrics).collect()),
            ("pushring-discover", vec![ports.discover(0), ports.discover(1)]),
            ("pushring-sweep", vec![ports.sweeper()]),
            // Through Envoy, as in prometheus-serve.yml.
            (config::SERVE, vec![first.envoy.push]),
            ("pushring-register", agents),
            ("node", vec![ports.node_exporter()]),
        ];
        let list = ingress::targets(&dir.join("ingress-1"));
        let config = config::prometheus(speed, &list, ports.alertmanager(), &targets)?;
        let prometheus = screen::step(format_args!("Prometheus at http://{}/", ports.prometheus()), || {
            watchers::prometheus(dir, ports.prometheus(), &config, speed)
        })?;
        watchers.push(("Prometheus", prometheus));
        let jobs = Jobs::start(ingress.iter().map(|one| one.envoy.push).collect());
        let options = json!({"mode": mode.to_string(), "source": name.to_lowercase(), "speed": speed});
        let running = Self {
            jobs,
            watchers,
            alerts,
            sweeper,
            ingress,
            gateways,
            store,
            ports,
            options,
            speed,
            stop,
            end,
            dir: dir.to_owned(),
            repaired: None,
            mode,
            shown: Vec::new(),
            zipkin_is_up: false,
            reported: BTreeSet::new(),
        };
        running.write_where(false)?;
        Ok(running)
    }

    /// Prints where to look.
    pub(super) fn guide(&self) -> Result<()> {
        let prometheus = self.ports.prometheus();
        screen::heading("Look here");
        let dir = screen::short(&self.dir);
        let first = self.ingress.first().context("no Envoy")?;
        for (name, url) in [
            ("page, /metrics", format!("http://{}/", first.envoy.push)),
            ("alerts, queries", format!("http://{prometheus}/api/v1/alerts")),
            ("alerts sent", format!("http://{}/api/v2/alerts", self.ports.alertmanager())),
            ("registry", self.store.url()),
            ("metrics of Envoy", format!("http://{}/metrics", first.metrics)),
            ("logs, files", dir.clone()),
            ("addresses", format!("{dir}/{WHERE}")),
        ] {
            screen::line(format_args!("  {name:<17} {url}"));
        }
        if self.watchers.iter().any(|(name, _)| *name == "Zipkin") {
            screen::line(format_args!(
                "  {:<17} http://{}/zipkin/?annotationQuery=error (starting)",
                "traces",
                self.ports.zipkin()
            ));
        }
        screen::text("The dashboard, in a second terminal; then open the address that it prints:");
        screen::command(format_args!("make preview PROMETHEUS=http://{prometheus}"));
        screen::text("The groups on all gateways, and what is wrong with them:");
        screen::command(format_args!(
            "target/debug/pushring groups --config {}",
            screen::short(&self.ring())
        ));
        screen::text(format_args!(
            "Each alert has a section in docs/runbook.md. Times in monitoring/ are divided by {}: an alert that waits five \
             minutes fires after {} seconds.",
            self.speed,
            300 / self.speed
        ));
        screen::heading("Jobs push now. Events:");
        Ok(())
    }

    /// Returns the ring file of the first Envoy.
    pub(super) fn ring(&self) -> PathBuf {
        self.ingress.first().map(Ingress::ring).unwrap_or_default()
    }

    /// Waits until `until` holds, for at most this time; returns whether it did.
    ///
    /// # Errors
    /// [`Ended`].
    pub(super) fn wait(&mut self, limit: Duration, until: impl Fn(&Self) -> bool) -> Result<bool> {
        let began = Instant::now();
        loop {
            self.report()?;
            if until(self) {
                return Ok(true);
            }
            let over = |end: Instant| Instant::now() >= end;
            if self.stop.load(Ordering::Relaxed) || self.end.is_some_and(over) {
                return Err(Ended.into());
            }
            if began.elapsed() >= limit {
                return Ok(false);
            }
            thread::sleep(TICK);
        }
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// [`Ended`].
    pub(super) fn pause(&mut self, time: Duration) -> Result<()> {
        self.wait(time, |_| false).map(drop)
    }

    /// Writes down that a step of the story was shown.
    pub(super) fn shown(&mut self, step: &'static str, is_last: bool) -> Result<()> {
        self.shown.push(step);
        self.write_where(is_last)
    }

    /// Writes the addresses for programs, as a whole.
    fn write_where(&self, is_over: bool) -> Result<()> {
        let url = |address: SocketAddr| format!("http://{address}");
        let envoys: Vec<Value> = self
            .ingress
            .iter()
            .zip(0..)
            .map(|(one, index)| {
                json!({
                    "push": url(one.envoy.push), "admin": url(one.envoy.admin), "metrics": url(one.metrics),
                    "operator": one.envoy.operator.map(url), "discover": url(self.ports.discover(index)),
                    "ring": one.ring(),
                })
            })
            .collect();
        let mut all = json!({
            "process": std::process::id(),
            "prometheus": url(self.ports.prometheus()),
            "alertmanager": url(self.ports.alertmanager()),
            "zipkin": self.zipkin_is_up.then(|| url(self.ports.zipkin())),
            "registry": self.store.url(),
            "sweeper": url(self.ports.sweeper()),
            "serve": url(self.ports.serve()),
            "envoys": envoys,
            "gateways": self.gateways.iter().map(|gateway| url(gateway.address)).collect::<Vec<_>>(),
            "story": self.shown, "story_is_over": is_over,
        });
        for (name, value) in self.options.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let new = self.dir.join("where.new");
        fs::write(&new, serde_json::to_string_pretty(&all)?)?;
        Ok(fs::rename(new, self.dir.join(WHERE))?)
    }

    /// Prints which processes have ended, and when Zipkin is up.
    fn report(&mut self) -> Result<()> {
        let mut ended = Vec::new();
        let mut look = |name: String, process: &mut Process| {
            if let Some(status) = process.ended() {
                ended.push((name, status, process.log_file().to_owned()));
            }
        };
        for (name, process) in &mut self.watchers {
            look((*name).to_owned(), process);
        }
        look("the sweeper".to_owned(), &mut self.sweeper);
        look(self.store.name().to_owned(), self.store.process());
        for (one, number) in self.ingress.iter_mut().zip(1..) {
            look(format!("Envoy {number}"), &mut one.envoy.process);
            look(format!("discover {number}"), &mut one.discover);
        }
        for gateway in &mut self.gateways {
            if let Some(server) = &mut gateway.server {
                look(format!("pushgateway {}", gateway.address), &mut server.process);
            }
        }
        for (name, status, log) in ended {
            if self.reported.insert(name.clone()) {
                screen::problem(format_args!("{name} ended ({status}); see\n   {}", screen::short(&log)));
            }
        }
        let has_zipkin = self.watchers.iter().any(|(name, _)| *name == "Zipkin");
        if has_zipkin && !self.zipkin_is_up && watchers::answers(self.ports.zipkin(), "/health") {
            self.zipkin_is_up = true;
            screen::event(format_args!("Zipkin is up: http://{}/zipkin/", self.ports.zipkin()));
            self.write_where(false)?;
        }
        Ok(())
    }
}

fn wait_registered(gateways: &[Gateway]) -> Result<()> {
    let registered = |gateway: &Gateway| gateway.agent.log().contains("\"message\":\"registered\"");
    poll_until("the agents to register all gateways", || gateways.iter().all(registered).then_some(()))
}

fn sweeper(dir: &Path, store: &Store, ingress: &[Ingress], listen: SocketAddr) -> Result<Process> {
    let mut command = command::prepare(process::command(&tools::pushring()?));
    command.args(["sweep", "--watch", "5s", "--settle", "5s", store.lock(), &store.flag()]);
    command.arg(format!("--listen={listen}"));
    for one in ingress {
        command.arg(format!("--envoy=http://{}", one.envoy.push));
    }
    if let Some(first) = ingress.first() {
        command.arg("--config").arg(first.ring());
    }
    Process::start("sweeper", command, dir)
}
