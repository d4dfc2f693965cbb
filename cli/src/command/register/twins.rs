//! Finds gateways that would be two members: one process under two addresses, such as `localhost` and 127.0.0.1, a host
//! name and its address, or two ports that are forwarded to it. It would own two shares of the groups, and a group that moves
//! from one to the other would look like a stale copy of its own.
//!
//! Two addresses have the same process if both answer with the same status, whose start time has nanoseconds. If one of
//! them does not answer, they have the same process if their host names resolve to the same IP address and their ports are
//! equal. Two answers that differ always are two processes, for example behind one proxy.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use rayon::prelude::*;
use reqwest::blocking::Client;

use super::health_check::HealthCheck;
use super::known_gateways::{self, Gateway, KnownGateway, resolve};
use super::process::Process;
use crate::consul::client::{Consul, Service};
use crate::error::BadInput;
use crate::fleet::address::GatewayAddress;

/// A gateway to register.
pub(super) struct Target<'a> {
    address: &'a GatewayAddress,
    /// Whether it would become a member now.
    new: bool,
    /// ID of the registration that it replaces.
    id: String,
    gateway: Gateway,
}

/// The reason why two addresses have one process.
enum Same {
    Yes(String),
    /// The start time is too coarse to be sure.
    Perhaps(String),
}

impl<'a> Target<'a> {
    pub(super) fn new(address: &'a GatewayAddress, id: String, new: bool, process: Option<Process>) -> Self {
        Self { address, new, id, gateway: Gateway { process, ips: BTreeSet::new() } }
    }
}

/// Compares each new gateway with the other ones and with the registered ones. Adds to `warnings` what is unsure.
///
/// Without `client`, no gateway is asked, and the registered ones are those of the agent.
///
/// # Errors
/// [`BadInput`]: a new gateway is another one or is registered, with the names of both and what to do.
pub(super) fn check(
    consul: &Consul,
    service: (&str, &BTreeMap<String, Service>),
    targets: &mut [Target<'_>],
    (client, check): (Option<&Client>, &HealthCheck),
    warnings: &mut Vec<String>,
) -> anyhow::Result<()> {
    targets.par_iter_mut().with_max_len(1).for_each(|target| target.gateway.ips = resolve(target.address));
    let mut refused = same_targets(targets, warnings);
    if targets.iter().any(|target| target.new) {
        let ids = targets.iter().map(|target| target.id.clone()).collect();
        let mut known = known_gateways::read(consul, service, &ids, client.is_some(), warnings);
        known.retain(|address, _| targets.iter().all(|target| target.address != address));
        let resolves = targets.iter().any(|target| target.gateway.process.is_none());
        known_gateways::ask(&mut known, (client, check), resolves)?;
        refused.extend(same_known(targets, &known, warnings));
        warnings.extend(client.and_then(|_| known_gateways::unanswered(&known)));
    }
    ensure!(refused.is_empty(), BadInput(refused.join("\n")));
    Ok(())
}

/// Compares the gateways with one another. Returns why some of them are refused.
fn same_targets(targets: &[Target<'_>], warnings: &mut Vec<String>) -> Vec<String> {
    let mut refused = Vec::new();
    for (index, one) in targets.iter().enumerate() {
        for other in &targets[index + 1..] {
            let (a, b) = (one.address, other.address);
            match same((a, &one.gateway), (b, &other.gateway)) {
                Some(Same::Yes(why)) if one.new || other.new => {
                    refused
                        .push(format!("{a} and {b} are one gateway: {why}; register it under one address"));
                }
                Some(Same::Yes(why)) => warnings.push(format!(
                    "{a} and {b} are one gateway, and registered twice: {why}; deregister one of them"
                )),
                Some(Same::Perhaps(why)) => warnings.push(format!(
                    "{a} and {b} may be one gateway: {why}; if they are, deregister one of them"
                )),
                None => {}
            }
        }
    }
    refused
}

/// Compares the new gateways with the registered ones. Returns why some of them are refused.
fn same_known(
    targets: &[Target<'_>],
    known: &BTreeMap<GatewayAddress, KnownGateway>,
    warnings: &mut Vec<String>,
) -> Vec<String> {
    let mut refused = Vec::new();
    for target in targets.iter().filter(|target| target.new) {
        let new = target.address;
        for (address, known) in known {
            match same((new, &target.gateway), (address, &known.gateway)) {
                Some(Same::Yes(why)) => refused.push(format!(
                    "{new} is the gateway that is registered as {address}: {why}; as two members, one process would own two \
                     shares of the groups. Keep that registration, or remove it first and register again:\n{}",
                    known.named.join("\n")
                )),
                Some(Same::Perhaps(why)) => warnings.push(format!(
                    "{new} may be the gateway that is registered as {address}: {why}; if it is, deregister one of them"
                )),
                None => {}
            }
        }
    }
    refused
}

/// Returns why two addresses have one process; `None` if they have not, or it is not known.
fn same((a, one): (&GatewayAddress, &Gateway), (b, other): (&GatewayAddress, &Gateway)) -> Option<Same> {
    let answers = one.process.as_ref().zip(other.process.as_ref());
    if answers.is_some_and(|(one, other)| one != other) {
        return None;
    }
    let started = |process: &Process| format!("both answer with the start time {:?}", process.start_time());
    if let Some((process, _)) = answers.filter(|(one, _)| one.is_unique()) {
        return Some(Same::Yes(started(process)));
    }
    let shared = one.ips.intersection(&other.ips).next().filter(|_| a.port() == b.port());
    match (shared, answers) {
        (Some(ip), _) => Some(Same::Yes(format!("both are port {} of {ip}", a.port()))),
        (None, Some((process, _))) => {
            Some(Same::Perhaps(format!("{}, which is not precise", started(process))))
        }
        (None, None) => None,
    }
}
