//! The golden vectors of this folder, parsed. README.md describes the files and how they are made.
//!
//! The files are compiled in, so the same tests run in wasm32, where there is no file system.
#![allow(clippy::expect_used)] // a malformed vector file must fail the test that reads it

use serde_json::json;

/// A set of members from `members.tsv`.
pub struct Set {
    /// Name by which `owners.tsv` and `paths.tsv` refer to the set.
    pub name: &'static str,
    /// Points per unit of weight; `None` for the placement `dynamic-sharding`.
    pub points: Option<u32>,
    /// Name and weight of each member.
    pub members: Vec<(&'static str, u32)>,
}

impl Set {
    /// Returns the JSON of a filter configuration with these members. Names are not always addresses, so each member gets
    /// an address of its own.
    #[must_use]
    pub fn config(&self, prefix: &str, route_by: &str, utf8_names: bool) -> String {
        let member = |(i, &(name, weight)): (usize, &(&str, u32))| json!({"name": name, "address": format!("10.9.{}.{}:9091", i / 250, i % 250), "weight": weight});
        let members: Vec<_> = self.members.iter().enumerate().map(member).collect();
        let placement = match self.points {
            Some(points) => json!({"type": "ring", "points": points}),
            None => json!({"type": "dynamic-sharding"}),
        };
        let config = json!({
            "members": members, "placement": placement, "path_prefix": prefix, "route_by": route_by,
            "utf8_names": utf8_names, "cluster_prefix": "",
        });
        config.to_string()
    }
}

/// A lookup of a key in a ring, from `owners.tsv`.
pub struct Lookup {
    /// Name of the [`Set`] that forms the ring.
    pub set: &'static str,
    /// The key that is looked up.
    pub key: Vec<u8>,
    /// Hash of the key: 64 bits for `ring`, 32 bits for `dynamic-sharding`.
    pub hash: u64,
    /// Name of the member that owns the key.
    pub owner: &'static str,
    /// The next distinct members clockwise, at most two.
    pub successors: Vec<&'static str>,
}

/// A push path, from `paths.tsv`.
pub struct Push {
    /// The Pushgateways' `--web.route-prefix`, with a leading slash, or empty.
    pub prefix: &'static str,
    /// Whether the Pushgateways run with `--push.enable-utf8-names`.
    pub utf8_names: bool,
    /// The setting `route_by`.
    pub route_by: &'static str,
    /// The path as it appears in a request.
    pub path: &'static str,
    /// Reaction of a Pushgateway to the path: `group`, `malformed`, `poison` or `other`.
    pub outcome: &'static str,
    /// The key that is hashed; empty for `poison` and `other`.
    pub key: Vec<u8>,
    /// Name of the [`Set`] in which `owner` owns the key.
    pub set: &'static str,
    /// Name of the member that owns the key; empty for `poison` and `other`.
    pub owner: &'static str,
}

/// Returns all member sets, in the order of the file.
#[must_use]
pub fn sets() -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    for [name, placement, member, weight] in rows(include_str!("../members.tsv")) {
        let member = (member, weight.parse().expect("a weight"));
        match sets.last_mut() {
            Some(set) if set.name == name => set.members.push(member),
            _ => {
                let points = placement.strip_prefix("ring:").map(|points| points.parse().expect("points"));
                sets.push(Set { name, points, members: vec![member] });
            }
        }
    }
    sets
}

/// Returns the member set of this name.
///
/// # Panics
/// If `members.tsv` has no such set.
#[must_use]
pub fn set(name: &str) -> Set {
    sets().into_iter().find(|set| set.name == name).expect("a set of members.tsv")
}

/// Iterates over all lookups.
pub fn lookups() -> impl Iterator<Item = Lookup> {
    rows(include_str!("../owners.tsv")).map(|[set, key, hash, owner, successors]| Lookup {
        set,
        key: unhex(key),
        hash: u64::from_str_radix(hash, 16).expect("a hash in hex"),
        owner,
        successors: successors.split(',').filter(|name| !name.is_empty()).collect(),
    })
}

/// Iterates over all push paths.
pub fn pushes() -> impl Iterator<Item = Push> {
    rows(include_str!("../paths.tsv")).map(|[prefix, names, route_by, path, outcome, key, set, owner]| Push {
        prefix,
        utf8_names: names == "utf8",
        route_by,
        path,
        outcome,
        key: unhex(key),
        set,
        owner,
    })
}

/// A series of metric-index, from `series.tsv`.
pub struct Series {
    /// Name of the tenant; empty for none.
    pub tenant: String,
    /// Names and values in the order of a request.
    pub labels: Vec<(String, String)>,
    /// The canonical form, unless it is long.
    pub canonical: Option<Vec<u8>>,
    /// The key as text.
    pub key: &'static str,
}

/// Iterates over all series.
pub fn series() -> impl Iterator<Item = Series> {
    let text = |hex| String::from_utf8(unhex(hex)).expect("UTF-8");
    let pair = move |pair: &'static str| pair.split_once('=').map(|(name, value)| (text(name), text(value)));
    rows(include_str!("../series.tsv")).map(move |[tenant, labels, canonical, key]| Series {
        tenant: text(tenant),
        labels: labels.split(',').map(|label| pair(label).expect("name=value")).collect(),
        canonical: (!canonical.is_empty()).then(|| unhex(canonical)),
        key,
    })
}

/// Returns the member names of each fleet in `fleets.tsv`.
#[must_use]
pub fn fleets() -> Vec<Vec<&'static str>> {
    let mut fleets: Vec<Vec<_>> = Vec::new();
    let mut last = "";
    for [fleet, name] in rows(include_str!("../fleets.tsv")) {
        if std::mem::replace(&mut last, fleet) != fleet {
            fleets.push(Vec::new());
        }
        fleets.last_mut().expect("a fleet").push(name);
    }
    fleets
}

/// The rows after the column names.
fn rows<const COLUMNS: usize>(text: &'static str) -> impl Iterator<Item = [&'static str; COLUMNS]> {
    text.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        columns.try_into().expect("as many columns as the first line names")
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex digits")).collect()
}
