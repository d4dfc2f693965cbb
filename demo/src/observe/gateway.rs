//! A gateway with the agent that registers it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use pushring_harness::{Process, Pushgateway, command, process, tools};
use rustix::process::Signal;

use super::store::Store;

/// A gateway is critical after eight seconds without an answer: long enough to see what happens in the meantime.
const CHECK: &str =
    "--lease 6s --interval 500ms --timeout 400ms --failures-before-critical 16 --success-before-passing 1";

/// Dropping it kills both processes.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    /// `None` after a crash.
    pub(super) server: Option<Pushgateway>,
    pub(super) agent: Process,
    dir: PathBuf,
}

impl Gateway {
    pub(super) fn start(dir: &Path, store: &Store, address: SocketAddr, metrics: SocketAddr) -> Result<Self> {
        let server = Some(Pushgateway::start_at(dir, address, &[])?);
        let mut agent = command::prepare(process::command(&tools::pushring()?));
        agent.args(["register", "--stay", &store.flag()]).args(CHECK.split(' '));
        agent.args([format!("--listen={metrics}"), address.to_string()]);
        let agent = Process::start(&format!("agent-{}", address.port()), agent, dir)?;
        Ok(Self { address, server, agent, dir: dir.to_owned() })
    }

    /// Kills the gateway.
    pub(super) fn crash(&mut self) {
        self.server = None;
    }

    /// Starts it again after a crash, empty.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.server = Some(Pushgateway::start_at(&self.dir, self.address, &[])?);
        Ok(())
    }

    /// Ends the agent: the gateway says that it leaves.
    pub(super) fn leave(&mut self) -> Result<()> {
        self.agent.stop(Signal::TERM).map(drop)
    }
}
