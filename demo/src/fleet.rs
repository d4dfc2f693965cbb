//! The Pushgateways that the demo started.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use pushring_harness::Pushgateway;
use rustix::process::Signal;

use crate::screen;

/// Timeout of the connection to an address where the demo started no gateway.
const CONNECT: Duration = Duration::from_millis(500);

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

    /// Starts a Pushgateway at `address` if no server listens there, and prints what it did. It starts one on loopback
    /// addresses only.
    pub(crate) fn ensure(&mut self, address: SocketAddr) -> Result<()> {
        if self.running.contains_key(&address) {
            return Ok(());
        }
        if address.ip().is_loopback() && TcpListener::bind(address).is_ok() {
            self.start(address)?;
            screen::event(format_args!("no server at {address}: pushgateway started there"));
        } else if TcpStream::connect_timeout(&address, CONNECT).is_err() {
            screen::problem(format_args!(
                "no server answers at {address}: pushes to it will fail until you start one"
            ));
        }
        Ok(())
    }

    /// Stops the gateways that are not in `members`.
    pub(crate) fn keep(&mut self, members: &[SocketAddr]) {
        let gone: Vec<_> =
            self.running.keys().filter(|address| !members.contains(address)).copied().collect();
        for address in gone {
            let Some(mut gateway) = self.running.remove(&address) else { continue };
            match gateway.process.stop(Signal::TERM) {
                Ok(_) => screen::event(format_args!("pushgateway {address} stopped; its groups are gone")),
                Err(error) => screen::problem(format_args!("pushgateway {address} was killed: {error}")),
            }
        }
    }

    /// Prints which gateways have ended and how to start them again.
    pub(crate) fn report_ended(&mut self) {
        let ended: Vec<_> = self
            .running
            .iter_mut()
            .filter_map(|(at, gateway)| Some((*at, gateway.process.ended()?)))
            .collect();
        for (address, status) in ended {
            screen::problem(format_args!("pushgateway {address} ended ({status}); start it again:"));
            screen::command(start_command(address));
            self.running.remove(&address);
        }
    }

    /// Returns address and process ID of the running gateways.
    pub(crate) fn running(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.running.iter().map(|(address, gateway)| (*address, gateway.process.id()))
    }
}

/// Returns the command that starts a Pushgateway.
pub(crate) fn start_command(address: SocketAddr) -> String {
    format!("target/tools/bin/pushgateway --web.listen-address={address}")
}
