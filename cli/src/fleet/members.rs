//! Decides which registrations are members of the ring.
//!
//! `pushring publish` and `--consul` share this decision. An odd registration never makes a configuration
//! that the filter would reject, because that would freeze the ring:
//!
//! | found | result |
//! |---|---|
//! | an address that the filter would reject, or no port | skipped, with the reason |
//! | an IPv6 address in any spelling | its canonical text (RFC 5952), in brackets |
//! | the same host and port more than once | one member: passing if any of them is, with the largest weight |
//! | a weight outside 1..=100 | the nearest value in the range; 1 if the placement has no weights |
//! | the same name at several addresses | one member: a passing one, else the smallest address |

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::ensure;
use pushring_router::{Config, Member, Mode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::consul::registration::Registration;
use crate::error::BadInput;
use crate::fleet::render::{Cluster, Endpoint};

/// The file `settings.yaml`: everything about a ring but its members.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The services in Consul that are the gateways. The template reads it; absent if another registry is the source.
    pub consul: Option<ConsulSettings>,
    /// Share of the registered members, 0 to 1, that must be passing before a ring replaces the last one. The number of
    /// members is rounded up, and at least 1.
    #[serde(default = "a_third")]
    pub min_members_share: f64,
    /// Fields of the filter's configuration, except `members` and `min_members`.
    #[serde(default)]
    pub filter: Map<String, Value>,
}

/// The section `consul` of `settings.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsulSettings {
    /// Name of the service.
    pub service: String,
    /// Datacenters to query; empty: the agent's own.
    #[serde(default)]
    pub datacenters: Vec<String>,
    /// Tags that a registration must have, all of them.
    #[serde(default)]
    pub tags: Vec<String>,
}

pub(crate) const fn a_third() -> f64 {
    1.0 / 3.0
}

/// The members of a ring, and their upstreams in Envoy.
#[derive(Clone, Debug)]
pub struct Members {
    /// The filter's configuration (JSON) with the passing members.
    pub config: String,
    /// One cluster per member, passing or not.
    pub clusters: Vec<Cluster>,
    /// Every registered IP address and port, including those that lost their name to another address.
    pub endpoints: Vec<Endpoint>,
    /// Registered members that are not passing: not on the ring, but they may hold groups.
    pub off_ring: Vec<Member>,
    /// Registrations that cannot be members, and the reason; one line each.
    pub skipped: Vec<String>,
}

struct Candidate {
    member: Member,
    endpoint: Endpoint,
    passing: bool,
}

impl Settings {
    /// Parses `settings.yaml`.
    ///
    /// # Errors
    /// [`BadInput`] with the line, the field and the accepted values.
    pub fn parse(yaml: &str) -> anyhow::Result<Self> {
        let settings: Self = serde_saphyr::from_str(yaml).map_err(|error| BadInput(error.to_string()))?;
        let share = settings.min_members_share;
        ensure!(
            (0.0..=1.0).contains(&share),
            BadInput(format!("min_members_share: found {share}, allowed 0 to 1"))
        );
        for field in ["members", "min_members"] {
            ensure!(
                !settings.filter.contains_key(field),
                BadInput(format!(
                    "filter.{field}: comes from the registrations; remove it from the settings"
                ))
            );
        }
        Ok(settings)
    }
}

impl Members {
    /// Decides who is a member. The order of the registrations does not matter.
    #[must_use]
    pub fn decide(settings: &Settings, registrations: &[Registration]) -> Self {
        let mut skipped = Vec::new();
        let mut by_address: BTreeMap<String, Candidate> = BTreeMap::new();
        for registration in registrations {
            match candidate(settings, registration) {
                Ok(candidate) => collapse(&mut by_address, candidate),
                Err(reason) => skipped.push(format!("{registration}: {reason}")),
            }
        }
        let endpoints =
            by_address.values().filter(|c| c.endpoint.is_ip()).map(|c| c.endpoint.clone()).collect();
        let members = one_per_name(by_address, &mut skipped);
        skipped.sort_unstable();
        let prefix = settings.filter.get("cluster_prefix").and_then(Value::as_str).unwrap_or("pushgateway-");
        let cluster = |candidate: &Candidate| Cluster {
            name: format!("{prefix}{}", candidate.member.name),
            endpoint: candidate.endpoint.clone(),
        };
        Self {
            config: config(settings, &members),
            clusters: members.values().map(cluster).collect(),
            off_ring: members.into_values().filter(|c| !c.passing).map(|c| c.member).collect(),
            endpoints,
            skipped,
        }
    }

    /// Takes the members from a complete configuration of the filter (JSON); all of them are passing.
    ///
    /// # Errors
    /// The filter would reject the configuration.
    pub fn from_config(json: &str) -> anyhow::Result<Self> {
        let config = Config::parse(json.as_bytes()).map_err(|error| BadInput(error.to_string()))?;
        let endpoint = |member: &Member| {
            let (host, port) = member.address.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            Some(Endpoint { host, port: port.parse().ok()? })
        };
        let members = || config.members.iter().filter_map(|member| Some((member, endpoint(member)?)));
        let cluster = |(member, endpoint): (&Member, Endpoint)| Cluster {
            name: format!("{}{}", config.cluster_prefix, member.name),
            endpoint,
        };
        Ok(Self {
            config: json.to_owned(),
            clusters: members().map(cluster).collect(),
            endpoints: members().map(|(_, endpoint)| endpoint).filter(Endpoint::is_ip).collect(),
            off_ring: Vec::new(),
            skipped: Vec::new(),
        })
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
    let endpoint_mode = settings.filter.get("mode").is_some_and(|mode| mode == "endpoint");
    let mode = if endpoint_mode { Mode::Endpoint } else { Mode::Cluster };
    let mut member = Member::new(name, address, mode).map_err(|error| error.to_string())?;
    if settings.filter.get("placement").is_none_or(|placement| placement["type"] != "dynamic-sharding") {
        member.weight = found.weight.clamp(1, 100) as u32;
    }
    Ok(Candidate { member, endpoint: Endpoint { host, port }, passing: found.status == "passing" })
}

/// Merges two registrations of one address. The name does not depend on health: a failing check must not change the
/// identity of a member.
fn collapse(by_address: &mut BTreeMap<String, Candidate>, new: Candidate) {
    let Some(known) = by_address.get_mut(&new.member.address) else {
        by_address.insert(new.member.address.clone(), new);
        return;
    };
    known.passing |= new.passing;
    let (known, new) = (&mut known.member, new.member);
    let unnamed = known.name == known.address;
    if new.name != new.address && (unnamed || new.name < known.name) {
        known.name = new.name;
    }
    known.weight = known.weight.max(new.weight);
}

fn one_per_name(
    by_address: BTreeMap<String, Candidate>,
    skipped: &mut Vec<String>,
) -> BTreeMap<String, Candidate> {
    let mut members: BTreeMap<String, Candidate> = BTreeMap::new();
    for candidate in by_address.into_values() {
        let name = candidate.member.name.clone();
        let (loser, winner) = match members.remove(&name) {
            None => {
                members.insert(name, candidate);
                continue;
            }
            Some(known) if candidate.passing && !known.passing => (known, candidate),
            Some(known) => (candidate, known),
        };
        let (loser, owner) = (loser.member.address, &winner.member.address);
        skipped.push(format!("{loser}: the name {name:?} belongs to {owner}"));
        members.insert(name, winner);
    }
    members
}

/// Writes the configuration with one member per line, because people read it in the ring file.
fn config(settings: &Settings, members: &BTreeMap<String, Candidate>) -> String {
    let share = settings.min_members_share * members.len() as f64;
    let min_members = (share.ceil() as usize).max(1);
    let mut text = String::from("{\n");
    for (field, value) in &settings.filter {
        text += &format!("  {}: {value},\n", json!(field));
    }
    let passing = members.values().filter(|candidate| candidate.passing).map(|candidate| &candidate.member);
    let lines: Vec<String> = passing
        .map(|m| format!("    {}", json!({"name": m.name, "address": m.address, "weight": m.weight})))
        .collect();
    text += &format!("  \"min_members\": {min_members},\n  \"members\": [\n{}\n  ]\n}}", lines.join(",\n"));
    text
}
