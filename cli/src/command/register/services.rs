//! Pushgateways into Consul, and out of it.
//!
//! IDs are `<host>_<port>`, as dynamic-sharding makes them, so a Pushgateway that it registered is taken over
//! and not listed twice. Unlike there a Pushgateway that is down stays registered: it comes back by itself, and
//! the share of members that must be passing has something to be a share of.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use pushring_router::{Member, Mode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::consul::client::{Consul, Service};
use crate::error::BadInput;

/// Meta key that says how the service is checked. The agent does not tell a check's settings, so this is how
/// one that is as it should be is told from one to change.
const CHECK: &str = "pushring-check";

/// How Consul watches a Pushgateway.
#[derive(Clone, Debug)]
pub(crate) struct HealthCheck {
    /// From one check to the next.
    pub(crate) interval: Duration,
    /// What counts as no answer.
    pub(crate) timeout: Duration,
    /// Failures in a row that make it critical.
    pub(crate) failures_before_critical: u32,
    /// Successes in a row that make it passing again.
    pub(crate) success_before_passing: u32,
    /// Remove it when it was critical for that long.
    pub(crate) deregister_after: Option<Duration>,
    pub(crate) path_prefix: String,
}

/// A Pushgateway to register: host without brackets, and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GatewayAddress {
    host: String,
    port: u16,
}

/// What was done, or would be, about one Pushgateway.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RegistrationResult {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) result: RegistrationChange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RegistrationChange {
    /// It was not there before.
    Registered,
    /// It was there, and something about it changed.
    Updated,
    /// It was there just so.
    Unchanged,
    Deregistered,
    /// It was not there to be removed.
    Absent,
}

impl RegistrationChange {
    /// The word that stands in reports.
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
        let bad =
            || BadInput(format!("address: found {address:?}, allowed host:port (an IPv6 host in brackets)"));
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        // An IPv6 address without brackets would lose its last group as the port.
        ensure!(host.starts_with('[') || !host.contains(':'), bad());
        Self::new(host, port)
    }

    /// A host, of which brackets are taken off, and a port.
    ///
    /// # Errors
    /// [`BadInput`] when the filter would refuse this address.
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

    /// All of it in a line, for people and for comparing.
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
                // A member that was never seen healthy gets no pushes. One that is registered already keeps
                // the status it has.
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

/// As Consul reads it: a whole number in the largest unit that fits.
fn go_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let (size, unit) = units.into_iter().find(|(size, _)| millis % size == 0).unwrap_or((1, "ms"));
    format!("{}{unit}", millis / size)
}

/// Registers each target that is not registered just so; with `dry_run` only says what it would do. What was
/// done goes to `done` one by one, so that the caller can tell it when a later one fails.
///
/// # Errors
/// Consul cannot be reached or refuses; the targets after the last one in `done` are not registered.
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

/// Deregisters each target that is registered under this service name; otherwise as [`register`].
///
/// # Errors
/// Consul cannot be reached or refuses; the targets after the last one in `done` are still registered.
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
