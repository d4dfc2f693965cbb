//! Where the gateways are registered.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use pushring_harness::{Consul, Etcd, Process};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StoreKind {
    /// Consul with TTL checks
    Consul,
    /// Keys in etcd with a lease
    Etcd,
}

/// A store that runs.
#[derive(Debug)]
pub(super) enum Store {
    Consul(Consul),
    Etcd(Etcd),
}

impl Store {
    pub(super) fn start(kind: StoreKind, dir: &Path, ports: [u16; 3]) -> Result<Self> {
        Ok(match kind {
            StoreKind::Consul => Self::Consul(Consul::start_at(dir, ports)?),
            StoreKind::Etcd => Self::Etcd(Etcd::start_at(dir, ports)?),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Consul(_) => "Consul",
            Self::Etcd(_) => "etcd",
        }
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Consul(consul) => format!("http://{}", consul.address),
            Self::Etcd(etcd) => etcd.url(),
        }
    }

    /// Returns the flag that names it, for `register`, `discover` and the members of Consul.
    pub(super) fn flag(&self) -> String {
        match self {
            Self::Consul(_) => format!("--consul={}", self.url()),
            Self::Etcd(_) => format!("--etcd={}", self.url()),
        }
    }

    /// Returns the source for `discover`.
    pub(super) fn source(&self) -> &'static str {
        match self {
            Self::Consul(_) => "--from=consul",
            Self::Etcd(_) => "--from=etcd",
        }
    }

    /// Returns the store of the sweeper's lock.
    pub(super) fn lock(&self) -> &'static str {
        match self {
            Self::Consul(_) => "--lock=consul",
            Self::Etcd(_) => "--lock=etcd",
        }
    }

    pub(super) fn process(&mut self) -> &mut Process {
        match self {
            Self::Consul(consul) => consul.process(),
            Self::Etcd(etcd) => etcd.process(),
        }
    }
}
