//! The parts of every demo: Pushgateways, Envoy and the active ring.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use pushring::command::publish::RING_FILE;
use pushring::fleet::ring_file::RingFile;
use pushring_harness::{Envoy, Layout};
use pushring_router::Router;

use crate::fleet::Fleet;

/// Number of Envoy's workers: two, so that a new ring must reach both.
const WORKERS: u32 = 2;

/// A running demo.
#[derive(Debug)]
pub(crate) struct Demo {
    /// Dropped first, before the gateways to which it sends pushes.
    pub(crate) envoy: Envoy,
    /// The Pushgateways that the demo started.
    pub(crate) fleet: Fleet,
    /// The one that is no member, for the user to add. It does not run if the registry starts the gateways.
    pub(crate) spare: SocketAddr,
    /// Envoy's files.
    pub(crate) layout: Layout,
    /// The folder of everything that the demo writes.
    pub(crate) dir: PathBuf,
    /// The active ring.
    pub(crate) router: Router,
}

/// Starts Envoy with the files of `layout`.
///
/// # Errors
/// As [`Envoy::start`].
pub(crate) fn start_envoy(layout: &Layout) -> Result<Envoy> {
    Envoy::start(layout, WORKERS)
}

impl Demo {
    /// Returns the digest of the active ring.
    pub(crate) fn digest(&self) -> Option<String> {
        Some(self.envoy.status().ok()?["digest"].as_str()?.to_owned())
    }

    /// Requires that Envoy runs.
    ///
    /// # Errors
    /// If it has ended, with the end of its log.
    pub(crate) fn check_envoy(&mut self) -> Result<()> {
        if let Some(status) = self.envoy.process.ended() {
            bail!("Envoy ended ({status}), so the demo ends; {}", self.envoy.process.tail());
        }
        Ok(())
    }

    /// Returns the active ring if it changed.
    pub(crate) fn new_ring(&self) -> Option<Router> {
        let digest = self.digest().filter(|digest| *digest != self.router.digest())?;
        live_ring(&self.layout).ok().filter(|router| router.digest() == digest)
    }

    /// Returns address and process ID of the running Pushgateways except the spare one.
    pub(crate) fn gateways(&self) -> Vec<(SocketAddr, u32)> {
        self.fleet.running().filter(|(address, _)| *address != self.spare).collect()
    }
}

/// Reads the published ring.
///
/// # Errors
/// If its file is missing or invalid.
pub(crate) fn live_ring(layout: &Layout) -> Result<Router> {
    Ok(Router::new(RingFile::read(&layout.live().join(RING_FILE))?.config)?)
}
