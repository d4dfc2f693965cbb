//! From what Consul has registered to the members of the ring; the templates call it as `pushring members`.
//!
//! One place decides which registration is which member, so the three templates cannot differ, and one odd
//! registration cannot make a configuration that the filter refuses and so freeze the ring:
//!
//! | found | becomes |
//! |---|---|
//! | an address the filter would refuse, no port | skipped |
//! | an IPv6 address in any spelling | its canonical text (RFC 5952), in brackets |
//! | the same host:port more than once | one member; passing if any of them is; the largest weight |
//! | a weight outside 1..=100 | the nearest of the two; 1 where the placement knows no weights |
//! | the same `pushring-name` at several addresses | one member: a passing one, else the smallest address |
//!
//! Registrations come as one argument, which Linux limits to 128 KiB: some 1,400 of them. Beyond that
//! consul-template stops with "argument list too long", and the last ring stays.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, ensure};
use pushring_router::{Config, Member};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::BadInput;

/// The file `settings.yaml`: all that is set about a ring fed from Consul.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to look for.
    pub consul: ConsulSettings,
    /// Of the registered members, the part that must be passing for a ring to replace the last one: 0 to 1,
    /// the number rounded up, at least one member.
    #[serde(default = "a_third")]
    pub min_members_share: f64,
    /// Fields of the filter's configuration, all but `members` and `min_members`.
    #[serde(default)]
    pub filter: Map<String, Value>,
}

/// Read by the templates; here only so that a misspelt field is refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsulSettings {
    /// Name of the service.
    pub service: String,
    /// Datacenters to ask; none: that of the agent.
    #[serde(default)]
    pub datacenters: Vec<String>,
    /// Tags that a registration must have, all of them.
    #[serde(default)]
    pub tags: Vec<String>,
}

pub(crate) const fn a_third() -> f64 {
    1.0 / 3.0
}

/// One registration, as the templates write it: a JSON array of these fields in this order.
#[derive(Clone, Debug, Deserialize)]
pub struct Registration {
    /// Host name or IP address, without port; the node's where the service has none.
    pub address: String,
    /// 0: none.
    pub port: u32,
    /// The worst status of its checks; only `passing` is on the ring.
    pub status: String,
    /// Consul's weight while passing.
    pub weight: i64,
    /// The service's meta `pushring-name`, or empty.
    pub name: String,
    /// Node that it is registered on.
    pub node: String,
    /// Its ID, unique on that node.
    pub id: String,
}

/// What the templates render.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Members {
    /// The filter's configuration: settings, and the members that are passing.
    pub ring: String,
    /// A cluster for each registered member.
    pub clusters: Vec<Cluster>,
    /// Each registered address that is an IP address.
    pub endpoints: Vec<Endpoint>,
    /// Registered members that are not passing, and so not in `ring`; the templates have no use for them.
    #[serde(skip)]
    pub off_ring: Vec<Member>,
    /// Registrations left out, and why; one line each.
    pub skipped: Vec<String>,
}

/// A cluster with one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// `cluster_prefix` and the member's name.
    pub name: String,
    /// The name without the characters that separate parts of a statistic's name.
    pub stat_name: String,
    /// Whether the host must be resolved.
    pub dns: bool,
    /// Where it is.
    #[serde(flatten)]
    pub endpoint: Endpoint,
}

/// A host, without brackets, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// IP address or name.
    pub host: String,
    /// 1..=65535.
    pub port: u32,
}

struct Candidate {
    name: String,
    address: String,
    endpoint: Endpoint,
    weight: u32,
    passing: bool,
}

impl From<Candidate> for Member {
    fn from(candidate: Candidate) -> Self {
        Self { name: candidate.name, address: candidate.address, weight: candidate.weight }
    }
}

/// Parses the settings file.
///
/// # Errors
/// [`BadInput`] with line, field and what is allowed.
pub fn parse_settings(yaml: &str) -> anyhow::Result<Settings> {
    let settings: Settings =
        serde_saphyr::from_str(yaml).map_err(|error| BadInput(format!("settings: {error}")))?;
    ensure!(
        (0.0..=1.0).contains(&settings.min_members_share),
        BadInput(format!("min_members_share: found {}, allowed 0 to 1", settings.min_members_share))
    );
    for field in ["members", "min_members"] {
        let found = settings.filter.contains_key(field);
        ensure!(!found, BadInput(format!("filter.{field}: comes from Consul; remove it from the settings")));
    }
    Ok(settings)
}

/// Parses registrations, one JSON array per line.
///
/// # Errors
/// [`BadInput`]: the template and the command do not belong together.
pub fn parse_registrations(lines: &str) -> anyhow::Result<Vec<Registration>> {
    let parse =
        |line: &str| serde_json::from_str(line).with_context(|| BadInput(format!("registration {line}")));
    lines.lines().map(parse).collect()
}

/// Decides who is a member. The order of the registrations does not matter.
#[must_use]
pub fn members(settings: &Settings, registrations: &[Registration]) -> Members {
    let mut skipped = Vec::new();
    let mut by_address: BTreeMap<String, Candidate> = BTreeMap::new();
    for registration in registrations {
        match candidate(settings, registration) {
            Ok(new) => collapse(&mut by_address, new),
            Err(reason) => skipped.push(format!("{} on {}: {reason}", registration.id, registration.node)),
        }
    }
    let endpoints =
        by_address.values().filter(|c| is_ip(&c.endpoint.host)).map(|c| c.endpoint.clone()).collect();
    let members = one_per_name(by_address, &mut skipped);
    skipped.sort_unstable();
    Members {
        ring: ring(settings, &members),
        clusters: members.values().map(|member| cluster(settings, member)).collect(),
        off_ring: members.into_values().filter(|member| !member.passing).map(Member::from).collect(),
        endpoints,
        skipped,
    }
}

fn candidate(settings: &Settings, found: &Registration) -> Result<Candidate, String> {
    let host = found.address.trim_start_matches('[').trim_end_matches(']');
    let port = u16::try_from(found.port).ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| format!("port: found {}, allowed 1 to 65535", found.port))?;
    let (host, address) = match host.parse::<IpAddr>() {
        Ok(ip) => (ip.to_string(), SocketAddr::new(ip, port).to_string()),
        Err(_) => (host.to_owned(), format!("{host}:{port}")),
    };
    let name = if found.name.is_empty() { address.clone() } else { found.name.clone() };
    // The filter itself says what it would not take; the rest of the settings is not this member's fault.
    let mode = settings.filter.get("mode").filter(|mode| **mode == "endpoint").cloned();
    let alone =
        json!({"members": [{"name": name, "address": address}], "mode": mode.unwrap_or("cluster".into())});
    Config::parse(alone.to_string().as_bytes())
        .map_err(|error| error.to_string().replace("members[0].", ""))?;
    let weighted = settings.filter.get("placement").is_none_or(|p| p["type"] != "dynamic-sharding");
    let weight = if weighted { found.weight.clamp(1, 100) as u32 } else { 1 };
    let endpoint = Endpoint { host, port: port.into() };
    Ok(Candidate { name, address, endpoint, weight, passing: found.status == "passing" })
}

/// Health is not asked which name counts: a member must not change its identity when a check does.
fn collapse(by_address: &mut BTreeMap<String, Candidate>, new: Candidate) {
    let Some(known) = by_address.get_mut(&new.address) else {
        by_address.insert(new.address.clone(), new);
        return;
    };
    let unnamed = known.name == known.address;
    if new.name != new.address && (unnamed || new.name < known.name) {
        known.name = new.name;
    }
    known.weight = known.weight.max(new.weight);
    known.passing |= new.passing;
}

fn one_per_name(
    by_address: BTreeMap<String, Candidate>,
    skipped: &mut Vec<String>,
) -> BTreeMap<String, Candidate> {
    let mut members: BTreeMap<String, Candidate> = BTreeMap::new();
    for candidate in by_address.into_values() {
        let name = candidate.name.clone();
        let (out, by) = match members.remove(&name) {
            None => {
                members.insert(name, candidate);
                continue;
            }
            Some(known) if candidate.passing && !known.passing => (known, candidate),
            Some(known) => (candidate, known),
        };
        skipped.push(format!("{}: the name {name:?} is that of {} already", out.address, by.address));
        members.insert(name, by);
    }
    members
}

/// Laid out for people: they read it in the ring file.
fn ring(settings: &Settings, members: &BTreeMap<String, Candidate>) -> String {
    let share = settings.min_members_share * members.len() as f64;
    let min_members = (share.ceil() as usize).max(1);
    let mut text = String::from("{\n");
    for (field, value) in &settings.filter {
        text += &format!("  {}: {value},\n", json!(field));
    }
    let passing = members.values().filter(|member| member.passing);
    let lines: Vec<String> = passing
        .map(|m| format!("    {}", json!({"name": m.name, "address": m.address, "weight": m.weight})))
        .collect();
    text += &format!("  \"min_members\": {min_members},\n  \"members\": [\n{}\n  ]\n}}", lines.join(",\n"));
    text
}

fn cluster(settings: &Settings, member: &Candidate) -> Cluster {
    let prefix = settings.filter.get("cluster_prefix").and_then(Value::as_str).unwrap_or("pushgateway-");
    let name = format!("{prefix}{}", member.name);
    Cluster {
        stat_name: name.replace(['.', ':'], "_"),
        name,
        dns: !is_ip(&member.endpoint.host),
        endpoint: member.endpoint.clone(),
    }
}

fn is_ip(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}
