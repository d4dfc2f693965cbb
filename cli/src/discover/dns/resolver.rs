//! Asks DNS servers. An empty answer is one thing, a server that failed another.
//!
//! The pool of hickory-resolver is used below its cache: the cache follows the targets of SRV records as if they were aliases,
//! and its search list turns the failure of one name into the absence of another.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hickory_resolver::config::{NameServerConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

/// Longest wait for one server.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Most answers that one chain of aliases takes.
const MAX_ANSWERS: usize = 8;

/// The records of a name, after its aliases.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// Records of other names that the server added.
    pub(super) additionals: Vec<Record>,
    /// How long they are valid, or their absence is; zero if the server does not say so.
    pub(super) ttl: Duration,
}

/// The servers of the system, or one server.
#[derive(Clone)]
pub(super) struct Resolver {
    /// The servers by TCP only.
    tcp: Vec<NameServerConfig>,
    udp: NameServerPool<TokioRuntimeProvider>,
    context: Arc<PoolContext>,
    options: DnsRequestOptions,
}

impl Resolver {
    /// Uses one server, or those in /etc/resolv.conf, which is read now. Call it on the runtime.
    ///
    /// # Errors
    /// /etc/resolv.conf names no server.
    pub(super) fn new(server: Option<SocketAddr>) -> anyhow::Result<Self> {
        let (servers, mut options) = match server {
            Some(address) => (vec![at(address)], ResolverOpts::default()),
            None => {
                let (config, options) = read_system_conf().context("/etc/resolv.conf")?;
                (config.name_servers().to_vec(), options)
            }
        };
        options.timeout = options.timeout.min(TIMEOUT);
        let mut request = DnsRequestOptions::default();
        request.use_edns = options.edns0;
        request.edns_payload_len = options.edns_payload_len;
        request.recursion_desired = true;
        let context = Arc::new(PoolContext::new(options, TlsConfig::new()?));
        let only_tcp = servers.iter().cloned().map(|mut server| {
            server.connections.retain(|connection| connection.protocol == ProtocolConfig::Tcp);
            server
        });
        let tcp = only_tcp.collect();
        let udp = NameServerPool::from_config(servers, context.clone(), TokioRuntimeProvider::default());
        Ok(Self { tcp, udp, context, options: request })
    }

    /// Returns all records of a name, by TCP. Some servers, Consul's among them, leave records out of large answers over UDP
    /// and do not say so; UDP is only for servers that do not answer over TCP.
    ///
    /// # Errors
    /// No server answers, or the answer is neither a list of records nor that there are none.
    pub(super) async fn list(&self, name: &Name, kind: RecordType) -> anyhow::Result<Found> {
        // A new connection each time: on an open one, dnsmasq answers with the records of the time when it was opened.
        let context = self.context.clone();
        let tcp = NameServerPool::from_config(self.tcp.clone(), context, TokioRuntimeProvider::default());
        match self.find(&tcp, name, kind).await {
            Err(error) if error.is::<NetError>() => self.find(&self.udp, name, kind).await,
            other => other,
        }
        .with_context(|| format!("DNS: {kind} of {name}"))
    }

    /// Returns the address of a host: the smallest IPv4 address, else the smallest IPv6 address, so that the answer does not
    /// depend on its order.
    ///
    /// # Errors
    /// As [`Resolver::list`].
    pub(super) async fn address(&self, host: &Name) -> anyhow::Result<(Option<IpAddr>, Duration)> {
        let ask = async |kind| {
            self.find(&self.udp, host, kind).await.with_context(|| format!("DNS: {kind} of {host}"))
        };
        let found = ask(RecordType::A).await?;
        match smallest(&found.records) {
            None => {
                let found = ask(RecordType::AAAA).await?;
                Ok((smallest(&found.records), found.ttl))
            }
            some => Ok((some, found.ttl)),
        }
    }

    async fn find(
        &self,
        pool: &NameServerPool<TokioRuntimeProvider>,
        name: &Name,
        kind: RecordType,
    ) -> anyhow::Result<Found> {
        let (mut name, mut ttl) = (name.clone(), Duration::MAX);
        for _ in 0..MAX_ANSWERS {
            let answer = pool.lookup(Query::query(name.clone(), kind), self.options).first_answer().await;
            let message: Message = match answer {
                Ok(answer) => answer.into_message(),
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                    let valid = Duration::from_secs(none.negative_ttl.unwrap_or(0).into());
                    return Ok(Found { records: Vec::new(), additionals: Vec::new(), ttl: ttl.min(valid) });
                }
                Err(NetError::Dns(DnsError::ResponseCode(code))) => bail!("the server answers {code}"),
                Err(error) => return Err(error.into()),
            };
            let code = message.response_code;
            if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
                bail!("the server answers {code}");
            }
            let (end, aliases_ttl) = follow_aliases(&message.answers, &name)?;
            ttl = ttl.min(aliases_ttl);
            let of_end = |record: &&Record| record.name == end && record.record_type() == kind;
            let records: Vec<Record> = message.answers.iter().filter(of_end).cloned().collect();
            if !records.is_empty() || code == ResponseCode::NXDomain || end == name {
                let valid = records.iter().map(|record| record.ttl).min().unwrap_or(0);
                let ttl = ttl.min(Duration::from_secs(valid.into()));
                return Ok(Found { records, additionals: message.additionals, ttl });
            }
            // The server leaves the rest of the chain to us.
            name = end;
        }
        Err(anyhow!("more than {MAX_ANSWERS} aliases"))
    }
}

/// Returns the name at the end of the chain of aliases in an answer, and the shortest TTL of the chain.
///
/// # Errors
/// The chain is a loop.
fn follow_aliases(answers: &[Record], name: &Name) -> anyhow::Result<(Name, Duration)> {
    let (mut at, mut ttl, mut seen) = (name.clone(), Duration::MAX, BTreeSet::new());
    let alias = |at: &Name| {
        answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *at => Some((target.0.clone(), record.ttl)),
            _ => None,
        })
    };
    while let Some((target, valid)) = alias(&at) {
        if !seen.insert(at) {
            bail!("the aliases are a loop");
        }
        (at, ttl) = (target, ttl.min(Duration::from_secs(valid.into())));
    }
    Ok((at, ttl))
}

/// Returns the smallest address among records.
pub(super) fn smallest(records: &[Record]) -> Option<IpAddr> {
    records.iter().filter_map(address).min()
}

pub(super) fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(ip) => Some(ip.0.into()),
        RData::AAAA(ip) => Some(ip.0.into()),
        _ => None,
    }
}

fn at(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections.iter_mut().for_each(|connection| connection.port = address.port());
    server
}
