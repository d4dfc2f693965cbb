//! Consul with its health checks.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pushring_harness::http::Client;
use pushring_harness::{Consul, poll_until, tools};

use super::{Place, Registry, Server, Step};
use crate::consul_changes::Health;
use crate::screen;

/// Health checks that are quicker than the defaults of `pushring register`, which are for production.
const CHECK: &str =
    "--interval 1s --timeout 900ms --failures-before-critical 2 --success-before-passing 1 --consul";

/// A Consul agent with the registered Pushgateways.
#[derive(Debug)]
pub(crate) struct ConsulAgent {
    consul: Consul,
    client: Client,
}

impl ConsulAgent {
    /// Starts Consul, registers the Pushgateways, and waits until they pass.
    ///
    /// # Errors
    /// If one of them fails.
    pub(crate) fn start(place: &Place<'_>) -> Result<Self> {
        let consul = screen::step("Consul", || Consul::start_at(place.dir, place.ports))?;
        let command = register_command(consul.address, place.gateways);
        screen::line("  registering the pushgateways:");
        screen::command(&command);
        run(&command)?;
        let agent = Self { client: Client::new(consul.address)?, consul };
        screen::step("first health checks by Consul", || {
            poll_until("all pushgateways to be passing", || {
                let health = agent.health().ok()?;
                let pass = health.values().all(|status| status == "passing");
                (pass && health.len() == place.gateways.len()).then_some(())
            })
        })?;
        Ok(agent)
    }

    /// Returns the address of the HTTP API.
    pub(crate) fn address(&self) -> SocketAddr {
        self.consul.address
    }

    /// Returns the worst status of the checks of each registered Pushgateway, as Consul does, or that it leaves.
    ///
    /// # Errors
    /// If Consul does not answer.
    pub(crate) fn health(&self) -> Result<Health> {
        let answer = self.client.get("/v1/health/service/pushgateway")?.json()?;
        let entry = |entry: &serde_json::Value| {
            let service = &entry["Service"];
            let port = service["Port"].as_u64()?.try_into().ok()?;
            let address = SocketAddr::new(service["Address"].as_str()?.parse().ok()?, port).to_string();
            let checks = entry["Checks"].as_array()?.iter().filter_map(|check| check["Status"].as_str());
            let worst = checks
                .max_by_key(|status| ["passing", "warning", "critical"].iter().position(|s| s == status));
            let leaves = service["Meta"]["pushring-leaving"] == "true";
            Some((address, if leaves { "leaving" } else { worst.unwrap_or("passing") }.to_owned()))
        };
        Ok(answer.as_array().context("no list")?.iter().filter_map(entry).collect())
    }
}

impl Registry for ConsulAgent {
    fn flags(&self) -> Vec<String> {
        vec!["--from=consul".to_owned(), format!("--consul={}", self.consul.address)]
    }

    fn guide(&self, spare: SocketAddr, members: &[(SocketAddr, u32)]) -> Vec<Step> {
        let consul = self.consul.address;
        let mut steps = vec![
            Step::new(
                format!(
                    "Consul's page is http://{consul}/ui/. Register the spare gateway; it passes \
                     after its first check:"
                ),
                [register_command(consul, &[spare])],
            ),
            Step::new(
                "Deregister it:",
                [format!("target/debug/pushring deregister --consul {consul} {spare}")],
            ),
        ];
        if let Some((address, process)) = members.get(1).or(members.first()) {
            let id = address.to_string().replace(':', "_");
            let maintenance = |enable| {
                format!("curl -X PUT 'http://{consul}/v1/agent/service/maintenance/{id}?enable={enable}'")
            };
            steps.push(Step::new(
                format!("Suspend and resume Pushgateway {address}; its check fails:"),
                [format!("kill -STOP {process}"), format!("kill -CONT {process}")],
            ));
            steps.push(Step::new("Start and end its maintenance:", [maintenance(true), maintenance(false)]));
        }
        steps
    }

    fn servers(&mut self) -> Vec<Server<'_>> {
        vec![Server { name: "Consul".to_owned(), process: self.consul.process(), restart: None }]
    }
}

fn register_command(consul: SocketAddr, gateways: &[SocketAddr]) -> String {
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
