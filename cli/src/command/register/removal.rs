//! Removes Pushgateways from Consul, and looks in the catalog for registrations that keep them on the ring.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::services::{RegistrationChange, RegistrationResult, id};
use crate::consul::client::{Consul, Service};
use crate::consul::holders::Holder;
use crate::fleet::address::GatewayAddress;

/// Longest wait until the catalog has what the agent has; usually milliseconds.
const SYNC: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// Deregisters each target at this agent: all IDs with its address, after it announced that they leave. With `dry_run`, changes
/// nothing. Results are appended to `done` one by one, so that the caller can report them if a later target fails.
///
/// # Errors
/// A request to Consul failed; the targets after the last one in `done` may still be registered.
pub(super) fn deregister(
    consul: &Consul,
    service: &str,
    targets: &BTreeSet<GatewayAddress>,
    dry_run: bool,
    done: &mut Vec<RegistrationResult>,
) -> anyhow::Result<()> {
    let known = consul.services()?;
    let found = targets.iter().map(|target| Ok((target, ids(consul, &known, service, target)?)));
    let found: Vec<(_, Vec<&str>)> = found.collect::<anyhow::Result<_>>()?;
    if !dry_run {
        let all: Vec<&str> = found.iter().flat_map(|(_, ids)| ids).copied().collect();
        consul.announce_leaving(service, &all).context("announcing that the gateways leave")?;
    }
    for (target, ids) in found {
        if !dry_run {
            ids.iter().try_for_each(|id| consul.deregister(id))?;
        }
        let change =
            if ids.is_empty() { RegistrationChange::Absent } else { RegistrationChange::Deregistered };
        let mut result = RegistrationResult::new(target, change);
        let still = if dry_run {
            remaining(consul, service, target, &ids)
        } else {
            left(consul, service, target, &ids)
        };
        result.still_registered = still.with_context(|| {
            let done = if dry_run || ids.is_empty() { "" } else { "deregistered at this agent; " };
            format!("{target}: {done}whether another registration keeps it on the ring is unknown")
        })?;
        done.push(result);
    }
    Ok(())
}

/// Returns the IDs of a target at this agent.
///
/// The ID alone may be that of another gateway. A service without an address has that of the agent's node, which only the
/// catalog has.
fn ids<'s>(
    consul: &Consul,
    known: &'s BTreeMap<String, Service>,
    service: &str,
    target: &GatewayAddress,
) -> anyhow::Result<Vec<&'s str>> {
    // Consul does not distinguish upper and lower case in the name of a service.
    let of_service = || known.iter().filter(|(_, found)| found.service.eq_ignore_ascii_case(service));
    let bare = |found: &Service| found.address.is_empty() && found.port == i64::from(target.port());
    let here: BTreeSet<String> = if of_service().any(|(_, found)| bare(found)) {
        let holders = consul.holders(service, None, target)?.into_iter();
        holders.filter(|holder| holder.here).map(|holder| holder.id).collect()
    } else {
        BTreeSet::new()
    };
    let own = id(target);
    let is_target = |id: &String, found: &Service| {
        let same = GatewayAddress::new(&found.address, found.port).is_ok_and(|address| address == *target);
        same || (bare(found) && (*id == own || here.contains(id)))
    };
    Ok(of_service().filter(|(id, found)| is_target(id, found)).map(|(id, _)| id.as_str()).collect())
}

/// Returns what is left in the catalog, once it has the removal of these IDs.
fn left(
    consul: &Consul,
    service: &str,
    target: &GatewayAddress,
    removed: &[&str],
) -> anyhow::Result<Vec<Holder>> {
    let began = Instant::now();
    loop {
        let holders = consul.holders(service, None, target)?;
        let pending = holders.iter().any(|holder| removed.contains(&holder.id.as_str()));
        // The same ID on another node looks as if the removal had not arrived.
        if !pending || began.elapsed() > SYNC {
            return Ok(holders);
        }
        thread::sleep(POLL);
    }
}

/// Returns what would be left in the catalog without these IDs of this agent. The same ID on several nodes is listed on each.
fn remaining(
    consul: &Consul,
    service: &str,
    target: &GatewayAddress,
    ids: &[&str],
) -> anyhow::Result<Vec<Holder>> {
    let holders = consul.holders(service, None, target)?;
    let count = |id: &str| holders.iter().filter(|holder| holder.id == id).count();
    let stays = |holder: &&Holder| !ids.contains(&holder.id.as_str()) || count(&holder.id) > 1;
    Ok(holders.iter().filter(stays).cloned().collect())
}
