//! The parts of every demo: Pushgateways, Envoy and the active ring.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use pushring_harness::{Envoy, Layout, poll_until};
use pushring_router::Router;

use crate::fleet::Fleet;

/// Number of Envoy's workers: two, so that a new ring must reach both.
const WORKERS: u32 = 2;
/// Envoy's counters of accepted and rejected rings.
const ACCEPTED: &str = "extension_config_discovery.http_filter.pushring.config_reload";
const REJECTED: &str = "extension_config_discovery.http_filter.pushring.update_rejected";

/// A running demo.
#[derive(Debug)]
pub(crate) struct Demo {
    /// Dropped first, before the gateways to which it sends pushes.
    pub(crate) envoy: Envoy,
    /// The Pushgateways that the demo started.
    pub(crate) fleet: Fleet,
    /// Envoy's files.
    pub(crate) layout: Layout,
    /// The folder of everything that the demo writes.
    pub(crate) dir: PathBuf,
    /// The active ring.
    pub(crate) router: Router,
}

/// Numbers of rings that Envoy accepted and rejected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rings {
    accepted: u64,
    rejected: u64,
}

/// Starts Envoy with the files of `layout`.
///
/// # Errors
/// As [`Envoy::start`].
pub(crate) fn start_envoy(layout: &Layout) -> Result<Envoy> {
    Envoy::start(layout, WORKERS)
}

impl Demo {
    /// Returns the current numbers, for [`Demo::wait_live`].
    ///
    /// # Errors
    /// If Envoy's admin interface does not answer.
    pub(crate) fn rings(&self) -> Result<Rings> {
        let stat = |name| Ok::<_, anyhow::Error>(self.envoy.stat(name)?.unwrap_or(0));
        Ok(Rings { accepted: stat(ACCEPTED)?, rejected: stat(REJECTED)? })
    }

    /// Waits until a ring that was published after `before` is active and equals that of `router`.
    ///
    /// # Errors
    /// If Envoy rejects it or ends.
    pub(crate) fn wait_live(&mut self, before: Rings, router: &Router) -> Result<()> {
        let digest = router.digest();
        poll_until("the new ring to be active", || {
            if self.envoy.process.ended().is_some() {
                return Some(Err(anyhow!("Envoy ended")));
            }
            let rings = self.rings().ok()?;
            if rings.rejected > before.rejected {
                return Some(Err(anyhow!("Envoy rejected the ring; {}", self.envoy.process.tail())));
            }
            (rings.accepted > before.accepted && self.digest().as_ref() == Some(&digest)).then_some(Ok(()))
        })?
    }

    /// Returns the digest of the active ring.
    pub(crate) fn digest(&self) -> Option<String> {
        Some(self.envoy.status().ok()?["digest"].as_str()?.to_owned())
    }

    /// Prints which processes have ended.
    ///
    /// # Errors
    /// If Envoy has ended, with the end of its log.
    pub(crate) fn report_ended(&mut self) -> Result<()> {
        self.fleet.report_ended();
        if let Some(status) = self.envoy.process.ended() {
            bail!("Envoy ended ({status}), so the demo ends; {}", self.envoy.process.tail());
        }
        Ok(())
    }

    /// Returns the addresses of the running Pushgateways.
    pub(crate) fn gateways(&self) -> Vec<SocketAddr> {
        self.fleet.running().map(|(address, _)| address).collect()
    }
}
