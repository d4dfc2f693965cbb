//! `pushring register` and `pushring deregister`.

mod check_headers;
mod dynamic_sharding_yml;
mod etcd_removal;
mod health_check;
mod known_gateways;
mod probe;
mod process;
mod removal;
mod ring_forecast;
mod services;
mod stay;
mod twins;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::consul::client::{self, Consul, ConsulArgs};
use crate::consul::service_name;
use crate::duration;
use crate::error::{BadInput, ExitStatus};
use crate::etcd::client::{Etcd, EtcdArgs};
use crate::fleet::address::GatewayAddress;
use crate::gateway::pool::GatewayArgs;
use crate::http::Tls;
use crate::number;
use crate::output::{self, Output, Table};
use anyhow::ensure;
use dynamic_sharding_yml::DynamicSharding;
use health_check::HealthCheck;
use pushring_router::Config;
use ring_forecast::RingArgs;
use serde_json::json;
use services::{Options, RegistrationResult};
use stay::StayArgs;

/// How long the farewell of a gateway stays before its registration is removed: longer than a watcher needs to come back to
/// its registry.
const FAREWELL: Duration = Duration::from_secs(3);

/// Register Pushgateways in Consul, with a health check that does not flap
///
/// Idempotent: a gateway that is already registered with the same settings is left unchanged. Each address must answer
/// /api/v1/status as a Pushgateway does, and be no gateway that is registered under another address; otherwise nothing is
/// registered. A new gateway is critical until its check has passed, so no push reaches a Pushgateway that was never healthy.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring register 10.0.0.1:9091 10.0.0.2:9091
  pushring register --from-dynamic-sharding dynamic-sharding.yml --dry-run
  pushring register 10.0.0.1:9091 --stay --etcd http://10.0.2.1:2379
  pushring register 10.0.0.1:9091 --scheme https --gateway-ca-file ca.pem --check-header @check-header
  CONSUL_HTTP_ADDR=https://consul:8501 CONSUL_HTTP_TOKEN=... pushring register --from-dynamic-sharding dynamic-sharding.yml")]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    targets: TargetArgs,
    /// Do not ask the gateways first: for those that are not up yet, or that only Consul's agent can reach
    #[arg(long)]
    no_probe: bool,
    /// Replace a registration that has the ID of a gateway and another address; the member at that address leaves the ring
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    check: HealthCheckArgs,
    #[command(flatten)]
    agent: StayArgs,
    /// CA, certificate and key are for the first question to the gateways and the agent's check; all are for --drain.
    #[command(flatten)]
    gateways: GatewayArgs,
}

/// Remove Pushgateways from Consul or etcd
///
/// New pushes go to the remaining members. The removed gateways keep their groups; see `pushring drain`. A gateway that
/// another agent has registered, too, stays on the ring: the output names each such registration and how to remove it, and the
/// exit code is 1. A warning says so if Envoy keeps its ring, because too few of the remaining gateways are passing.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring deregister 10.0.0.2:9091
  pushring deregister 10.0.0.2:9091 --etcd http://10.0.2.1:2379
  pushring deregister --from-dynamic-sharding dynamic-sharding.yml 10.0.0.2:9091   # Consul's address from the file")]
pub(crate) struct DeregisterArgs {
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    ring: RingArgs,
    #[command(flatten)]
    etcd: EtcdArgs,
}

#[derive(clap::Args)]
struct TargetArgs {
    /// Pushgateways, as host:port; replace those of the file
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// Configuration file of dynamic-sharding, for addresses, service and Consul's address
    #[arg(long, value_name = "FILE")]
    from_dynamic_sharding: Option<PathBuf>,
    /// Name of the service [default: from the file, else pushgateway]
    #[arg(long)]
    service: Option<String>,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Consul agent, as host:port or URL [env: CONSUL_HTTP_ADDR] [default: 127.0.0.1:8500]
    #[arg(long, value_name = "ADDRESS")]
    consul: Option<String>,
    #[command(flatten)]
    access: ConsulArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Health check")]
struct HealthCheckArgs {
    /// Protocol of the Pushgateways, http or https: of the check, of Envoy and of the command
    #[arg(long, value_name = "SCHEME", value_parser = ["http", "https"], default_value = "http")]
    scheme: String,
    /// Header of the check, as 'Name: value', or @FILE with one header per line; for credentials use a file. Repeatable
    #[arg(long = "check-header", value_name = "HEADER")]
    check_headers: Vec<String>,
    /// Name in the Pushgateways' certificates [default: the host of the address]
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    check_tls_server_name: Option<String>,
    /// Let the check accept any certificate; Envoy and the command still verify it
    #[arg(long)]
    check_tls_skip_verify: bool,
    /// Time from one check to the next
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = duration::within(duration::MILLISECOND, duration::ANY))]
    interval: Duration,
    /// Timeout of a check; a busy Pushgateway can take seconds to respond
    #[arg(long, default_value = "4s", value_name = "TIME", value_parser = duration::within(duration::MILLISECOND, duration::ANY))]
    timeout: Duration,
    /// Consecutive failures that make a gateway critical
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = number::within(1..=u32::MAX))]
    failures_before_critical: u32,
    /// Consecutive successes that make a gateway passing
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = number::within(1..=u32::MAX))]
    success_before_passing: u32,
    /// Remove a gateway that was critical for this long, at least 1m [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration::within(duration::MINUTE, duration::ANY))]
    deregister_after: Option<Duration>,
    /// The Pushgateways' --web.route-prefix
    #[arg(long, default_value = "", value_name = "PATH", value_parser = path_prefix)]
    path_prefix: String,
}

/// Refuses segments that a URL resolves: the check would request another path than the one that is shown.
fn path_prefix(text: &str) -> Result<String, String> {
    let decoded = text.to_ascii_lowercase().replace("%2e", ".");
    if decoded.split(['/', '\\']).any(|segment| segment == "." || segment == "..") {
        return Err("allowed: a path without the segments . and ..".to_owned());
    }
    // The filter's own rules; Consul's check needs no slash at the start.
    let prefix = Some(text.trim_matches('/')).filter(|prefix| !prefix.is_empty());
    let prefix = prefix.map(|prefix| format!("/{prefix}")).unwrap_or_default();
    let config = json!({"members": [], "min_members": 0, "path_prefix": prefix}).to_string();
    Config::parse(config.as_bytes()).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn server_name(text: &str) -> Result<String, String> {
    let ok = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if ok { Ok(text.to_owned()) } else { Err("expected a DNS name or an IP address".to_owned()) }
}

/// [`TargetArgs`] after validation, combined with the file.
struct ResolvedTargets {
    service: String,
    addresses: BTreeSet<GatewayAddress>,
    consul: Consul,
}

impl RegisterArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        self.agent.check()?;
        let tls = Tls {
            flags: "--gateway",
            ca_file: self.gateways.gateway_ca_file.as_deref(),
            cert: self.gateways.gateway_cert.as_deref(),
            key: self.gateways.gateway_key.as_deref(),
        };
        let check = HealthCheck {
            interval: self.check.interval,
            timeout: self.check.timeout,
            failures_before_critical: self.check.failures_before_critical,
            success_before_passing: self.check.success_before_passing,
            deregister_after: self.check.deregister_after,
            path_prefix: self.check.path_prefix,
            scheme: self.check.scheme,
            headers: check_headers::parse(&self.check.check_headers)?,
            tls_server_name: self.check.check_tls_server_name,
            tls_skip_verify: self.check.check_tls_skip_verify,
        };
        if self.agent.stay {
            return self.agent.run(&self.targets, check, &self.gateways, !self.no_probe);
        }
        let targets = self.targets.resolve()?;
        let options = Options {
            check,
            dry_run: self.targets.dry_run,
            replace: self.replace,
            probe: (!self.no_probe).then_some(tls),
        };
        let (mut done, mut warnings) = (Vec::new(), Vec::new());
        let ResolvedTargets { service, addresses, consul } = &targets;
        let result = services::register(consul, service, addresses, &options, (&mut done, &mut warnings));
        self.targets.report(&targets, ("consul", consul.address()), &done, &warnings, result)?;
        Ok(ExitStatus::Done)
    }
}

impl DeregisterArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let targets = self.targets.resolve()?;
        let (mut done, dry_run) = (Vec::new(), self.targets.dry_run);
        let ResolvedTargets { service, addresses, consul } = &targets;
        if !self.etcd.etcd.is_empty() {
            ensure!(self.targets.consul.is_none(), BadInput("--consul: not with --etcd".to_owned()));
            let mut etcd = Etcd::new(&self.etcd)?;
            let result = etcd_removal::deregister(&mut etcd, service, addresses, dry_run, &mut done);
            self.targets.report(&targets, ("etcd", etcd.endpoint()), &done, &[], result)?;
            return Ok(ExitStatus::Done);
        }
        let forecast = self.ring.forecast(service)?;
        let result = removal::deregister(consul, service, addresses, dry_run, &mut done);
        let held = result.is_ok().then(|| forecast.held(consul, &done)).flatten();
        self.targets.report(&targets, ("consul", consul.address()), &done, held.as_slice(), result)?;
        Ok(ExitStatus::found(done.iter().any(|result| !result.still_registered.is_empty())))
    }
}

impl TargetArgs {
    /// Returns the name of the service without a file.
    fn service(&self) -> &str {
        self.service.as_deref().unwrap_or("pushgateway")
    }

    /// Reads the file and validates all input before any change.
    fn resolve(&self) -> anyhow::Result<ResolvedTargets> {
        let file = self.from_dynamic_sharding.as_deref().map(DynamicSharding::read).transpose()?;
        for ignored in file.iter().flat_map(DynamicSharding::ignored) {
            output::warn(ignored);
        }
        let addresses = match &file {
            Some(file) if self.addresses.is_empty() => {
                let servers = &file.pushgateway.servers;
                let address = |host: &String| GatewayAddress::new(host, file.pushgateway.port.into());
                let addresses: Result<BTreeSet<_>, String> = servers.iter().map(address).collect();
                addresses.map_err(|error| BadInput(format!("pushgateway.servers: {error}")).into())
            }
            _ => self
                .addresses
                .iter()
                .map(|address| GatewayAddress::parse(address))
                .collect::<anyhow::Result<BTreeSet<_>>>(),
        }?;
        ensure!(
            !addresses.is_empty(),
            BadInput(match &file {
                Some(_) => "pushgateway.servers: found none, expected one or more".to_owned(),
                None => "ADDRESS: found none, expected host:port of one or more, or --from-dynamic-sharding"
                    .to_owned(),
            })
        );
        let server = file.as_ref().map(|file| &file.consul_server);
        let named = server.and_then(|server| server.register_service_name.clone());
        let service = self.service.clone().or(named.filter(|name| !name.is_empty()));
        let service = service.unwrap_or_else(|| "pushgateway".to_owned());
        let field = if self.service.is_some() { "--service" } else { "consul_server.register_service_name" };
        service_name::check(field, &service)?;
        let address = client::address(self.consul.as_deref(), server.and_then(|s| s.addr.as_deref()));
        let consul = Consul::new(&address, &self.access)?;
        Ok(ResolvedTargets { service, addresses, consul })
    }

    /// Shows the results, even if a later gateway failed.
    fn report(
        &self,
        targets: &ResolvedTargets,
        registry: (&str, String),
        done: &[RegistrationResult],
        warnings: &[String],
        result: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        warnings.iter().for_each(output::warn);
        let (name, url) = registry;
        let report = json!({
            "service": targets.service, (name): url, "dry_run": self.dry_run, "results": done, "warnings": warnings,
        });
        if self.output == Output::Json || !done.is_empty() {
            output::show(self.output, &report, |_| self.text(done))?;
        }
        let rest = targets.addresses.len() - done.len();
        result.map_err(|error| error.context(format!("{} done, {rest} not", done.len())))
    }

    fn text(&self, done: &[RegistrationResult]) -> String {
        let mut text = self.table(done).to_string();
        for result in done {
            for holder in &result.still_registered {
                text += &format!("\n{} stays registered: {holder}", result.address);
            }
        }
        text
    }

    fn table(&self, done: &[RegistrationResult]) -> Table {
        let mut table = output::table(&["ID", "ADDRESS", if self.dry_run { "ACTION" } else { "RESULT" }]);
        for row in done {
            table.add_row([row.id.as_str(), row.address.as_str(), row.result.word()]);
        }
        table
    }
}
