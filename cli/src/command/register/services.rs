//! Registers Pushgateways in Consul.
//!
//! The ID is `<host>_<port>`, as in dynamic-sharding, so that existing registrations are updated and not duplicated.
//! Unlike with dynamic-sharding, a Pushgateway that is down stays registered: it returns without a command, and the
//! minimum share of passing members is computed from all registrations.

use std::collections::BTreeSet;

use anyhow::bail;
use serde::Serialize;

use super::health_check::HealthCheck;
use super::probe;
use crate::consul::client::Consul;
use crate::consul::holders::Holder;
use crate::error::BadInput;
use crate::fleet::address::GatewayAddress;
use crate::http::Tls;
use crate::text;

/// The result for one Pushgateway; with a dry run, the forecast.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RegistrationResult {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) result: RegistrationChange,
    /// Registrations that keep it on the ring, at other agents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) still_registered: Vec<Holder>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RegistrationChange {
    /// The ID was new.
    Registered,
    /// Its settings changed.
    Updated,
    /// It was already registered with the same settings.
    Unchanged,
    Deregistered,
    /// It was not registered under this service name at this agent.
    Absent,
}

impl RegistrationChange {
    /// Name in the table, as in the JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deregistered => "deregistered",
            Self::Absent => "absent",
        }
    }
}

impl RegistrationResult {
    pub(super) fn new(target: &GatewayAddress, result: RegistrationChange) -> Self {
        let (id, address) = (id(target), target.to_string());
        Self { id, address, result, still_registered: Vec::new() }
    }
}

pub(super) fn id(target: &GatewayAddress) -> String {
    format!("{}_{}", target.host(), target.port())
}

/// Says that an ID belongs to another service: a registration of that ID would replace it.
fn taken(id: &str, service: &str) -> String {
    let (shown, service) = (text::line(id), text::line(service));
    format!(
        "ID {shown} belongs to the service {service} at this agent, which it would replace; if that is not needed, \
         remove it first: consul services deregister -id={}",
        text::shell(id)
    )
}

/// Registers each target whose settings differ from Consul's. With `dry_run`, changes nothing. Results are appended to
/// `done` one by one, so that the caller can report them if a later target fails. With `probe`, asks all targets first
/// whether they are Pushgateways.
///
/// # Errors
/// [`BadInput`]: a target is no Pushgateway, or its ID belongs to another service; nothing was done. Any other error: the request to Consul
/// failed; the targets after the last one in `done` are not registered.
pub(super) fn register(
    consul: &Consul,
    service: &str,
    targets: &BTreeSet<GatewayAddress>,
    check: &HealthCheck,
    (dry_run, probe): (bool, Option<Tls<'_>>),
    done: &mut Vec<RegistrationResult>,
) -> anyhow::Result<()> {
    let known = consul.services()?;
    let changes: Vec<_> = targets
        .iter()
        .map(|target| {
            let id = id(target);
            let result = match known.get(&id) {
                // Consul does not distinguish upper and lower case in the name of a service.
                Some(other) if !other.service.eq_ignore_ascii_case(service) => {
                    bail!(BadInput(taken(&id, &other.service)))
                }
                Some(known) if check.is_that_of(service, target, known) => RegistrationChange::Unchanged,
                Some(_) => RegistrationChange::Updated,
                None => RegistrationChange::Registered,
            };
            Ok((target, result))
        })
        .collect::<anyhow::Result<_>>()?;
    if let Some(tls) = probe {
        // A gateway that is registered may be down for a while.
        let probes =
            changes.iter().map(|(target, result)| (*target, *result == RegistrationChange::Registered));
        probe::require_gateways(check, tls, &probes.collect::<Vec<_>>())?;
    }
    for (target, result) in changes {
        if result != RegistrationChange::Unchanged && !dry_run {
            consul.register(&check.definition(service, &id(target), target))?;
        }
        done.push(RegistrationResult::new(target, result));
    }
    Ok(())
}
