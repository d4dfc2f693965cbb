//! Reads the vector files. Included by every test that runs them, in wasm32 too: hence `include_str!`.
#![allow(dead_code)] // each test uses the part it needs
#![allow(clippy::expect_used)] // a panic is how a test fails

/// One set of members, of `members.tsv`.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    /// `None` for `dynamic-sharding`.
    pub(crate) points: Option<u32>,
    /// Names and weights.
    pub(crate) members: Vec<(&'static str, u32)>,
}

/// One lookup, of `owners.tsv`.
pub(crate) struct Lookup {
    pub(crate) set: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) hash: u64,
    pub(crate) owner: &'static str,
    /// At most two.
    pub(crate) successors: Vec<&'static str>,
}

/// One push path, of `paths.tsv`.
pub(crate) struct Push {
    pub(crate) prefix: &'static str,
    pub(crate) utf8_names: bool,
    pub(crate) route_by: &'static str,
    pub(crate) path: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) set: &'static str,
    pub(crate) owner: &'static str,
}

pub(crate) fn sets() -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    for [name, placement, member, weight] in rows(include_str!("members.tsv")) {
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

pub(crate) fn set(name: &str) -> Set {
    sets().into_iter().find(|set| set.name == name).expect("a set of members.tsv")
}

pub(crate) fn lookups() -> impl Iterator<Item = Lookup> {
    rows(include_str!("owners.tsv")).map(|[set, key, hash, owner, successors]| Lookup {
        set,
        key: unhex(key),
        hash: u64::from_str_radix(hash, 16).expect("a hash in hex"),
        owner,
        successors: successors.split(',').filter(|name| !name.is_empty()).collect(),
    })
}

pub(crate) fn pushes() -> impl Iterator<Item = Push> {
    rows(include_str!("paths.tsv")).map(|[prefix, names, route_by, path, outcome, key, set, owner]| Push {
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

/// The fleets of `fleets.tsv`: the names of the members of each.
pub(crate) fn fleets() -> Vec<Vec<&'static str>> {
    let mut fleets: Vec<Vec<_>> = Vec::new();
    let mut last = "";
    for [fleet, name] in rows(include_str!("fleets.tsv")) {
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
