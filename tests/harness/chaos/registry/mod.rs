//! The registry of a run: where the gateways are listed.

mod dns;
mod etcd;
mod file;
mod kubernetes;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use self::dns::Hosts;
use self::etcd::Keys;
use self::file::List;
use self::kubernetes::Slices;
use super::plan::State;
use crate::Consul;

/// Where the members come from, and how they reach Envoy's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Consul, by consul-template with the shipped templates.
    #[default]
    ConsulTemplate,
    /// Consul, by `pushring discover`.
    Consul,
    /// etcd, by `pushring discover`.
    Etcd,
    /// DNS, by `pushring discover`.
    Dns,
    /// Kubernetes, by `pushring discover`; only in a network of the caller.
    Kubernetes,
    /// A file, by `pushring discover`.
    File,
}

impl Source {
    /// Returns the moment from which the time until a change is live counts.
    pub(super) fn live_from(self) -> &'static str {
        match self {
            Self::Dns => {
                "the first answer of the DNS server with the change, which is asked once a second (TTL)"
            }
            _ => "the end of the call that changes the registry",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// A registry that runs.
#[derive(Debug)]
pub(super) enum Registry {
    Consul(Consul),
    Etcd(Keys),
    Dns(Hosts),
    Kubernetes(Box<Slices>),
    File(List),
}

impl Registry {
    /// Starts it without gateways. `all` are those that may join.
    pub(super) fn start(source: Source, dir: &Path, all: &[SocketAddr]) -> Result<Self> {
        Ok(match source {
            Source::ConsulTemplate | Source::Consul => Self::Consul(Consul::start_persistent(dir)?),
            Source::Etcd => Self::Etcd(Keys::start(dir)?),
            Source::Dns => Self::Dns(Hosts::start(dir, all)?),
            Source::Kubernetes => Self::Kubernetes(Box::new(Slices::start(dir, all)?)),
            Source::File => Self::File(List::create(dir)?),
        })
    }

    /// Returns the flags of `pushring discover` for it.
    pub(super) fn flags(&self) -> Vec<String> {
        match self {
            Self::Consul(consul) => vec!["--from=consul".to_owned(), format!("--consul={}", consul.address)],
            Self::Etcd(keys) => keys.flags(),
            Self::Dns(hosts) => hosts.flags(),
            Self::Kubernetes(slices) => slices.flags(),
            Self::File(list) => list.flags(),
        }
    }

    /// Returns the name of a gateway on the ring.
    pub(super) fn member(&self, address: SocketAddr) -> String {
        match self {
            Self::Dns(hosts) => hosts.member(address),
            Self::Kubernetes(slices) => slices.member(address),
            _ => address.to_string(),
        }
    }

    /// Moves a gateway from one state to another. When it returns, a client that asks gets the new state.
    pub(super) fn set_state(&mut self, address: SocketAddr, from: State, to: State) -> Result<()> {
        match self {
            Self::Consul(consul) => match (from, to) {
                (_, State::Absent) => consul.deregister(address),
                (State::Absent, _) => consul.register(address, status(to)),
                (_, _) => consul.set_status(address, status(to)),
            },
            Self::Etcd(keys) => keys.set_state(address, to),
            Self::Dns(hosts) => hosts.set_state(address, to),
            Self::Kubernetes(slices) => slices.set_state(address, to),
            Self::File(list) => list.set_state(address, to),
        }
    }

    /// Kills it, and starts it again after `away`. A file is removed and written again.
    pub(super) fn restart(&mut self, away: Duration) -> Result<()> {
        match self {
            Self::Consul(consul) => {
                consul.process().kill();
                thread::sleep(away);
                consul.restart()
            }
            Self::Etcd(keys) => keys.restart(away),
            Self::Dns(hosts) => hosts.restart(away),
            Self::Kubernetes(slices) => slices.restart(away),
            Self::File(list) => list.restart(away),
        }
    }
}

/// Returns the status of a registered gateway.
fn status(state: State) -> &'static str {
    if state == State::Passing { "passing" } else { "critical" }
}
