//! The registry that `discover` follows, and its flags.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;

use super::target::To;
use crate::command::given::Flag;
use crate::consul::client::{self, Consul, ConsulArgs};
use crate::discover::consul;
use crate::discover::dns::DnsArgs;
use crate::discover::etcd::Keys;
use crate::discover::file::File;
use crate::discover::kubernetes::{KubernetesSource, KubernetesSourceArgs};
use crate::discover::source::Source;
use crate::error::BadInput;
use crate::etcd::client::{Etcd, EtcdArgs};
use crate::fleet::members::{ConsulSettings, Settings};
use crate::kubernetes::access::KubernetesArgs;

/// The flags of all sources.
#[derive(clap::Args)]
pub(super) struct SourceArgs {
    /// The registry
    #[arg(long, value_enum, display_order = 0)]
    from: From,
    /// Gateways for --from file: a list in JSON or YAML, or Prometheus' file_sd format
    #[arg(long, value_name = "FILE", required_if_eq("from", "file"))]
    file: Option<PathBuf>,
    /// Name of the service; for --from consul only if the settings have no section consul [default: pushgateway]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Agent for --from consul, as host:port or URL [env: CONSUL_HTTP_ADDR] [default: 127.0.0.1:8500]
    #[arg(long, value_name = "ADDRESS", help_heading = "Consul")]
    consul: Option<String>,
    #[command(flatten)]
    consul_access: ConsulArgs,
    #[command(flatten)]
    dns: DnsArgs,
    #[command(flatten)]
    etcd: EtcdArgs,
    #[command(flatten)]
    kubernetes: KubernetesSourceArgs,
}

/// The name under which gateways are registered by default.
const SERVICE: &str = "pushgateway";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// A service in Consul
    Consul,
    /// A name in DNS
    Dns,
    /// The keys /service/{name}/{id} in etcd
    Etcd,
    /// The EndpointSlices of a service
    Kubernetes,
    /// A file
    File,
}

impl From {
    fn name(self) -> &'static str {
        match self {
            Self::Consul => "consul",
            Self::Dns => "dns",
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::File => "file",
        }
    }

    /// Returns the sources that read a flag.
    fn of(flag: &Flag) -> &'static [Self] {
        match (flag.heading.as_str(), flag.name.as_str()) {
            ("Consul", _) => &[Self::Consul],
            ("DNS", _) => &[Self::Dns],
            ("etcd", _) => &[Self::Etcd],
            ("Kubernetes", _) => &[Self::Kubernetes],
            (_, "file") => &[Self::File],
            (_, "service") => &[Self::Consul, Self::Etcd, Self::Kubernetes],
            _ => &[Self::Consul, Self::Dns, Self::Etcd, Self::Kubernetes, Self::File],
        }
    }
}

impl SourceArgs {
    /// Requires that the source, or the target, reads each flag.
    ///
    /// # Errors
    /// [`BadInput`]: it ignores one.
    pub(super) fn check(&self, given: &[Flag], to: To) -> anyhow::Result<()> {
        for flag in given {
            let sources = From::of(flag);
            // The target is in Kubernetes, whatever the source.
            let of_target = to == To::Wasmplugin && ["kubeconfig", "namespace"].contains(&flag.name.as_str());
            if !of_target && !sources.contains(&self.from) {
                let names: Vec<_> = sources.iter().map(|source| source.name()).collect();
                let (flag, names, from) = (&flag.name, names.join(" or "), self.from.name());
                bail!(BadInput(format!(
                    "--{flag}: only for --from {names}, found --from {from}; remove --{flag}, or change --from"
                )));
            }
        }
        Ok(())
    }

    /// Returns how to reach Kubernetes, for the source or the target.
    pub(super) fn kubernetes(&self) -> &KubernetesArgs {
        self.kubernetes.access()
    }

    fn service(&self) -> String {
        self.service.clone().unwrap_or_else(|| SERVICE.to_owned())
    }

    /// Returns whether the source lists other services than the gateways, too.
    pub(super) fn has_services(&self) -> bool {
        self.from == From::Etcd
    }

    /// Makes the source, without a request to it; `all_services`: with the other services of the registry.
    ///
    /// # Errors
    /// [`BadInput`]: a flag or a setting of it is invalid.
    pub(super) fn make(&self, settings: &Settings, all_services: bool) -> anyhow::Result<Box<dyn Source>> {
        Ok(match self.from {
            From::Consul => self.consul(settings)?,
            From::Dns => Box::new(self.dns.source()?),
            From::Etcd => Box::new(Keys::new(Etcd::new(&self.etcd)?, &self.service(), all_services)?),
            From::Kubernetes => Box::new(KubernetesSource::new(&self.kubernetes, self.service())?),
            From::File => {
                let path = self.file.clone().context(BadInput("--file: missing".to_owned()))?;
                Box::new(File::new(path))
            }
        })
    }

    fn consul(&self, settings: &Settings) -> anyhow::Result<Box<dyn Source>> {
        let service = settings.consul.clone().unwrap_or_else(|| ConsulSettings {
            service: self.service(),
            datacenters: Vec::new(),
            tags: Vec::new(),
        });
        let other = self.service.as_ref().filter(|given| **given != service.service);
        ensure!(
            other.is_none(),
            BadInput(format!(
                "--service: found {:?}, but the settings have consul.service {:?}; change it there",
                other.map_or("", String::as_str),
                service.service
            ))
        );
        service.check(["--service", "consul.datacenters", "consul.tags"])?;
        let client = Consul::new(&client::address(self.consul.as_deref(), None), &self.consul_access)?;
        Ok(Box::new(consul::Consul::new(client, service)))
    }
}
