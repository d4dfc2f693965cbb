//! The registry that `discover` follows, and its flags.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

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

/// The flags of all sources.
#[derive(clap::Args)]
pub(super) struct SourceArgs {
    /// The registry
    #[arg(long, value_enum, display_order = 0)]
    from: From,
    /// Gateways for --from file: a list in JSON or YAML, or Prometheus' file_sd format
    #[arg(long, value_name = "FILE", required_if_eq("from", "file"))]
    file: Option<PathBuf>,
    /// Name of the service; for --from consul only if the settings have no section consul
    #[arg(long, value_name = "NAME", default_value = "pushgateway")]
    service: String,
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

impl SourceArgs {
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
            From::Etcd => Box::new(Keys::new(Etcd::new(&self.etcd)?, &self.service, all_services)?),
            From::Kubernetes => Box::new(KubernetesSource::new(&self.kubernetes, self.service.clone())?),
            From::File => {
                let path = self.file.clone().context(BadInput("--file: missing".to_owned()))?;
                Box::new(File::new(path))
            }
        })
    }

    fn consul(&self, settings: &Settings) -> anyhow::Result<Box<dyn Source>> {
        let service = settings.consul.clone().unwrap_or_else(|| ConsulSettings {
            service: self.service.clone(),
            datacenters: Vec::new(),
            tags: Vec::new(),
        });
        service.check(["--service", "consul.datacenters", "consul.tags"])?;
        let client = Consul::new(&client::address(self.consul.as_deref(), None), &self.consul_access)?;
        Ok(Box::new(consul::Consul::new(client, service)))
    }
}
