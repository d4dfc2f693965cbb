//! Members from a real Consul, through consul-template with the shipped templates.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use pushring::command::publish::RING_FILE;
use pushring::fleet::ring_file::RingFile;
use pushring_harness::http::Client;
use pushring_harness::{Consul, ConsulTemplate, Layout, Mode, Process, Templates, poll_until, tools};
use pushring_router::Router;

use crate::change::{self, Change};
use crate::consul_changes::{ConsulChanges, Health};
use crate::demo::Demo;
use crate::screen;

/// Health checks that are quicker than the defaults of `pushring register`, which are for production.
const CHECK: &str =
    "--interval 1s --timeout 900ms --failures-before-critical 2 --success-before-passing 1 --consul";

/// Its folder in that of the demo.
const TEMPLATE_LOG: &str = "consul-template/consul-template.log";

/// Consul and consul-template. Dropping it stops consul-template first.
#[derive(Debug)]
pub(crate) struct FromConsul {
    template: Option<ConsulTemplate>,
    consul: Option<Consul>,
    /// The address of Consul's HTTP API.
    pub(crate) address: SocketAddr,
    templates: Templates,
    client: Client,
    changes: ConsulChanges,
}

impl FromConsul {
    /// Starts Consul, registers the Pushgateways, and renders the first ring once they pass, before Envoy starts.
    ///
    /// # Errors
    /// If one of them fails.
    pub(crate) fn create(
        layout: &Layout,
        dir: &Path,
        ports: [u16; 3],
        gateways: &[SocketAddr],
    ) -> Result<(Self, Router)> {
        let consul = screen::step("Consul", || Consul::start_at(dir, ports))?;
        let address = consul.address;
        let command = register_command(address, gateways);
        screen::line("  registering the pushgateways:");
        screen::command(&command);
        run(&command)?;
        let client = Client::new(address)?;
        let health = screen::step("first health checks by Consul", || {
            poll_until("all pushgateways to be passing", || {
                let health = health(&client).ok()?;
                (health.len() == gateways.len() && health.values().all(|status| status == "passing"))
                    .then_some(health)
            })
        })?;
        let edits = [("mirror_deletes: true", "mirror_deletes: false")];
        let templates =
            Templates::install(layout, if layout.mode() == Mode::Redirect { &edits } else { &[] })?;
        screen::step("first ring, by consul-template -once", || templates.once(address))?;
        let router = live_ring(layout)?;
        let changes = ConsulChanges::new(health);
        Ok((Self { template: None, consul: Some(consul), address, templates, client, changes }, router))
    }

    /// Starts consul-template as a daemon.
    ///
    /// # Errors
    /// If it is not installed.
    pub(crate) fn follow(&mut self, admin: SocketAddr) -> Result<()> {
        self.templates.set_admin(admin)?;
        if let Some(consul) = &self.consul {
            self.template = Some(self.templates.start(consul.address)?);
        }
        Ok(())
    }

    /// Prints what happened.
    pub(crate) fn tick(&mut self, demo: &mut Demo) {
        self.report_ended(&demo.dir);
        // Reads the ring before its causes, so that the causes are known.
        let ring = new_ring(demo);
        if self.consul.is_some()
            && let Ok(health) = health(&self.client)
        {
            self.changes.health(Instant::now(), health);
        }
        if let Some(router) = ring {
            let change = Change::between(&demo.router, &router);
            screen::event(self.changes.ring(&change));
            if let Some(groups) = change.groups() {
                screen::line(groups);
            }
            demo.router = router;
        } else if let Some(line) = self.changes.without_ring(Instant::now(), &change::names(&demo.router)) {
            screen::event(line);
        }
    }

    fn report_ended(&mut self, dir: &Path) {
        let report = |name: &str, process: &mut Process, log: &str| {
            let status = process.ended()?;
            let log = screen::short(&dir.join(log));
            screen::problem(format_args!("{name} ended ({status}): the ring no longer changes; see {log}"));
            Some(())
        };
        if self.consul.as_mut().and_then(|it| report("Consul", it.process(), "consul.log")).is_some() {
            self.consul = None;
        }
        let template = self.template.as_mut();
        if template.and_then(|it| report("consul-template", &mut it.process, TEMPLATE_LOG)).is_some() {
            self.template = None;
        }
    }
}

/// Returns the command that registers Pushgateways.
pub(crate) fn register_command(consul: SocketAddr, gateways: &[SocketAddr]) -> String {
    let gateways: Vec<String> = gateways.iter().map(ToString::to_string).collect();
    format!("target/debug/pushring register {CHECK} {consul} {}", gateways.join(" "))
}

fn run(command: &str) -> Result<()> {
    tools::pushring()?;
    let output = Command::new("sh").args(["-c", command]).current_dir(tools::repository()).output()?;
    ensure!(output.status.success(), "pushring register: {}", String::from_utf8_lossy(&output.stderr).trim());
    let table = String::from_utf8_lossy(&output.stdout);
    table.trim_end().lines().for_each(|line| screen::line(format_args!("    {line}")));
    Ok(())
}

/// Returns the worst status of the checks of each registered Pushgateway, as Consul does.
fn health(client: &Client) -> Result<Health> {
    let answer = client.get("/v1/health/service/pushgateway")?.json()?;
    let entry = |entry: &serde_json::Value| {
        let service = &entry["Service"];
        let port = service["Port"].as_u64()?.try_into().ok()?;
        let address = SocketAddr::new(service["Address"].as_str()?.parse().ok()?, port).to_string();
        let checks = entry["Checks"].as_array()?.iter().filter_map(|check| check["Status"].as_str());
        let worst =
            checks.max_by_key(|status| ["passing", "warning", "critical"].iter().position(|s| s == status));
        Some((address, worst.unwrap_or("passing").to_owned()))
    };
    Ok(answer.as_array().context("no list")?.iter().filter_map(entry).collect())
}

/// Returns the active ring if it changed.
fn new_ring(demo: &Demo) -> Option<Router> {
    let digest = demo.digest().filter(|digest| *digest != demo.router.digest())?;
    live_ring(&demo.layout).ok().filter(|router| router.digest() == digest)
}

fn live_ring(layout: &Layout) -> Result<Router> {
    Ok(Router::new(RingFile::read(&layout.live().join(RING_FILE))?.config)?)
}
