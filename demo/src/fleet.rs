//! The Pushgateways that the demo started.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::Result;
use pushring_harness::Pushgateway;

use crate::screen;

/// Pushgateways by address. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Fleet {
    dir: PathBuf,
    running: BTreeMap<SocketAddr, Pushgateway>,
}

impl Fleet {
    /// Starts none yet; the logs will be in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), running: BTreeMap::new() }
    }

    /// Starts a Pushgateway.
    ///
    /// # Errors
    /// As [`Pushgateway::start_at`].
    pub(crate) fn start(&mut self, address: SocketAddr) -> Result<()> {
        let gateway = Pushgateway::start_at(&self.dir, address, &[])?;
        self.running.insert(address, gateway);
        Ok(())
    }

    /// Stops a gateway.
    pub(crate) fn stop(&mut self, address: SocketAddr) {
        self.running.remove(&address);
    }

    /// Returns the gateways that have ended since the last call.
    pub(crate) fn ended(&mut self) -> Vec<(SocketAddr, ExitStatus)> {
        let ended: Vec<_> = self
            .running
            .iter_mut()
            .filter_map(|(at, gateway)| Some((*at, gateway.process.ended()?)))
            .collect();
        ended.iter().for_each(|(address, _)| self.stop(*address));
        ended
    }

    /// Prints which gateways have ended and how to start them again.
    pub(crate) fn report_ended(&mut self) {
        for (address, status) in self.ended() {
            screen::problem(format_args!("pushgateway {address} ended ({status}); start it again:"));
            screen::command(start_command(address));
        }
    }

    /// Returns addresses and process IDs of the running gateways.
    pub(crate) fn running(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.running.iter().map(|(address, gateway)| (*address, gateway.process.id()))
    }
}

/// Returns the command that starts a Pushgateway.
pub(crate) fn start_command(address: SocketAddr) -> String {
    format!("target/tools/bin/pushgateway --web.listen-address={address}")
}
