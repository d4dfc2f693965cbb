//! etcd, with an agent next to each gateway that keeps its key.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use anyhow::Result;
use pushring_harness::{Etcd, Process, command, process, tools};

use super::{Place, Registry, Server, Step};
use crate::screen;

/// Checks and leases that are quicker than the defaults, which are for production.
const QUICK: &str = "--lease 3s --interval 1s --timeout 900ms --failures-before-critical 2 \
                     --success-before-passing 1 --listen 127.0.0.1:0";
/// In the log of an agent whose gateway is registered.
const REGISTERED: &str = "\"message\":\"registered\"";

/// etcd and the agents.
#[derive(Debug)]
pub(super) struct EtcdServer {
    /// By gateway. Dropped before etcd.
    agents: BTreeMap<SocketAddr, Process>,
    etcd: Etcd,
}

impl EtcdServer {
    pub(super) fn start(place: &Place<'_>) -> Result<Self> {
        let etcd = screen::step("etcd", || Etcd::start_at(place.dir, place.ports))?;
        let mut server = Self { agents: BTreeMap::new(), etcd };
        screen::line("  next to each pushgateway, an agent that checks and registers it:");
        screen::command(server.agent_command("ADDRESS"));
        screen::step("first checks by the agents", || server.start_agents(place))?;
        Ok(server)
    }

    fn start_agents(&mut self, place: &Place<'_>) -> Result<()> {
        for &address in place.gateways {
            let mut command = command::prepare(process::command(&tools::pushring()?));
            command.args(["register", "--stay", "--etcd", &self.etcd.url()]).args(QUICK.split_whitespace());
            command.arg(address.to_string());
            let agent = Process::start(&format!("agent-{}", address.port()), command, place.dir)?;
            self.agents.insert(address, agent);
        }
        for agent in self.agents.values_mut() {
            agent.wait_until("registered", |agent| agent.log().contains(REGISTERED).then_some(()))?;
        }
        Ok(())
    }

    fn agent_command(&self, address: impl fmt::Display) -> String {
        format!("target/debug/pushring register --stay --etcd {} {QUICK} {address}", self.etcd.url())
    }
}

impl Registry for EtcdServer {
    fn flags(&self) -> Vec<String> {
        vec!["--from=etcd".to_owned(), format!("--etcd={}", self.etcd.url())]
    }

    fn guide(&self, spare: SocketAddr, members: &[(SocketAddr, u32)]) -> Vec<Step> {
        let mut steps = vec![Step::new(
            "Start the agent of the spare gateway in a second terminal. Ctrl-C ends it: the gateway leaves.",
            [self.agent_command(spare)],
        )];
        if let Some((address, process)) = members.get(1).or(members.first()) {
            steps.push(Step::new(
                format!("Suspend and resume Pushgateway {address}; its check fails:"),
                [format!("kill -STOP {process}"), format!("kill -CONT {process}")],
            ));
        }
        if let Some((address, agent)) = self.agents.first_key_value() {
            steps.push(Step::new(
                format!("End the agent of Pushgateway {address}, which then leaves:"),
                [format!("kill -TERM {}", agent.id())],
            ));
        }
        steps
    }

    fn servers(&mut self) -> Vec<Server<'_>> {
        let restarts: Vec<_> = self.agents.keys().map(|address| Some(self.agent_command(address))).collect();
        let agents = self.agents.iter_mut().zip(restarts).map(|((address, process), restart)| Server {
            name: format!("the agent of {address}"),
            process,
            restart,
        });
        let etcd = Server { name: "etcd".to_owned(), process: self.etcd.process(), restart: None };
        agents.chain([etcd]).collect()
    }
}
