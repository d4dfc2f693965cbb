//! Whether Envoy's ring follows a removal from Consul, or the guard (`min_members_share`) keeps the last one.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::services::RegistrationResult;
use crate::consul::client::Consul;
use crate::error::BadInput;
use crate::fleet::address::GatewayAddress;
use crate::fleet::members::{ConsulSettings, Members, Settings};
use crate::fleet::registration::{Registration, Registrations};
use crate::fleet::source::{read, share};
use crate::{output, text};

/// Where `publish` reads its settings.
const SETTINGS: &str = "/etc/pushring/consul-template/settings.yaml";

#[derive(clap::Args)]
#[command(next_help_heading = "Ring")]
pub(super) struct RingArgs {
    /// Settings of `pushring publish`, to say whether Envoy's ring follows [default:
    /// /etc/pushring/consul-template/settings.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// min_members_share of settings.yaml, instead of the one in the file: with fewer registered members passing, Envoy
    /// keeps its last ring [default: from the settings, else 0.5]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_members_share: Option<f64>,
}

/// The settings of the ring from which gateways are removed.
pub(super) struct RingForecast {
    settings: Settings,
    service: ConsulSettings,
}

impl RingArgs {
    /// Reads the settings of the ring of this service.
    ///
    /// # Errors
    /// [`BadInput`]: the given file is invalid, or that of another service. A default file that is invalid is only a warning,
    /// because it must not prevent a removal.
    pub(super) fn forecast(&self, service: &str) -> anyhow::Result<RingForecast> {
        let default = Path::new(SETTINGS);
        let found = match &self.settings {
            Some(file) => Some(settings(file, service)?),
            None if default.exists() => {
                settings(default, service).map_err(|error| output::warn(format_args!("{error:#}"))).ok()
            }
            None => None,
        };
        let mut settings = found.map_or_else(|| Settings::parse("{}"), Ok)?;
        settings.min_members_share = self.min_members_share.unwrap_or(settings.min_members_share);
        let of_agent =
            || ConsulSettings { service: service.to_owned(), datacenters: Vec::new(), tags: Vec::new() };
        let service = settings.consul.clone().unwrap_or_else(of_agent);
        Ok(RingForecast { settings, service })
    }
}

fn settings(file: &Path, service: &str) -> anyhow::Result<Settings> {
    let settings = Settings::parse(&read(file)?).with_context(|| text::path(file))?;
    let found = settings.consul.as_ref().map_or(service, |consul| &consul.service);
    ensure!(
        found.eq_ignore_ascii_case(service),
        BadInput(format!(
            "{}: consul.service: found {found:?}, and the gateways are registered as {service:?}; use --settings with the \
             settings of that ring",
            text::path(file)
        ))
    );
    Ok(settings)
}

impl RingForecast {
    /// Returns why Envoy keeps its ring without these gateways, or why that is unknown; `None` if it follows.
    pub(super) fn held(&self, consul: &Consul, removed: &[RegistrationResult]) -> Option<String> {
        match self.left(consul, removed) {
            Ok(left) => {
                let error = Members::decide(&self.settings, &left).ring(&self.service.service).err()?;
                Some(format!("{}; until then, Envoy still sends pushes to removed gateways", error.0))
            }
            Err(error) => Some(format!("whether Envoy's ring follows is unknown: {error:#}")),
        }
    }

    /// Reads the registrations without the removed ones, which the catalog may still have; after a dry run, it has.
    fn left(&self, consul: &Consul, removed: &[RegistrationResult]) -> anyhow::Result<Registrations> {
        let ConsulSettings { service, tags, .. } = &self.service;
        let mut all = Registrations::default();
        for datacenter in self.service.queried() {
            let mut found = consul.registrations(service, datacenter, tags)?;
            let own = || consul.node().is_some_and(|(own, _)| Some(own.as_str()) == datacenter);
            if datacenter.is_none() || own() {
                found.found.retain(|one| !removed.iter().any(|result| is_removed(one, result)));
            }
            all.extend(found);
        }
        Ok(all)
    }
}

fn is_removed(one: &Registration, result: &RegistrationResult) -> bool {
    let address = GatewayAddress::new(&one.address, one.port).map(|address| address.to_string());
    let stays =
        || result.still_registered.iter().any(|holder| holder.id == one.id && holder.node == one.node);
    address.as_ref() == Ok(&result.address) && !stays()
}
