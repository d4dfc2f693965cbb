//! The whole chain from the registry to the Pushgateways.

use std::path::Path;

use anyhow::Result;

use super::follower::Follower;
use super::gateways::Gateways;
use super::plan::{GATEWAYS, State};
use super::registry::Registry;
use super::summary::Settings;
use crate::http::Client;
use crate::{Envoy, Layout, Ports};

/// Number of Envoy's workers: one worker alone could not show a wrong order between workers.
const WORKERS: u32 = 2;

/// The servers. Dropping it stops them, Envoy first.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) envoy: Envoy,
    status: Client,
    pub(super) follower: Follower,
    pub(super) registry: Registry,
    pub(super) gateways: Gateways,
}

impl Servers {
    /// Starts all servers in the order of the operations guide and registers the gateways that should pass.
    pub(super) fn start(dir: &Path, settings: Settings, states: &[State]) -> Result<Self> {
        let gateways = Gateways::start(dir, settings.source, GATEWAYS)?;
        let mut registry = Registry::start(settings.source, dir, &gateways.addresses())?;
        for index in (0..GATEWAYS).filter(|index| states[*index] == State::Passing) {
            registry.set_state(gateways.address(index), State::Absent, State::Passing)?;
        }
        let layout = Layout::create(&dir.join("pushring"), settings.mode, Ports::default())?;
        let mut follower = Follower::prepare(dir, settings.source, &layout, &registry, &[])?;
        let envoy = Envoy::start(&layout, WORKERS)?;
        follower.start(envoy.admin)?;
        let status = envoy.client()?;
        Ok(Self { envoy, status, follower, registry, gateways })
    }

    /// Returns the name of a gateway on the ring.
    pub(super) fn member(&self, gateway: usize) -> String {
        self.registry.member(self.gateways.address(gateway))
    }

    /// Moves a gateway from one state to another in the registry.
    pub(super) fn set_state(&mut self, gateway: usize, from: State, to: State) -> Result<()> {
        self.registry.set_state(self.gateways.address(gateway), from, to)
    }

    /// Returns the digest of the ring in Envoy.
    pub(super) fn digest(&self) -> Option<String> {
        let status = self.status.get("/-/pushring").ok()?.json().ok()?;
        status["digest"].as_str().map(str::to_owned)
    }
}
