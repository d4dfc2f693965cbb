//! The registry that `discover` follows, and its flags.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

use crate::discover::etcd::Keys;
use crate::discover::file::File;
use crate::discover::kubernetes::{KubernetesSource, KubernetesSourceArgs};
use crate::discover::source::Source;
use crate::error::BadInput;
use crate::etcd::client::{Etcd, EtcdArgs};
use crate::fleet::members::Settings;

/// The flags of all sources.
#[derive(clap::Args)]
pub(super) struct SourceArgs {
    /// The registry
    #[arg(long, value_enum)]
    from: From,
    /// Gateways for --from file: a list in JSON or YAML, or Prometheus' file_sd format
    #[arg(long, value_name = "FILE", required_if_eq("from", "file"))]
    file: Option<PathBuf>,
    /// Name of the service
    #[arg(long, value_name = "NAME", default_value = "pushgateway")]
    service: String,
    #[command(flatten)]
    etcd: EtcdArgs,
    #[command(flatten)]
    kubernetes: KubernetesSourceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// The keys /service/{name}/{id} in etcd
    Etcd,
    /// The EndpointSlices of a service
    Kubernetes,
    /// A file
    File,
}

impl SourceArgs {
    /// Makes the source, without a request to it.
    ///
    /// # Errors
    /// [`BadInput`]: a flag or a setting of it is invalid.
    pub(super) fn make(&self, _settings: &Settings) -> anyhow::Result<Box<dyn Source>> {
        match self.from {
            From::Etcd => Ok(Box::new(Keys::new(Etcd::new(&self.etcd)?, &self.service)?)),
            From::Kubernetes => Ok(Box::new(KubernetesSource::new(&self.kubernetes, self.service.clone())?)),
            From::File => {
                let path = self.file.clone().context(BadInput("--file: missing".to_owned()))?;
                Ok(Box::new(File::new(path)))
            }
        }
    }
}
