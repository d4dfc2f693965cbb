//! The filter's configuration: strict JSON to checked values.
//!
//! The `Raw…` types mirror the JSON and know serde; [`Config`] is what came through every check, so the
//! rest of the crate needs none.

use std::collections::BTreeMap;
use std::fmt;

use pushring_ring as ring;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::address;
use crate::error::ConfigError;
use crate::path::PushPath;

pub use pushring_ring::MEMBERS_MAX;

/// One Pushgateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its identity on the ring.
    pub name: String,
    /// `host:port` where it listens.
    pub address: String,
    /// 1..=100; its part of the groups is in proportion.
    pub weight: u32,
}

/// What the key of a push is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteBy {
    /// All grouping labels: the group as the Pushgateway knows it.
    #[default]
    Group,
    /// The job alone: all groups of a job on one member.
    Job,
    /// The decoded path, as dynamic-sharding does.
    Path,
}

/// How members are laid on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Placement {
    /// pushring's own.
    Ring {
        /// Points per unit of weight, 1..=4096.
        #[serde(default = "points_default")]
        points: u32,
    },
    /// That of ning1875/dynamic-sharding, byte for byte.
    DynamicSharding {},
}

/// What the filter does with the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The destination header names a cluster.
    #[default]
    Cluster,
    /// The destination header lists addresses: the owner's, then its successors'.
    Endpoint,
    /// The client is sent to the owner by a 307.
    Redirect,
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sorted by name; at most [`MEMBERS_MAX`]; names and addresses unique.
    pub members: Vec<Member>,
    /// Key of a push.
    pub route_by: RouteBy,
    /// Layout of the ring.
    pub placement: Placement,
    /// What is done with the owner.
    pub mode: Mode,
    /// The destination header, lower-case.
    pub header: String,
    /// Cluster mode: the destination is this and the member's name.
    pub cluster_prefix: String,
    /// Endpoint mode: further members listed after the owner.
    pub successors: usize,
    /// Whether a DELETE also names the first successor in `<header>-mirror`.
    pub mirror_deletes: bool,
    /// The Pushgateways' `--web.route-prefix`: empty, or `/…` without a slash at the end.
    pub path_prefix: String,
    /// Whether the Pushgateways run with `--push.enable-utf8-names`.
    pub utf8_names: bool,
    /// Whether GET and HEAD on a push path answer the owner.
    pub lookup: bool,
    /// Whether `/-/healthy` and `/-/ready` are answered.
    pub health: bool,
    /// Path that answers the ring as JSON; empty: none.
    pub status_path: String,
    /// Scheme of redirects and of `nextUrl`.
    pub redirect_scheme: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    members: Vec<RawMember>,
    #[serde(default = "one")]
    min_members: usize,
    #[serde(default)]
    route_by: RouteBy,
    #[serde(default = "placement_default")]
    placement: Placement,
    #[serde(default)]
    mode: Mode,
    #[serde(default = "header_default")]
    header: String,
    #[serde(default = "cluster_prefix_default")]
    cluster_prefix: String,
    #[serde(default = "successors_default")]
    successors: usize,
    #[serde(default)]
    mirror_deletes: bool,
    #[serde(default)]
    path_prefix: String,
    #[serde(default)]
    utf8_names: bool,
    #[serde(default = "yes")]
    lookup: bool,
    #[serde(default)]
    health: bool,
    #[serde(default)]
    status_path: String,
    #[serde(default = "scheme_default")]
    redirect_scheme: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMemberFields {
    name: String,
    address: Option<String>,
    #[serde(default = "weight_default")]
    weight: u32,
}

/// `"host:port"` or an object. By hand, because serde's untagged enum answers only "did not match any
/// variant".
struct RawMember(RawMemberFields);

impl<'de> Deserialize<'de> for RawMember {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MemberVisitor;
        impl<'de> Visitor<'de> for MemberVisitor {
            type Value = RawMember;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#""host:port" or {"name", "address", "weight"}"#)
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<RawMember, E> {
                Ok(RawMember(RawMemberFields { name: name.to_owned(), address: None, weight: 1 }))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawMember, A::Error> {
                RawMemberFields::deserialize(MapAccessDeserializer::new(map)).map(RawMember)
            }
        }
        deserializer.deserialize_any(MemberVisitor)
    }
}

const fn one() -> usize {
    1
}
const fn weight_default() -> u32 {
    1
}
const fn yes() -> bool {
    true
}
const fn points_default() -> u32 {
    1024
}
const fn placement_default() -> Placement {
    Placement::Ring { points: points_default() }
}
const fn successors_default() -> usize {
    2
}
fn header_default() -> String {
    "x-pushring-destination".to_owned()
}
fn cluster_prefix_default() -> String {
    "pushgateway-".to_owned()
}
fn scheme_default() -> String {
    "http".to_owned()
}

impl Config {
    /// Parses and checks a configuration.
    ///
    /// # Errors
    /// The first thing that is wrong, with its field, what was found and what is allowed. Limits of the ring
    /// itself (weights, points) are checked when the ring is built, by [`crate::Router::new`].
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let mut text = serde_json::Deserializer::from_slice(json);
        let raw: RawConfig = serde_path_to_error::deserialize(&mut text).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { "configuration" } else { &path };
            ConfigError::message(format!("{field}: {}", error.inner()))
        })?;
        text.end().map_err(|error| ConfigError::message(format!("configuration: {error}")))?;
        Self::check(raw)
    }

    fn check(raw: RawConfig) -> Result<Self, ConfigError> {
        let members = check_members(raw.members, raw.min_members, raw.mode, raw.placement)?;
        check_header(&raw.header)?;
        if !address::is_visible(&raw.cluster_prefix) || raw.cluster_prefix.contains(',') {
            let allowed = "visible ASCII without a comma";
            return Err(ConfigError::new("cluster_prefix", quoted(&raw.cluster_prefix), allowed));
        }
        if raw.successors >= MEMBERS_MAX {
            return Err(ConfigError::new("successors", raw.successors, &format!("0 to {}", MEMBERS_MAX - 1)));
        }
        let path_prefix = check_path_prefix(&raw.path_prefix)?;
        check_status_path(&raw.status_path, &path_prefix)?;
        let redirect_scheme = match raw.redirect_scheme.as_str() {
            "http" => "http",
            "https" => "https",
            other => return Err(ConfigError::new("redirect_scheme", quoted(other), "\"http\" or \"https\"")),
        };
        Ok(Self {
            members,
            route_by: raw.route_by,
            placement: raw.placement,
            mode: raw.mode,
            header: raw.header,
            cluster_prefix: raw.cluster_prefix,
            successors: raw.successors,
            mirror_deletes: raw.mirror_deletes,
            path_prefix,
            utf8_names: raw.utf8_names,
            lookup: raw.lookup,
            health: raw.health,
            status_path: raw.status_path,
            redirect_scheme,
        })
    }
}

fn check_members(
    raw: Vec<RawMember>,
    min: usize,
    mode: Mode,
    placement: Placement,
) -> Result<Vec<Member>, ConfigError> {
    if min > MEMBERS_MAX {
        return Err(ConfigError::new("min_members", min, &format!("0 to {MEMBERS_MAX}")));
    }
    if raw.len() > MEMBERS_MAX {
        let allowed = format!("at most {MEMBERS_MAX}");
        return Err(ConfigError::new("members", format!("{} members", raw.len()), &allowed));
    }
    if raw.len() < min {
        let allowed = format!("at least {min} (min_members)");
        return Err(ConfigError::new("members", format!("{} members", raw.len()), &allowed));
    }
    let mut members = Vec::with_capacity(raw.len());
    for (index, RawMember(fields)) in raw.into_iter().enumerate() {
        members.push(check_member(index, fields, mode, placement)?);
    }
    // Here, and not only in the ring, because addresses must be unique too and indices are those of the text.
    check_unique(&members, "name", |m| &m.name)?;
    check_unique(&members, "address", |m| &m.address)?;
    members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

fn check_member(
    index: usize,
    raw: RawMemberFields,
    mode: Mode,
    placement: Placement,
) -> Result<Member, ConfigError> {
    let field = |name: &str| format!("members[{index}].{name}");
    if !address::is_name(&raw.name) {
        let allowed = "1 to 253 visible ASCII bytes without a comma";
        return Err(ConfigError::new(&field("name"), quoted(&raw.name), allowed));
    }
    let address = raw.address.unwrap_or_else(|| raw.name.clone());
    if !address::is_host_port(&address) {
        let allowed = "host:port with a port of 1 to 65535 (an IPv6 host in brackets)";
        return Err(ConfigError::new(&field("address"), quoted(&address), allowed));
    }
    if mode == Mode::Endpoint {
        let allowed = match address::canonical_ip(&address) {
            Some(canonical) if canonical == address => None,
            Some(canonical) => Some(format!("its canonical form {}", quoted(&canonical))),
            None => Some("an IP literal and a port: endpoint mode compares addresses as text".to_owned()),
        };
        if let Some(allowed) = allowed {
            return Err(ConfigError::new(&field("address"), quoted(&address), &allowed));
        }
    }
    if !(1..=ring::WEIGHT_MAX).contains(&raw.weight) {
        return Err(ConfigError::new(&field("weight"), raw.weight, &format!("1 to {}", ring::WEIGHT_MAX)));
    }
    if placement == (Placement::DynamicSharding {}) && raw.weight != 1 {
        let allowed = "only 1: placement dynamic-sharding knows no weights";
        return Err(ConfigError::new(&field("weight"), raw.weight, allowed));
    }
    Ok(Member { name: raw.name, address, weight: raw.weight })
}

fn check_unique<'m>(
    members: &'m [Member],
    field: &str,
    value: impl Fn(&'m Member) -> &'m String,
) -> Result<(), ConfigError> {
    let mut first = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        if let Some(earlier) = first.insert(value(member), index) {
            let found = format!("{}, which is members[{earlier}].{field} too", quoted(value(member)));
            return Err(ConfigError::new(&format!("members[{index}].{field}"), found, "each only once"));
        }
    }
    Ok(())
}

/// The token characters of RFC 9110 without upper case: what HTTP/2 allows in a header name.
fn check_header(header: &str) -> Result<(), ConfigError> {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    if header.is_empty() || header.len() > 128 || !header.bytes().all(token) || header == "host" {
        let allowed = "a lower-case header name of 1 to 128 bytes, no pseudo-header, not \"host\"";
        return Err(ConfigError::new("header", quoted(header), allowed));
    }
    Ok(())
}

/// Slashes around it are trimmed as the Pushgateway trims its flag, so that its value can be copied.
fn check_path_prefix(prefix: &str) -> Result<String, ConfigError> {
    let trimmed = prefix.trim_matches('/');
    let segments_ok = trimmed.is_empty() || trimmed.split('/').all(|s| !matches!(s, "" | "." | ".."));
    if !address::is_visible(trimmed) || trimmed.contains(['?', '#', '%']) || !segments_ok {
        let allowed =
            "the Pushgateways' --web.route-prefix: visible ASCII without ? # % and empty, . or .. segments";
        return Err(ConfigError::new("path_prefix", quoted(prefix), allowed));
    }
    Ok(if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") })
}

fn check_status_path(path: &str, path_prefix: &str) -> Result<(), ConfigError> {
    let ok = path.starts_with('/') && address::is_visible(path) && !path.contains(['?', '#']);
    if path.is_empty() || (ok && !PushPath::is(path.as_bytes(), path_prefix)) {
        return Ok(());
    }
    let allowed = "empty (off), or a path that begins with /, has no ? or #, and is no push path";
    Err(ConfigError::new("status_path", quoted(path), allowed))
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
