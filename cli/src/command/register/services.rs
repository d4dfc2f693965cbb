//! Registers Pushgateways in Consul and deregisters them.
//!
//! The ID is `<host>_<port>`, as in dynamic-sharding, so that existing registrations are updated and not duplicated.
//! Unlike with dynamic-sharding, a Pushgateway that is down stays registered: it returns without a command, and the
//! minimum share of passing members is computed from all registrations.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use pushring_router::{Member, Mode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::consul::client::{Consul, Service};
use crate::error::BadInput;
use crate::http::without_credentials;

/// Meta key with the settings of the health check. The agent does not report these, so a change could not be detected
/// otherwise.
const CHECK: &str = "pushring-check";

/// Settings of the health check.
#[derive(Clone, Debug)]
pub(crate) struct HealthCheck {
    /// Time from one check to the next.
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// Consecutive failures that make the gateway critical.
    pub(crate) failures_before_critical: u32,
    /// Consecutive successes that make it passing.
    pub(crate) success_before_passing: u32,
    /// Time in critical state after which Consul removes it.
    pub(crate) deregister_after: Option<Duration>,
    pub(crate) path_prefix: String,
}

/// Address of a Pushgateway: host without brackets, and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GatewayAddress {
    host: String,
    port: u16,
}

/// The result for one Pushgateway; with a dry run, the forecast.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RegistrationResult {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) result: RegistrationChange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RegistrationChange {
    /// The ID was new.
    Registered,
    /// Its settings changed.
    Updated,
    /// It was already registered with the same settings.
    Unchanged,
    Deregistered,
    /// It was not registered under this service name.
    Absent,
}

impl RegistrationChange {
    /// Name in the table, as in the JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deregistered => "deregistered",
            Self::Absent => "absent",
        }
    }
}

impl GatewayAddress {
    /// Parses `host:port` or `[IPv6]:port`.
    ///
    /// # Errors
    /// [`BadInput`] for anything else.
    pub(crate) fn parse(address: &str) -> anyhow::Result<Self> {
        let found = without_credentials(address);
        let bad =
            || BadInput(format!("address: found {found:?}, allowed host:port (an IPv6 host in brackets)"));
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        // An IPv6 address without brackets would lose its last group as the port.
        ensure!((host.starts_with('[') || !host.contains(':')) && !host.contains('@'), bad());
        Self::new(host, port)
    }

    /// Combines a host, with or without brackets, and a port.
    ///
    /// # Errors
    /// [`BadInput`] if the filter would reject this address.
    pub(crate) fn new(host: &str, port: u16) -> anyhow::Result<Self> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.parse::<IpAddr>().map_or_else(|_| host.to_owned(), |ip| ip.to_string());
        let target = Self { host, port };
        let address = target.address();
        Member::new(address.clone(), address, Mode::Cluster).map_err(|error| BadInput(error.to_string()))?;
        Ok(target)
    }

    fn id(&self) -> String {
        format!("{}_{}", self.host, self.port)
    }

    fn address(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }

    fn done(&self, result: RegistrationChange) -> RegistrationResult {
        RegistrationResult { id: self.id(), address: self.address(), result }
    }
}

impl HealthCheck {
    fn url(&self, target: &GatewayAddress) -> String {
        let prefix = self.path_prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("http://{}{slash}{prefix}/-/healthy", target.address())
    }

    /// Describes the check in one line, for people and for comparison.
    fn describe(&self, target: &GatewayAddress) -> String {
        let mut text = format!(
            "GET {} every {}, timeout {}, critical after {}, passing after {}",
            self.url(target),
            go_duration(self.interval),
            go_duration(self.timeout),
            self.failures_before_critical,
            self.success_before_passing
        );
        if let Some(after) = self.deregister_after.map(go_duration) {
            text += &format!(", deregistered after {after} critical");
        }
        text
    }

    fn definition(&self, service: &str, target: &GatewayAddress) -> Value {
        let mut definition = json!({
            "ID": target.id(), "Name": service, "Address": target.host, "Port": target.port,
            "Meta": {CHECK: self.describe(target)},
            "Check": {
                "Name": "Pushgateway /-/healthy", "HTTP": self.url(target),
                "Interval": go_duration(self.interval), "Timeout": go_duration(self.timeout),
                "FailuresBeforeCritical": self.failures_before_critical,
                "SuccessBeforePassing": self.success_before_passing,
                // A new member gets no pushes until it is healthy. Registering it again keeps its status.
                "Status": "critical",
            },
        });
        if let Some(after) = self.deregister_after.map(go_duration) {
            definition["Check"]["DeregisterCriticalServiceAfter"] = json!(after);
        }
        definition
    }

    fn is_that_of(&self, service: &str, target: &GatewayAddress, known: &Service) -> bool {
        known.service == service
            && known.address == target.host
            && known.port == target.port
            && known.meta.get(CHECK) == Some(&self.describe(target))
    }
}

/// Formats a time for Consul: a whole number in the largest unit that fits.
fn go_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let (size, unit) = units.into_iter().find(|(size, _)| millis.is_multiple_of(*size)).unwrap_or((1, "ms"));
    format!("{}{unit}", millis / size)
}

/// Registers each target whose settings differ from Consul's. With `dry_run`, changes nothing. Results are appended to
/// `done` one by one, so that the caller can report them if a later target fails.
///
/// # Errors
/// The request to Consul failed; the targets after the last one in `done` are not registered.
pub(crate) fn register(
    consul: &Consul,
    service: &str,
    targets: &BTreeSet<GatewayAddress>,
    check: &HealthCheck,
    dry_run: bool,
    done: &mut Vec<RegistrationResult>,
) -> anyhow::Result<()> {
    let known = consul.services()?;
    for target in targets {
        let result = match known.get(&target.id()) {
            Some(known) if check.is_that_of(service, target, known) => RegistrationChange::Unchanged,
            Some(_) => RegistrationChange::Updated,
            None => RegistrationChange::Registered,
        };
        if result != RegistrationChange::Unchanged && !dry_run {
            consul.register(&check.definition(service, target))?;
        }
        done.push(target.done(result));
    }
    Ok(())
}

/// Deregisters each target that is registered under this service name; otherwise like [`register`].
///
/// # Errors
/// The request to Consul failed; the targets after the last one in `done` are still registered.
pub(crate) fn deregister(
    consul: &Consul,
    service: &str,
    targets: &BTreeSet<GatewayAddress>,
    dry_run: bool,
    done: &mut Vec<RegistrationResult>,
) -> anyhow::Result<()> {
    let known = consul.services()?;
    for target in targets {
        let there = known.get(&target.id()).is_some_and(|known| known.service == service);
        if there && !dry_run {
            consul.deregister(&target.id())?;
        }
        done.push(target.done(if there {
            RegistrationChange::Deregistered
        } else {
            RegistrationChange::Absent
        }));
    }
    Ok(())
}
