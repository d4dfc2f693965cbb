//! Decides which registrations are members of the ring.
//!
//! `pushring publish` and `--consul` share this decision. An odd registration never makes a configuration
//! that the filter would reject, because that would freeze the ring:
//!
//! | found | result |
//! |---|---|
//! | an address that the filter would reject, no port, an entry that cannot be read | skipped, with the reason |
//! | an address in any spelling | its one spelling: `fleet/address.rs` |
//! | the same address more than once | one member: passing if any of them is, with the name of the oldest, and with scheme and weight of a passing one, of these the oldest |
//! | a scheme that is neither http nor https | skipped, with the reason |
//! | a weight outside 1..=100 | the nearest value in the range; 1 if the placement has no weights |
//! | a name that is the address of another | its own address is its name |
//! | a status that no registry has | not passing, with a note |
//! | the same name at several addresses | one member: a passing one, of these the oldest, else the smallest address |
//! | more members, or more weight, than a ring can have | the oldest passing ones; the largest weights are lowered |

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use pushring_ring::MAX_POINTS_PER_WEIGHT;
use pushring_router::{Config, MAX_MEMBERS, Member, Mode, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::candidates::{self, Candidate, Candidates};
use crate::consul::service_name;
use crate::error::{BadInput, NotSafe};
use crate::fleet::access::{Access, Scheme};
use crate::fleet::registration::{Registration, Registrations};
use crate::fleet::render::{Cluster, Endpoint};
use crate::parse;

/// Number of odd statuses that are reported.
const MAX_ODD: usize = 10;

/// The file `settings.yaml`: everything about a ring but its members.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "fields such as filter")]
pub struct Settings {
    /// The services in Consul that are the gateways. The template reads it; absent if another registry is the source.
    pub consul: Option<ConsulSettings>,
    /// Share of the registered members, 0 to 1, that must be passing before a ring replaces the last one. The number of
    /// members is rounded up, and at least 1.
    #[serde(default = "a_half")]
    pub min_members_share: f64,
    /// How Envoy reaches the gateways; absent: without TLS, and with the system's CA certificates for registrations that
    /// ask for TLS.
    pub gateways: Option<Access>,
    /// Fields of the filter's configuration, except `members` and `min_members`.
    #[serde(default)]
    pub filter: Map<String, Value>,
}

/// The section `consul` of `settings.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with service")]
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

impl ConsulSettings {
    /// Checks the names.
    ///
    /// # Errors
    /// [`BadInput`]: a name that consul-template's queries cannot have.
    pub(crate) fn check(&self, [service, datacenters, tags]: [&str; 3]) -> anyhow::Result<()> {
        service_name::check(service, &self.service)?;
        self.datacenters.iter().try_for_each(|name| service_name::check(datacenters, name))?;
        let has_empty = self.tags.iter().any(|tag| tag.trim().is_empty());
        ensure!(!has_empty, BadInput(format!("{tags}: found an empty tag, expected the name of a tag")));
        Ok(())
    }

    /// Returns the datacenters to query; `None` is the agent's own.
    pub(crate) fn queried(&self) -> impl Iterator<Item = Option<&str>> {
        let own = self.datacenters.is_empty().then_some(None);
        own.into_iter().chain(self.datacenters.iter().map(|name| Some(name.as_str())))
    }
}

/// With three gateways, a change that leaves one is held.
pub(crate) const fn a_half() -> f64 {
    0.5
}

/// The members of a ring, and their upstreams in Envoy.
#[derive(Clone, Debug)]
pub struct Members {
    /// The filter's configuration (JSON) with the passing members.
    pub config: String,
    /// One cluster per member, passing or not.
    pub clusters: Vec<Cluster>,
    /// Every registered IP address and port, including those that lost their name to another address; if these are more than
    /// a ring can have members, only the members.
    pub endpoints: Vec<Endpoint>,
    /// How Envoy reaches them; `None`: without TLS and credentials.
    pub access: Option<Access>,
    /// Protocol of every registered address.
    pub schemes: BTreeMap<String, Scheme>,
    /// Number of passing members that the ring must have; with fewer of them, the filter rejects it.
    pub min_members: usize,
    /// Registered members that are not passing: not on the ring, but they may hold groups.
    pub off_ring: Vec<Member>,
    /// Registrations that cannot be members, and the reason; one line each.
    pub skipped: Vec<String>,
    /// Other notes for the operator; one line each.
    pub notes: Vec<String>,
}

impl Settings {
    /// Parses `settings.yaml`.
    ///
    /// # Errors
    /// [`BadInput`] with the line, the field and the accepted values.
    pub fn parse(yaml: &str) -> anyhow::Result<Self> {
        let settings: Option<Self> = parse::yaml(yaml).map_err(BadInput)?;
        // A file that was cut off must not count as one with the defaults.
        let settings =
            settings.ok_or_else(|| BadInput("found no field, expected filter: at least".to_owned()))?;
        let share = settings.min_members_share;
        ensure!(
            (0.0..=1.0).contains(&share),
            BadInput(format!("min_members_share: found {share}, allowed 0 to 1"))
        );
        if let Some(consul) = &settings.consul {
            consul.check(["consul.service", "consul.datacenters", "consul.tags"])?;
        }
        settings.gateways.as_ref().map_or(Ok(()), Access::check)?;
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

    /// Parses `settings.yaml` and builds the ring of its settings, without members. `None`: the text is no such file, for it
    /// has neither of its main fields.
    ///
    /// # Errors
    /// [`BadInput`], or the filter's error for the field `filter`.
    pub(crate) fn check(yaml: &str) -> Option<anyhow::Result<Router>> {
        // Not of this file only, so that its fields get its messages.
        let fields = ["consul", "filter", "gateways", "min_members_share"];
        let document: Value = parse::yaml(yaml).ok()?;
        fields.iter().find_map(|field| document.get(field))?;
        Some(Self::parse(yaml).and_then(|settings| {
            let mut fields = settings.filter;
            fields.insert("members".to_owned(), json!([]));
            fields.insert("min_members".to_owned(), json!(0));
            Router::parse(Value::Object(fields).to_string().as_bytes()).context("filter")
        }))
    }

    /// Parses `settings.yaml` and checks the fields of the filter, too, so that an error is found before there are members.
    ///
    /// # Errors
    /// [`BadInput`] with the line, the field and the accepted values.
    pub(crate) fn checked(yaml: &str) -> anyhow::Result<Self> {
        let parsed = Self::parse(yaml)?;
        match Self::check(yaml) {
            Some(Err(error)) => Err(BadInput(format!("{error:#}")).into()),
            _ => Ok(parsed),
        }
    }

    /// Returns whether a registration can be a member, whatever its health and whatever others there are.
    pub(crate) fn accepts(&self, found: &Registration) -> bool {
        Candidate::new(found, self.mode(), self.scheme()).is_ok()
    }

    /// Returns what precedes the name of a member in that of its cluster.
    pub(crate) fn cluster_prefix(&self) -> &str {
        self.filter.get("cluster_prefix").and_then(Value::as_str).unwrap_or("pushgateway-")
    }

    fn mode(&self) -> Mode {
        let is_endpoint = self.filter.get("mode").is_some_and(|mode| mode == "endpoint");
        if is_endpoint { Mode::Endpoint } else { Mode::Cluster }
    }

    fn scheme(&self) -> Scheme {
        self.gateways.as_ref().map(|access| access.scheme).unwrap_or_default()
    }

    /// Returns the number of points per unit of weight; `None` if the placement has no weights.
    fn points(&self) -> Option<usize> {
        let placement = self.filter.get("placement").unwrap_or(&Value::Null);
        if placement["type"] == "dynamic-sharding" {
            return None;
        }
        // The filter rejects any other number, whatever the weights.
        let points = placement["points"]
            .as_u64()
            .filter(|points| (1..=u64::from(MAX_POINTS_PER_WEIGHT)).contains(points));
        Some(points.unwrap_or(1024) as usize)
    }
}

impl Members {
    /// Returns the number of members that are passing.
    pub(crate) fn passing(&self) -> usize {
        self.clusters.len() - self.off_ring.len()
    }

    /// Decides who is a member. The order of the registrations does not matter.
    #[must_use]
    pub fn decide(settings: &Settings, registrations: &Registrations) -> Self {
        let (mode, scheme) = (settings.mode(), settings.scheme());
        let mut candidates = Candidates::default();
        for registration in registrations.found.iter().filter(|found| !found.leaving) {
            candidates.add(registration, mode, scheme);
        }
        let all: Vec<Candidate> = candidates.iter().cloned().collect();
        let schemes: BTreeMap<_, _> =
            candidates.iter().map(|c| (c.member.address.clone(), c.scheme)).collect();
        let tls = schemes.values().any(|scheme| *scheme == Scheme::Https);
        let mut notes = candidates.return_taken_addresses();
        notes.extend(candidates.disputed());
        notes.extend(registrations.found.iter().filter_map(Registration::odd_status).take(MAX_ODD));
        let (mut members, mut skipped) = candidates.one_per_name();
        skipped.extend(registrations.unreadable.iter().cloned());
        skipped.sort_unstable();
        skipped.extend(candidates::limit_members(&mut members));
        // Envoy must not hold more endpoints than a ring can have members.
        let on_ring: BTreeSet<&str> = members.values().map(|one| one.member.address.as_str()).collect();
        let is_kept =
            |one: &&Candidate| all.len() <= MAX_MEMBERS || on_ring.contains(one.member.address.as_str());
        let endpoints = all.iter().filter(is_kept).map(Candidate::endpoint).filter(Endpoint::is_ip).collect();
        match settings.points() {
            Some(points) => notes.extend(candidates::limit_weights(&mut members, points)),
            None => candidates::without_weights(&mut members),
        }
        let prefix = settings.cluster_prefix();
        let cluster = |candidate: &Candidate| Cluster {
            name: format!("{prefix}{}", candidate.member.name),
            endpoint: candidate.endpoint(),
        };
        Self {
            config: config(settings, &members),
            min_members: min_members(settings, &members),
            clusters: members.values().map(cluster).collect(),
            off_ring: members.into_values().filter(|c| !c.passing).map(|c| c.member).collect(),
            endpoints,
            access: settings.gateways.clone().or_else(|| tls.then(Access::default)),
            schemes,
            skipped,
            notes,
        }
    }

    /// Builds the ring of the passing members.
    ///
    /// # Errors
    /// [`NotSafe`]: the filter would reject it, mostly because too few registered members are passing. Envoy then keeps its
    /// last ring.
    pub(crate) fn ring(&self, service: &str) -> Result<Router, NotSafe> {
        Router::parse(self.config.as_bytes()).map_err(|error| {
            NotSafe(format!(
                "service {service:?} in Consul has {} registered members, {} of them not passing: {error}. \
                 Envoy keeps its current ring; wait until more are passing, or deregister members that are gone",
                self.clusters.len(),
                self.off_ring.len()
            ))
        })
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
            Some(Endpoint { host, port: port.parse().ok()?, scheme: Scheme::Http })
        };
        let members = || config.members.iter().filter_map(|member| Some((member, endpoint(member)?)));
        let cluster = |(member, endpoint): (&Member, Endpoint)| Cluster {
            name: format!("{}{}", config.cluster_prefix, member.name),
            endpoint,
        };
        Ok(Self {
            config: json.to_owned(),
            min_members: 1,
            clusters: members().map(cluster).collect(),
            endpoints: members().map(|(_, endpoint)| endpoint).filter(Endpoint::is_ip).collect(),
            access: None,
            schemes: BTreeMap::new(),
            off_ring: Vec::new(),
            skipped: Vec::new(),
            notes: Vec::new(),
        })
    }
}

fn min_members(settings: &Settings, members: &BTreeMap<String, Candidate>) -> usize {
    let share = settings.min_members_share * members.len() as f64;
    (share.ceil() as usize).max(1)
}

/// Writes the configuration with one member per line, because people read it in the ring file.
fn config(settings: &Settings, members: &BTreeMap<String, Candidate>) -> String {
    let min_members = min_members(settings, members);
    let mut text = String::from("{\n");
    for (field, value) in &settings.filter {
        // A filter of 0.2 rejects `mirror`, and the ring would stay as it is until its upgrade.
        text += &match (field.as_str(), value.as_str()) {
            ("mirror", Some("deletes")) => "  \"mirror_deletes\": true,\n".to_owned(),
            ("mirror", Some("none")) => "  \"mirror_deletes\": false,\n".to_owned(),
            _ => format!("  {}: {value},\n", json!(field)),
        };
    }
    let passing = members.values().filter(|candidate| candidate.passing).map(|candidate| &candidate.member);
    let mut schemes = members.values().map(|candidate| candidate.scheme);
    let https = !members.is_empty() && schemes.all(|scheme| scheme == Scheme::Https);
    if https && !settings.filter.contains_key("redirect_scheme") {
        text += "  \"redirect_scheme\": \"https\",\n";
    }
    let lines: Vec<String> = passing
        .map(|m| format!("    {}", json!({"name": m.name, "address": m.address, "weight": m.weight})))
        .collect();
    text += &format!("  \"min_members\": {min_members},\n  \"members\": [\n{}\n  ]\n}}", lines.join(",\n"));
    text
}
