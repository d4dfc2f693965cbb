//! Registrations from the EndpointSlices of a service.
//!
//! A service with more than 100 endpoints has several slices, and one with two address families has slices of each; an
//! endpoint may also be in two slices while the controller moves it. A pod is one registration, whatever its slices.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use clap::ValueEnum;

use super::slice::{AddressType, Endpoint, Slice, Slices};
use crate::fleet::registration::{Registration, Registrations};
use crate::text;

/// Where the names of members come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum NameBy {
    /// The endpoint's host name, which a pod of a StatefulSet keeps for all its life
    #[default]
    Hostname,
    /// Its address and port: a pod that comes back with another address moves its groups
    Address,
}

/// How endpoints become registrations.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) service: String,
    pub(super) port_name: Option<String>,
    pub(super) name_by: NameBy,
}

/// A registration as one slice describes it.
struct Found {
    kind: AddressType,
    registration: Registration,
}

/// Returns the registrations; the reasons why endpoints are none are in [`Registrations::unreadable`].
///
/// # Errors
/// There are endpoints, but none can be a member because of the service or of the flags.
pub(super) fn registrations(slices: &Slices, rules: &Rules) -> anyhow::Result<Registrations> {
    let mut pods: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    let mut unreadable = BTreeSet::new();
    for (name, slice) in &slices.by_name {
        for found in of_slice(slice, rules) {
            match found {
                Ok((pod, found)) => pods.entry(pod).or_default().push(found),
                Err(reason) => {
                    unreadable.insert(format!("EndpointSlice {}: {reason}", text::line(name)));
                }
            }
        }
    }
    if pods.is_empty()
        && let Some(reason) = unreadable.first()
    {
        bail!(
            "no endpoint of service {:?} can be a member, the first one because of {reason}",
            rules.service
        );
    }
    let found = pods.into_values().flat_map(one_family).collect();
    Ok(Registrations { found, unreadable: unreadable.into_iter().collect() })
}

/// Returns what a slice says about each of its pods.
fn of_slice(slice: &Slice, rules: &Rules) -> impl Iterator<Item = Result<(String, Found), String>> {
    let port = slice.port(rules.port_name.as_deref());
    slice.endpoints.iter().map(move |endpoint| {
        let endpoint = endpoint.clone()?;
        let (pod, registration) = registration(endpoint, port.clone()?, rules)?;
        Ok((pod, Found { kind: slice.address_type, registration }))
    })
}

/// Returns the identity of a pod and its registration.
fn registration(endpoint: Endpoint, port: i64, rules: &Rules) -> Result<(String, Registration), String> {
    let status = endpoint.status();
    let Endpoint { addresses, hostname, node_name, target_ref, .. } = endpoint;
    let address = addresses.into_iter().next().ok_or("an endpoint without an address")?;
    let (id, uid) = target_ref.map_or((None, None), |target| (target.name, target.uid));
    let name = match rules.name_by {
        NameBy::Address => String::new(),
        NameBy::Hostname => hostname.filter(|name| !name.is_empty()).ok_or_else(|| {
            format!(
                "endpoint {} without a host name: its groups would move whenever its pod comes back with another address. \
                 Use a StatefulSet whose serviceName is this service, or --name-by address",
                text::line(id.as_deref().unwrap_or(&address))
            )
        })?,
    };
    let pod = match uid.filter(|uid| !uid.is_empty()) {
        Some(uid) => format!("uid {uid}"),
        None if name.is_empty() => format!("address {address}"),
        None => format!("name {name}"),
    };
    let registration = Registration {
        status: status.to_owned(),
        name,
        node: node_name.unwrap_or_default(),
        id: id.unwrap_or_default(),
        ..Registration::new(&address, port)
    };
    Ok((pod, registration))
}

/// Returns the registrations of one pod: of the preferred address family, each address once. Several addresses of one family
/// are pods that claim the same identity; the decision about members resolves that.
fn one_family(mut found: Vec<Found>) -> Vec<Registration> {
    // The passing ones first, because a slice may lag behind another.
    found.sort_by_key(|found| (Reverse(found.registration.is_passing()), found.kind));
    let kind = found.first().map(|found| found.kind);
    let mut seen = BTreeSet::new();
    let of_kind = found.into_iter().filter(|found| Some(found.kind) == kind).map(|found| found.registration);
    of_kind.filter(|found| seen.insert((found.address.clone(), found.port))).collect()
}
