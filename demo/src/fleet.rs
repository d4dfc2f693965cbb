//! The pushgateways that the demo started.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use pushring_harness::Pushgateway;
use rustix::process::Signal;

use crate::screen;

/// How long to try whether somebody answers at an address that is not ours.
const CONNECT: Duration = Duration::from_millis(500);

/// Pushgateways by address; killed when dropped.
#[derive(Debug)]
pub(crate) struct Fleet {
    dir: PathBuf,
    running: BTreeMap<SocketAddr, Pushgateway>,
}

impl Fleet {
    /// None yet; logs go below `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), running: BTreeMap::new() }
    }

    /// Starts one.
    ///
    /// # Errors
    /// As [`Pushgateway::start_at`].
    pub(crate) fn start(&mut self, address: SocketAddr) -> Result<()> {
        let gateway = Pushgateway::start_at(&self.dir, address, &[])?;
        self.running.insert(address, gateway);
        Ok(())
    }

    /// Sees to it that somebody listens at `address`, and says what it did. A pushgateway is started on this machine
    /// only, where the network does not reach it.
    pub(crate) fn ensure(&mut self, address: SocketAddr) -> Result<()> {
        if self.running.contains_key(&address) {
            return Ok(());
        }
        if address.ip().is_loopback() && TcpListener::bind(address).is_ok() {
            self.start(address)?;
            screen::event(format_args!("nobody listened at {address}: pushgateway started there"));
        } else if TcpStream::connect_timeout(&address, CONNECT).is_err() {
            screen::problem(format_args!(
                "nobody answers at {address}: pushes to it will fail; start one there"
            ));
        }
        Ok(())
    }

    /// Ends those that are not among `members`.
    pub(crate) fn keep(&mut self, members: &[SocketAddr]) {
        let gone: Vec<_> =
            self.running.keys().filter(|address| !members.contains(address)).copied().collect();
        for address in gone {
            let Some(mut gateway) = self.running.remove(&address) else { continue };
            match gateway.process.stop(Signal::TERM) {
                Ok(_) => screen::event(format_args!("pushgateway {address} stopped, what it held is gone")),
                Err(error) => screen::problem(format_args!("pushgateway {address} was killed: {error}")),
            }
        }
    }

    /// Says which have ended by themselves, and how to have them back.
    pub(crate) fn report_ended(&mut self) {
        let ended: Vec<_> = self
            .running
            .iter_mut()
            .filter_map(|(at, gateway)| Some((*at, gateway.process.ended()?)))
            .collect();
        for (address, status) in ended {
            screen::problem(format_args!("pushgateway {address} ended ({status}); start one there again:"));
            screen::command(start_command(address));
            self.running.remove(&address);
        }
    }

    /// Those that run: where, and as which process.
    pub(crate) fn running(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.running.iter().map(|(address, gateway)| (*address, gateway.process.id()))
    }
}

/// What the reader types to start a pushgateway.
pub(crate) fn start_command(address: SocketAddr) -> String {
    format!("target/tools/bin/pushgateway --web.listen-address={address}")
}
