//! What both kinds of demo have: pushgateways, an Envoy, a ring in force.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use pushring_harness::{Envoy, Layout, poll_until};
use pushring_router::Router;

use crate::fleet::Fleet;

/// Envoy's threads; two, so that a new ring has to reach both.
const WORKERS: u32 = 2;
/// Counts the rings that Envoy took, and those it refused.
const TAKEN: &str = "extension_config_discovery.http_filter.pushring.config_reload";
const REFUSED: &str = "extension_config_discovery.http_filter.pushring.update_rejected";

/// A running demo.
#[derive(Debug)]
pub(crate) struct Demo {
    /// Stops first, before what it sends pushes to.
    pub(crate) envoy: Envoy,
    /// The pushgateways that the demo started.
    pub(crate) fleet: Fleet,
    /// Envoy's files.
    pub(crate) layout: Layout,
    /// All that the demo writes is in here.
    pub(crate) dir: PathBuf,
    /// The ring in force.
    pub(crate) router: Router,
}

/// How many rings Envoy took and refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rings {
    taken: u64,
    refused: u64,
}

/// Starts Envoy with the files of `layout`.
///
/// # Errors
/// As [`Envoy::start`].
pub(crate) fn start_envoy(layout: &Layout) -> Result<Envoy> {
    Envoy::start(layout, WORKERS)
}

impl Demo {
    /// To compare with later, by [`Demo::wait_live`].
    ///
    /// # Errors
    /// When Envoy's admin page does not answer.
    pub(crate) fn rings(&self) -> Result<Rings> {
        let stat = |name| Ok::<_, anyhow::Error>(self.envoy.stat(name)?.unwrap_or(0));
        Ok(Rings { taken: stat(TAKEN)?, refused: stat(REFUSED)? })
    }

    /// Waits until a ring that was published after `before` serves, and it is that of `router`.
    ///
    /// # Errors
    /// When Envoy refuses it or ends.
    pub(crate) fn wait_live(&mut self, before: Rings, router: &Router) -> Result<()> {
        let digest = router.digest();
        poll_until("the new ring to serve", || {
            if self.envoy.process.ended().is_some() {
                return Some(Err(anyhow!("Envoy ended")));
            }
            let rings = self.rings().ok()?;
            if rings.refused > before.refused {
                return Some(Err(anyhow!("Envoy refused the ring; {}", self.envoy.process.tail())));
            }
            (rings.taken > before.taken && self.digest().as_ref() == Some(&digest)).then_some(Ok(()))
        })?
    }

    /// That of the ring in force, as the filter says.
    pub(crate) fn digest(&self) -> Option<String> {
        Some(self.envoy.status().ok()?["digest"].as_str()?.to_owned())
    }

    /// Says which processes have ended.
    ///
    /// # Errors
    /// When Envoy has: with the end of its log.
    pub(crate) fn report_ended(&mut self) -> Result<()> {
        self.fleet.report_ended();
        if let Some(status) = self.envoy.process.ended() {
            bail!("Envoy ended ({status}), so the demo ends; {}", self.envoy.process.tail());
        }
        Ok(())
    }

    /// The addresses of the pushgateways that run.
    pub(crate) fn gateways(&self) -> Vec<SocketAddr> {
        self.fleet.running().map(|(address, _)| address).collect()
    }
}
