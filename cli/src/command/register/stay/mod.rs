//! `pushring register --stay`: the agent on the machine of a gateway.

mod agent;
mod check;
mod consul;
mod etcd;
mod host;
mod metrics;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::ensure;
use pushring_router::{Member, Mode};
use serde_json::{Value, json};
use tracing::info;

use self::agent::Agent;
use self::check::{Check, READY};
use self::store::Store;
use super::health_check::HealthCheck;
use super::{TargetArgs, probe, services};
use crate::cleanup::safety_check::SafetyArgs;
use crate::command::drain;
use crate::consul::client::{self, Consul};
use crate::consul::service_name;
use crate::duration;
use crate::error::{BadInput, ExitStatus};
use crate::etcd::client::{Etcd, EtcdArgs};
use crate::etcd::prefix;
use crate::fleet::address::GatewayAddress;
use crate::fleet::source::{FleetArgs, Source};
use crate::gateway::pool::GatewayArgs;
use crate::http::Tls;
use crate::log;
use crate::metrics_server::MetricsServer;

#[derive(clap::Args)]
#[command(next_help_heading = "Agent")]
pub(super) struct StayArgs {
    /// Stay, check the gateway, and keep its registration while the check passes; SIGTERM removes it
    #[arg(long, conflicts_with_all = ["from_dynamic_sharding", "dry_run", "output", "check_tls_server_name", "deregister_after"])]
    pub(super) stay: bool,
    /// How long the registration lives without the agent
    #[arg(long, requires = "stay", value_name = "TIME", default_value = "15s", value_parser = duration::within(duration::SECOND * 2, duration::HOUR))]
    lease: Duration,
    /// Page that answers 2xx while the gateway can take pushes [default: /-/ready of the gateway]
    #[arg(long, id = "check_url", requires = "stay", value_name = "URL")]
    check: Option<String>,
    /// Weight of the gateway on the ring [default: that of the registration in Consul, else 1]
    #[arg(long, requires = "stay", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    weight: Option<u8>,
    /// Identity on the ring, for a gateway whose address changes [default: that of the registration in Consul, else the
    /// address]
    #[arg(long, requires = "stay", value_name = "NAME")]
    name: Option<String>,
    /// Address of /metrics, /-/healthy and /-/ready; port 0 selects a free port, which is logged
    #[arg(long, requires = "stay", value_name = "ADDRESS", default_value = "127.0.0.1:9087")]
    listen: SocketAddr,
    /// Also serve CPU, memory and processes of this machine in /metrics, with OpenTelemetry's names
    #[arg(long, requires = "stay")]
    host_metrics: bool,
    /// After leaving, hand the groups of the gateway over, as `pushring drain`. The exit code is 1 if a group was kept
    #[arg(long, requires_all = ["stay", "config"])]
    drain: bool,
    /// With --drain: the filter's configuration (JSON), or Envoy's ring file that contains it. With Consul, the members are
    /// the registered ones; with etcd, those in the file, which must be up to date (pushring discover)
    #[arg(long, requires = "drain", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    etcd: EtcdArgs,
    #[command(flatten)]
    safety: SafetyArgs,
}

impl StayArgs {
    /// Requires the flags that need an agent to be given with one.
    ///
    /// # Errors
    /// [`BadInput`]
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.stay || self.etcd.etcd.is_empty(),
            BadInput(
                "--etcd: needs --stay, for a registration in etcd lives as long as its lease".to_owned()
            )
        );
        Ok(())
    }

    /// Runs the agent until a signal ends it.
    ///
    /// # Errors
    /// [`BadInput`]: a flag is invalid. Any other error: it could not deregister the gateway at its end.
    pub(super) fn run(
        &self,
        targets: &TargetArgs,
        check: HealthCheck,
        gateways: &GatewayArgs,
        probe: bool,
    ) -> anyhow::Result<ExitStatus> {
        let [address] = targets.addresses.as_slice() else {
            return Err(
                BadInput("--stay: expected one address, the gateway of this machine".to_owned()).into()
            );
        };
        let address = GatewayAddress::parse(address)?;
        if let Some(name) = &self.name {
            // With any other, it would be registered and no member.
            Member::new(name.clone(), address.to_string(), Mode::Cluster)
                .map_err(|error| BadInput(format!("--{error}")))?;
        }
        let store = self.store(targets, &address, &check)?;
        let url = self.check.clone().unwrap_or_else(|| check.url(&address, READY));
        let tls = Tls {
            flags: "--gateway",
            ca_file: gateways.gateway_ca_file.as_deref(),
            cert: gateways.gateway_cert.as_deref(),
            key: gateways.gateway_key.as_deref(),
        };
        let mut gateways = gateways.clone();
        gateways.gateway_scheme =
            gateways.gateway_scheme.or_else(|| Some(check.scheme.clone()).filter(|scheme| scheme == "https"));
        let fleet = self.fleet(targets)?;
        if probe {
            // It may start after its agent.
            probe::require_gateways(&probe::client(&check, tls)?, &check, &[(&address, false)])?;
        }
        let check = Check::new(&url, check, tls)?;
        let server = MetricsServer::bind(self.listen)?;
        log::start();
        info!(gateway = address.to_string(), url = format!("http://{}/metrics", server.address()), "started");
        let registered = Arc::new(AtomicBool::new(false));
        let ready = Arc::clone(&registered);
        let handle = server.start(&metrics::BUCKETS, move || ready.load(Ordering::Relaxed), String::new)?;
        metrics::describe();
        if self.host_metrics {
            host::start()?;
        }
        let (sender, events) = channel();
        agent::signals(sender.clone())?;
        check.start(sender)?;
        let mut agent = Agent::new(store, self.lease, registered);
        agent.run(&events);
        agent.leave()?;
        handle.run_upkeep();
        let unfinished = match fleet {
            Some(fleet) => drain::after_leaving(&address, fleet, &self.safety, &gateways)?,
            None => false,
        };
        info!("ended");
        Ok(ExitStatus::found(unfinished))
    }

    /// Returns the source of the members for the drain.
    fn fleet(&self, targets: &TargetArgs) -> anyhow::Result<Option<Source>> {
        let Some(config) = self.config.clone().filter(|_| self.drain) else { return Ok(None) };
        let consul = self.etcd.etcd.is_empty().then(|| client::address(targets.consul.as_deref(), None));
        let fleet = FleetArgs::of(config, consul, targets.service().to_owned(), targets.access.clone());
        fleet.source().map(Some)
    }

    fn store(
        &self,
        targets: &TargetArgs,
        address: &GatewayAddress,
        check: &HealthCheck,
    ) -> anyhow::Result<Box<dyn Store>> {
        let service = targets.service();
        let (id, seconds) = (services::id(address), self.lease.as_secs());
        if self.etcd.etcd.is_empty() {
            service_name::check("--service", service)?;
            let consul = Consul::new(&client::address(targets.consul.as_deref(), None), &targets.access)?;
            let gateway = consul::Gateway {
                service: service.to_owned(),
                address: address.clone(),
                check: check.clone(),
                weight: self.weight,
                name: self.name.clone(),
            };
            return Ok(Box::new(consul::TtlCheck::new(consul, gateway, seconds)));
        }
        ensure!(targets.consul.is_none(), BadInput("--consul: not with --etcd".to_owned()));
        let key = format!("{}{id}", prefix(service)?);
        let value = self.value(service, &id, address, check);
        Ok(Box::new(etcd::Key::new(Etcd::new(&self.etcd)?, key, value, seconds)))
    }

    /// Returns the value in etcd, as services of this kind register it, with further fields that are not the default.
    fn value(&self, service: &str, id: &str, address: &GatewayAddress, check: &HealthCheck) -> Value {
        let prefix = check.path_prefix.trim_matches('/');
        let path = if prefix.is_empty() { "/metrics".to_owned() } else { format!("/{prefix}/metrics") };
        let mut value = json!({
            "id": id, "name": service, "host": address.host(), "port": address.port(), "lease_time": self.lease.as_secs(),
            "routes": [{"path": path, "method": "GET"}],
        });
        if let Some(weight) = self.weight {
            value["weight"] = weight.into();
        }
        if let Some(name) = &self.name {
            value["pushring_name"] = json!(name);
        }
        if check.scheme != "http" {
            value["scheme"] = json!(check.scheme);
        }
        value
    }
}
