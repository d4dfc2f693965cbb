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
use super::twins::{self, Target};
use crate::consul::client::{Consul, Service};
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
    /// The ID was that of another address.
    Replaced,
    /// It was already registered with the same settings.
    Unchanged,
    Deregistered,
    /// It was not registered under this service name at this agent.
    Absent,
}

impl RegistrationChange {
    /// Returns whether this adds the address to the members.
    pub(super) fn is_new(self) -> bool {
        matches!(self, Self::Registered | Self::Replaced)
    }

    /// Returns the name in the table, as in the JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Updated => "updated",
            Self::Replaced => "replaced",
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

/// Says that an ID has another address: a registration of that ID would replace the member there.
fn moved(id: &str, other: &str, target: &GatewayAddress) -> String {
    let (shown, other) = (text::line(id), text::line(other));
    format!(
        "ID {shown} is registered for {other}; registering {target} would replace it, so that the member {other} leaves the \
         ring and its groups move. If that is the intention, for example because the gateway has moved: --replace. Otherwise \
         register {other} first, which gives it an ID of its own, and then use --replace"
    )
}

/// How to register.
pub(super) struct Options<'a> {
    pub(super) check: HealthCheck,
    pub(super) dry_run: bool,
    /// Replace a registration with the ID of a target and another address.
    pub(super) replace: bool,
    /// Ask all targets first whether they are Pushgateways.
    pub(super) probe: Option<Tls<'a>>,
}

/// Registers each target whose settings differ from Consul's. With `dry_run`, changes nothing. Results are appended to
/// `done` one by one, so that the caller can report them if a later target fails. `warnings` is a list for the operator.
///
/// # Errors
/// [`BadInput`]: a target is no Pushgateway, or a member under another address, or its ID belongs to another service or
/// address; nothing was done. Any other error: the request to Consul failed; the targets after the last one in `done` are
/// not registered.
pub(super) fn register(
    consul: &Consul,
    service: &str,
    targets: &BTreeSet<GatewayAddress>,
    options: &Options<'_>,
    (done, warnings): (&mut Vec<RegistrationResult>, &mut Vec<String>),
) -> anyhow::Result<()> {
    let check = &options.check;
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
                Some(known) => match other_address(consul, service, (&id, known), target)? {
                    Some(other) if !options.replace => bail!(BadInput(moved(&id, &other, target))),
                    Some(_) => RegistrationChange::Replaced,
                    None => RegistrationChange::Updated,
                },
                None => RegistrationChange::Registered,
            };
            Ok((target, result))
        })
        .collect::<anyhow::Result<_>>()?;
    let client = options.probe.map(|tls| probe::client(check, tls)).transpose()?;
    let processes = match &client {
        // A gateway that is registered may be down for a while.
        Some(client) => {
            let probes: Vec<_> = changes.iter().map(|(target, result)| (*target, result.is_new())).collect();
            probe::require_gateways(client, check, &probes)?
        }
        None => vec![None; changes.len()],
    };
    let mut targets: Vec<_> = changes
        .iter()
        .zip(processes)
        .map(|(&(address, change), process)| Target::new(address, id(address), change.is_new(), process))
        .collect();
    twins::check(consul, (service, &known), &mut targets, (client.as_ref(), check), warnings)?;
    for (target, result) in changes {
        if result != RegistrationChange::Unchanged && !options.dry_run {
            let id = id(target);
            consul.register(&check.definition(service, &id, target, known.get(&id)))?;
        }
        done.push(RegistrationResult::new(target, result));
    }
    Ok(())
}

/// Returns the registration that one of this target would replace, which must be of the same service and gateway.
///
/// # Errors
/// [`BadInput`]: it is another one. Any other error: the request to Consul failed.
pub(super) fn replaced(
    consul: &Consul,
    service: &str,
    target: &GatewayAddress,
) -> anyhow::Result<Option<Service>> {
    let id = id(target);
    let Some(known) = consul.services()?.remove(&id) else { return Ok(None) };
    if !known.service.eq_ignore_ascii_case(service) {
        bail!(BadInput(taken(&id, &known.service)));
    }
    match other_address(consul, service, (&id, &known), target)? {
        Some(other) => bail!(BadInput(moved(&id, &other, target))),
        None => Ok(Some(known)),
    }
}

/// Returns the address of a registration if it is not that of the target. A registration without an address has that of the
/// agent's node, which only the catalog has.
fn other_address(
    consul: &Consul,
    service: &str,
    (id, known): (&str, &Service),
    target: &GatewayAddress,
) -> anyhow::Result<Option<String>> {
    let Service { address, port, .. } = known;
    if !address.is_empty() {
        let same = GatewayAddress::new(address, *port).is_ok_and(|address| address == *target);
        return Ok((!same).then(|| format!("{address}:{port}")));
    }
    let registered = consul.registered(service, None, |_| true)?;
    let own = registered.into_iter().find(|found| found.holder.here && found.holder.id == id);
    Ok(own.filter(|own| own.address != *target).map(|own| own.address.to_string()))
}
