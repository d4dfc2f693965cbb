//! The gateways that are registered already, and the processes behind their addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use reqwest::blocking::Client;

use super::health_check::{HealthCheck, SCHEME};
use super::probe;
use super::process::Process;
use crate::consul::client::{Consul, Service};
use crate::consul::holders::removal;
use crate::fleet::access::Scheme;
use crate::fleet::address::GatewayAddress;
use crate::text;

/// Longest time to ask the registered gateways, and number of those asked at once: many of them may be silent.
const LIMIT: Duration = Duration::from_secs(30);
const THREADS: usize = 64;
/// Number of addresses that a warning lists.
const LISTED: usize = 10;

/// The gateway at an address, as far as it is known.
#[derive(Default)]
pub(super) struct Gateway {
    pub(super) process: Option<Process>,
    /// IP addresses of its host; not needed, and empty, if all processes are known.
    pub(super) ips: BTreeSet<IpAddr>,
}

/// A registered address.
#[derive(Default)]
pub(super) struct KnownGateway {
    scheme: Option<String>,
    passing: bool,
    /// Its registrations, and how to remove them.
    pub(super) named: Vec<String>,
    asked: bool,
    pub(super) gateway: Gateway,
}

/// Returns the registered addresses but those of the IDs in `replaced`: of the agent and, if `catalog`, of all agents. If the
/// catalog cannot be read, a warning says so.
pub(super) fn read(
    consul: &Consul,
    (service, at_agent): (&str, &BTreeMap<String, Service>),
    replaced: &BTreeSet<String>,
    catalog: bool,
    warnings: &mut Vec<String>,
) -> BTreeMap<GatewayAddress, KnownGateway> {
    let mut all: BTreeMap<_, KnownGateway> = BTreeMap::new();
    let registered = if catalog { consul.registered(service, None, |_| true) } else { Ok(Vec::new()) };
    let registered = registered.unwrap_or_else(|error| {
        warnings.push(format!("the gateways are compared only with those of this agent: {error:#}"));
        Vec::new()
    });
    for found in
        registered.into_iter().filter(|found| !(found.holder.here && replaced.contains(&found.holder.id)))
    {
        let known = all.entry(found.address).or_default();
        known.passing |= found.passing;
        known.scheme = known.scheme.take().or(found.scheme);
        known.named.push(format!("registered as {}", found.holder));
    }
    // The catalog lags behind the agent, usually by milliseconds.
    let others = at_agent
        .iter()
        .filter(|(id, found)| found.service.eq_ignore_ascii_case(service) && !replaced.contains(*id));
    for (id, found) in others {
        let Ok(address) = GatewayAddress::new(&found.address, found.port) else { continue };
        let remove = removal(service, &address, consul.given());
        all.entry(address).or_insert_with(|| KnownGateway {
            scheme: found.meta.get(SCHEME).cloned(),
            named: vec![format!("registered as ID {} at this agent; remove it:\n  {remove}", text::line(id))],
            ..KnownGateway::default()
        });
    }
    all
}

/// Asks all gateways for a limited time. `resolves`: their IP addresses are needed, even if they answer.
///
/// # Errors
/// No thread can be started.
pub(super) fn ask(
    all: &mut BTreeMap<GatewayAddress, KnownGateway>,
    (client, check): (Option<&Client>, &HealthCheck),
    resolves: bool,
) -> anyhow::Result<()> {
    let threads = ThreadPoolBuilder::new().num_threads(THREADS.min(all.len().max(1))).build()?;
    let deadline = Instant::now() + LIMIT;
    let all: Vec<_> = all.iter_mut().collect();
    threads.install(|| {
        all.into_par_iter().with_max_len(1).for_each(|(address, known)| {
            if Instant::now() < deadline {
                known.ask(address, client, check, resolves);
            }
        });
    });
    Ok(())
}

impl KnownGateway {
    /// Asks the gateway, without the headers of the check: they are for the gateways that the user names.
    fn ask(
        &mut self,
        address: &GatewayAddress,
        client: Option<&Client>,
        check: &HealthCheck,
        resolves: bool,
    ) {
        let scheme = self.scheme.as_ref().filter(|scheme| Scheme::parse(scheme).is_some());
        let scheme = scheme.unwrap_or(&check.scheme).clone();
        let check = HealthCheck { scheme, headers: BTreeMap::new(), ..check.clone() };
        self.gateway.process = client.and_then(|client| probe::process(client, &check, address));
        if resolves || self.gateway.process.is_none() {
            self.gateway.ips = resolve(address);
        }
        self.asked = true;
    }
}

/// Returns the IP addresses of a gateway; none if its name does not resolve here.
pub(super) fn resolve(address: &GatewayAddress) -> BTreeSet<IpAddr> {
    if let Some(ip) = address.ip() {
        return BTreeSet::from([ip]);
    }
    let resolved = (address.host(), address.port()).to_socket_addrs();
    resolved.into_iter().flatten().map(|address| address.ip().to_canonical()).collect()
}

/// Returns a warning about gateways that could not be compared.
pub(super) fn unanswered(all: &BTreeMap<GatewayAddress, KnownGateway>) -> Option<String> {
    // A gateway that fails its check is down, so it is not the process of a new one.
    let unknown =
        all.iter().filter(|(_, known)| known.gateway.process.is_none() && (known.passing || !known.asked));
    let unknown: Vec<String> = unknown.map(|(address, _)| address.to_string()).collect();
    let more = if unknown.len() > LISTED { ", …" } else { "" };
    let listed = unknown.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    (!unknown.is_empty()).then(|| {
        format!(
            "registered gateways that do not answer here cannot be compared with the new ones, which may be one of them under \
             another address: {listed}{more}"
        )
    })
}
