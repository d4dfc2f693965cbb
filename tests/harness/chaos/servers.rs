//! The whole chain, from Consul to the Pushgateways, and what is done to it: calls of Consul's API, kills, restarts.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::gateways::Gateways;
use super::plan::{GATEWAYS, State};
use crate::http::Client;
use crate::{Consul, ConsulTemplate, Envoy, Layout, Mode, Ports, Templates};

/// Workers of Envoy: with one there is no order between workers to get wrong.
const WORKERS: u32 = 2;
/// A publication that is not found in this time was over before anyone looked.
const HUNT: Duration = Duration::from_secs(3);

/// The servers; stopped when dropped, the load's server first.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) envoy: Envoy,
    status: Client,
    consul_template: ConsulTemplate,
    templates: Templates,
    consul: Consul,
    pub(super) gateways: Gateways,
    live: String,
}

impl Servers {
    /// Starts all, in the order that the operator's guide has, with the gateways registered that are to be passing.
    pub(super) fn start(dir: &Path, mode: Mode, states: &[State]) -> Result<Self> {
        let gateways = Gateways::start(dir, GATEWAYS)?;
        let consul = Consul::start_persistent(dir)?;
        for index in (0..GATEWAYS).filter(|index| states[*index] == State::Passing) {
            consul.register(gateways.address(index), "passing")?;
        }
        let layout = Layout::create(&dir.join("pushring"), mode, Ports::default())?;
        let templates = Templates::install(&layout, &[])?;
        templates.once(consul.address)?;
        let envoy = Envoy::start(&layout, WORKERS)?;
        templates.set_admin(envoy.admin)?;
        let consul_template = templates.start(&consul)?;
        let live = layout.live().to_str().context("the folder's name is not UTF-8")?.to_owned();
        let status = envoy.client()?;
        Ok(Self { envoy, status, consul_template, templates, consul, gateways, live })
    }

    /// Tells Consul that a gateway goes from one state to another.
    pub(super) fn tell(&self, gateway: usize, from: State, to: State) -> Result<()> {
        let address = self.gateways.address(gateway);
        let status = if to == State::Passing { "passing" } else { "critical" };
        match (from, to) {
            (_, State::Absent) => self.consul.deregister(address),
            (State::Absent, _) => self.consul.register(address, status),
            (_, _) => self.consul.set_status(address, status),
        }
    }

    /// The digest of the ring in Envoy.
    pub(super) fn digest(&self) -> Option<String> {
        let status = self.status.get("/-/pushring").ok()?.json().ok()?;
        status["digest"].as_str().map(str::to_owned)
    }

    /// As the supervisor of consul-template does: starts it again when it ended.
    pub(super) fn supervise(&mut self) -> Result<()> {
        if self.consul_template.process.ended().is_some() {
            self.consul_template = self.templates.start(&self.consul)?;
        }
        Ok(())
    }

    /// Kills consul-template; what it runs at that moment dies with it.
    pub(super) fn kill_consul_template(&mut self) -> Result<()> {
        self.consul_template.process.kill();
        self.supervise()
    }

    /// Kills Consul and starts it again after `away`.
    pub(super) fn restart_consul(&mut self, away: Duration) -> Result<()> {
        self.consul.process().kill();
        thread::sleep(away);
        self.consul.restart()
    }

    /// Kills the next `pushring publish` that consul-template starts, so long after it was seen; says whether there was
    /// one to kill.
    pub(super) fn hunt_publish(&self, after: Duration) -> thread::JoinHandle<bool> {
        let live = self.live.clone();
        thread::spawn(move || {
            let started = Instant::now();
            while started.elapsed() < HUNT {
                if let Some(pid) = publish_process(&live) {
                    thread::sleep(after);
                    return kill_process(pid, Signal::KILL).is_ok();
                }
                thread::sleep(Duration::from_millis(1));
            }
            false
        })
    }
}

/// The process `pushring publish … --live <live> …`, not the shell that started it.
fn publish_process(live: &str) -> Option<Pid> {
    let processes = fs::read_dir("/proc").ok()?;
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(Pid::from_raw).find(|pid| {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let mut arguments = line.split('\0').skip(1);
        arguments.next() == Some("publish") && arguments.any(|argument| argument == live)
    })
}
