//! The registries from which the members come: what each starts, and what the user can do with it.

mod consul;
mod dns;
mod etcd;
mod file;
mod kubernetes;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use pushring_harness::Process;

pub(crate) use consul::ConsulAgent;
pub(crate) use kubernetes::{PODS, pod_address};

use crate::fleet::Fleet;

/// Where the members come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// A file with a list of gateways
    File,
    /// Keys in etcd with a lease, kept by an agent next to each gateway
    Etcd,
    /// Consul with its health checks
    Consul,
    /// Addresses of a name in DNS
    Dns,
    /// Pods of a StatefulSet in Kubernetes
    Kubernetes,
    /// Consul, followed by consul-template instead of `pushring discover`
    ConsulTemplate,
}

impl Source {
    /// Returns what the source is, and the name of the server that it needs.
    pub(crate) fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::File => ("a file", None),
            Self::Etcd => ("etcd", Some("etcd")),
            Self::Consul => ("Consul", Some("Consul")),
            Self::Dns => ("DNS", Some("dnsmasq")),
            // Its ports are in a network of its own.
            Self::Kubernetes => ("Kubernetes", None),
            Self::ConsulTemplate => ("Consul (consul-template)", Some("Consul")),
        }
    }
}

/// Where a registry starts.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// The folder for its files.
    pub(crate) dir: &'a Path,
    /// Its ports.
    pub(crate) ports: [u16; 3],
    /// The Pushgateways to register at the start.
    pub(crate) gateways: &'a [SocketAddr],
}

/// A registry that runs. Dropping it stops it.
pub(crate) trait Registry {
    /// Returns the flags of `pushring discover` for it.
    fn flags(&self) -> Vec<String>;

    /// Returns what the user can do: to add `spare`, to remove it, and what else the registry offers.
    fn guide(&self, spare: SocketAddr, members: &[(SocketAddr, u32)]) -> Vec<Step>;

    /// Returns the name of a member on the ring.
    fn member(&self, address: SocketAddr) -> String {
        address.to_string()
    }

    /// Returns the command for a shell in the network of the servers; `None` if that is the network of the user.
    fn enter(&self) -> Option<String> {
        None
    }

    /// Watches the gateways.
    ///
    /// # Errors
    /// If the registry starts gateways, and one does not start.
    fn tick(&mut self, fleet: &mut Fleet) -> Result<()> {
        fleet.report_ended();
        Ok(())
    }

    /// Returns its servers.
    fn servers(&mut self) -> Vec<Server<'_>>;
}

/// A process of a registry.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    pub(crate) name: String,
    pub(crate) process: &'a mut Process,
    /// The command that starts it again after its end, if the user can do that.
    pub(crate) restart: Option<String>,
}

/// Commands that the user can copy, and what they do.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) commands: Vec<String>,
}

impl Step {
    pub(crate) fn new(text: impl Into<String>, commands: impl IntoIterator<Item = String>) -> Self {
        Self { text: text.into(), commands: commands.into_iter().collect() }
    }
}

/// Starts the registry that `pushring discover` follows, and registers the Pushgateways. Kubernetes starts them itself.
///
/// # Errors
/// If it is not installed or does not become ready.
pub(crate) fn start(source: Source, place: &Place<'_>, fleet: &mut Fleet) -> Result<Box<dyn Registry>> {
    Ok(match source {
        Source::File => Box::new(file::GatewaysFile::create(place)?),
        Source::Etcd => Box::new(etcd::EtcdServer::start(place)?),
        Source::Dns => Box::new(dns::DnsServer::start(place)?),
        Source::Kubernetes => Box::new(kubernetes::Cluster::start(place, fleet)?),
        Source::Consul | Source::ConsulTemplate => Box::new(ConsulAgent::start(place)?),
    })
}
