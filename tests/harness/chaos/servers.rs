//! The whole chain from Consul to the Pushgateways, with the calls, kills and restarts that a run needs.

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

/// Number of Envoy's workers: one worker alone could not show a wrong order between workers.
const WORKERS: u32 = 2;
/// A publication that is not found within this time ended before the search.
const HUNT: Duration = Duration::from_secs(3);

/// The servers. Dropping it stops them, Envoy first.
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
    /// Starts all servers in the order of the operations guide and registers the gateways that should pass.
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

    /// Moves a gateway from one state to another in Consul.
    pub(super) fn set_state(&self, gateway: usize, from: State, to: State) -> Result<()> {
        let address = self.gateways.address(gateway);
        let status = if to == State::Passing { "passing" } else { "critical" };
        match (from, to) {
            (_, State::Absent) => self.consul.deregister(address),
            (State::Absent, _) => self.consul.register(address, status),
            (_, _) => self.consul.set_status(address, status),
        }
    }

    /// Returns the digest of the ring in Envoy.
    pub(super) fn digest(&self) -> Option<String> {
        let status = self.status.get("/-/pushring").ok()?.json().ok()?;
        status["digest"].as_str().map(str::to_owned)
    }

    /// Starts consul-template again if it ended, as its supervisor does.
    pub(super) fn supervise(&mut self) -> Result<()> {
        if self.consul_template.process.ended().is_some() {
            self.consul_template = self.templates.start(&self.consul)?;
        }
        Ok(())
    }

    /// Kills consul-template and everything that it runs at that moment.
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

    /// Kills the next `pushring publish` that consul-template starts, `after` it was found. Returns whether there was
    /// one.
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

/// Finds the process `pushring publish … --live <live> …`, not the shell that started it.
fn publish_process(live: &str) -> Option<Pid> {
    let processes = fs::read_dir("/proc").ok()?;
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(Pid::from_raw).find(|pid| {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let mut arguments = line.split('\0').skip(1);
        arguments.next() == Some("publish") && arguments.any(|argument| argument == live)
    })
}
