//! The ports of a fleet: a block of consecutive ones.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use pushring_harness::Ports as EnvoyPorts;

use crate::ports;

/// Number of gateways at the start.
pub(super) const GATEWAYS: u16 = 4;

const COUNT: u16 = 31;
const STORE: u16 = 11;
const FIRST_GATEWAY: u16 = 14;
const FIRST_AGENT: u16 = 20;

/// A block of free ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports(u16);

impl Ports {
    /// # Errors
    /// If a port of the block is in use.
    pub(super) fn choose(first: u16) -> Result<Self> {
        Ok(Self(ports::block(first, COUNT, "make observe")?))
    }

    fn at(self, offset: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.0 + offset).into()
    }

    /// Returns the ports of an Envoy, 0 or 1.
    pub(super) fn envoy(self, index: u16) -> EnvoyPorts {
        let [push, operator, metrics, admin] = [0, 1, 2, 3].map(|offset| self.0 + 4 * index + offset);
        EnvoyPorts { push, operator, admin, metrics }
    }

    pub(super) fn discover(self, index: u16) -> SocketAddr {
        self.at(8 + index)
    }

    pub(super) fn sweeper(self) -> SocketAddr {
        self.at(10)
    }

    pub(super) fn store(self) -> [u16; 3] {
        [0, 1, 2].map(|offset| self.0 + STORE + offset)
    }

    pub(super) fn gateway(self, index: u16) -> SocketAddr {
        self.at(FIRST_GATEWAY + index)
    }

    /// Returns the address of the metrics of the agent of a gateway.
    pub(super) fn agent(self, index: u16) -> SocketAddr {
        self.at(FIRST_AGENT + index)
    }

    pub(super) fn prometheus(self) -> SocketAddr {
        self.at(26)
    }

    pub(super) fn alertmanager(self) -> SocketAddr {
        self.at(27)
    }

    pub(super) fn zipkin(self) -> SocketAddr {
        self.at(28)
    }

    pub(super) fn node_exporter(self) -> SocketAddr {
        self.at(29)
    }

    pub(super) fn serve(self) -> SocketAddr {
        self.at(30)
    }
}
