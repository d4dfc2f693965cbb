//! Members from DNS: SRV records, or the addresses of a name.

mod records;
mod resolver;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::Context;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::source::{Out, Snapshot, Source};
use crate::error::BadInput;
use crate::fleet::registration::Registrations;
use resolver::Resolver;

/// Shortest time between two questions, also if the records may not be kept at all.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Longest one, whatever the records say.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Time for each target that must be asked for separately: at most a hundred questions a second.
const PAUSE_PER_TARGET: Duration = Duration::from_millis(10);
/// Questions at the same time.
const PARALLEL: usize = 16;

/// The flags of the source.
#[derive(clap::Args)]
pub(crate) struct DnsArgs {
    /// Full name whose SRV records are the gateways: host, port and weight
    #[arg(long, help_heading = "DNS", value_name = "NAME", required_if_eq("from", "dns"))]
    dns: Option<String>,
    /// Ask for the addresses of the name (A, else AAAA) instead; each is a gateway with this port
    #[arg(long, help_heading = "DNS", value_name = "PORT", requires = "dns")]
    port: Option<NonZeroU16>,
    /// DNS server, as IP or IP:port [default: those of /etc/resolv.conf]
    #[arg(long, help_heading = "DNS", value_name = "ADDRESS", value_parser = server, requires = "dns")]
    resolver: Option<SocketAddr>,
}

/// Parses the address of a server.
fn server(text: &str) -> Result<SocketAddr, String> {
    let ip = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    text.parse().or_else(|_| ip()).map_err(|_| "allowed: an IP address, or IP:port".to_owned())
}

/// The gateways of a name.
pub(crate) struct Dns {
    name: Name,
    port: Option<NonZeroU16>,
    server: Option<SocketAddr>,
    /// The targets of SRV records with their addresses, as last read.
    known: BTreeMap<Name, IpAddr>,
    /// Whether a list was read: then a target that cannot be read hides no other.
    read: bool,
}

impl DnsArgs {
    /// # Errors
    /// [`BadInput`]: the name is none.
    pub(crate) fn source(&self) -> anyhow::Result<Dns> {
        let given = self.dns.as_deref().unwrap_or_default();
        let bad =
            |reason: String| BadInput(format!("--dns: found {given:?}, expected a name in DNS: {reason}"));
        let mut name = Name::from_utf8(given).map_err(|error| bad(error.to_string()))?;
        // As given, without the search list of /etc/resolv.conf.
        name.set_fqdn(true);
        if name.is_root() {
            return Err(bad("it is empty".to_owned()).into());
        }
        Ok(Dns { name, port: self.port, server: self.resolver, known: BTreeMap::new(), read: false })
    }
}

impl Source for Dns {
    fn follow(&mut self, out: &Out) -> anyhow::Result<Infallible> {
        let runtime = Builder::new_current_thread().enable_all().build().context("DNS")?;
        runtime.block_on(async {
            let resolver = Resolver::new(self.server)?;
            let mut last = None;
            loop {
                let (found, away, ttl) = match self.port {
                    Some(port) => addresses(&resolver, &self.name, port).await?,
                    None => self.services(&resolver).await?,
                };
                let now = Some((found, away));
                if now != last {
                    let (registrations, away) = now.clone().unwrap_or_default();
                    out.send(Snapshot { registrations, away, ..Snapshot::default() })?;
                    last = now;
                }
                self.read = true;
                tokio::time::sleep(ttl).await;
            }
        })
    }
}

/// A list, why a part of it could not be read, and the pause until the next one.
type Read = (Registrations, Option<String>, Duration);

/// Reads the addresses of a name. IPv6 addresses count only if there is no IPv4 address: most hosts with both are one gateway.
async fn addresses(resolver: &Resolver, name: &Name, port: NonZeroU16) -> anyhow::Result<Read> {
    let mut found = resolver.list(name, RecordType::A).await?;
    if found.records.is_empty() {
        found = resolver.list(name, RecordType::AAAA).await?;
    }
    let all = found.records.iter().filter_map(resolver::address);
    let all: Vec<_> = all.map(|ip| records::registration(ip, port.get(), String::new(), 1)).collect();
    Ok((all.into(), None, found.ttl.clamp(MIN_PAUSE, MAX_PAUSE)))
}

impl Dns {
    /// Reads the SRV records of the name and the addresses of their targets.
    async fn services(&mut self, resolver: &Resolver) -> anyhow::Result<Read> {
        let found = resolver.list(&self.name, RecordType::SRV).await?;
        let services = records::services(&found.records);
        let mut addresses = records::added(&services, &found.additionals);
        let missing: Vec<Name> = services
            .iter()
            .map(|service| &service.target)
            .filter(|name| !addresses.contains_key(name))
            .cloned()
            .collect();
        let pause = PAUSE_PER_TARGET * missing.len() as u32;
        let mut ttl = found.ttl;
        let mut failed = Vec::new();
        for (target, answer) in ask(resolver, missing).await? {
            match answer {
                Ok((address, valid)) => {
                    ttl = ttl.min(valid);
                    addresses.insert(target, address);
                }
                // A first list without this one would take it off the ring.
                Err(error) if !self.read => return Err(error),
                Err(error) => {
                    failed.push(format!("{error:#}"));
                    addresses.insert(target.clone(), self.known.get(&target).copied());
                }
            }
        }
        failed.sort_unstable();
        failed.dedup();
        let away = failed.first().map(|first| match failed.len() {
            1 => first.clone(),
            count => format!("{first} (and {} more)", count - 1),
        });
        let list = records::registrations(&services, &addresses);
        self.known = addresses.into_iter().filter_map(|(name, address)| Some((name, address?))).collect();
        Ok((list, away, ttl.clamp(MIN_PAUSE, MAX_PAUSE).max(pause)))
    }
}

type Address = anyhow::Result<(Option<IpAddr>, Duration)>;

/// Asks for the addresses of hosts, a few at a time.
async fn ask(resolver: &Resolver, mut hosts: Vec<Name>) -> anyhow::Result<Vec<(Name, Address)>> {
    hosts.sort_unstable();
    hosts.dedup();
    let (mut asked, mut answers) = (JoinSet::new(), Vec::new());
    loop {
        while asked.len() < PARALLEL
            && let Some(host) = hosts.pop()
        {
            let resolver = resolver.clone();
            asked.spawn(async move {
                let answer = resolver.address(&host).await;
                (host, answer)
            });
        }
        match asked.join_next().await {
            Some(answer) => answers.push(answer.context("DNS")?),
            None => return Ok(answers),
        }
    }
}
