//! Compares two rings: members, shares, and the groups that move.

use std::collections::{BTreeMap, BTreeSet};

use pushring_ring::Ring;
use pushring_router::{Config, Member, Mirror, Placement, RouteBy, Router, clean_path};
use serde::Serialize;

use crate::command::owner::lookup::{PushStatus, replica};
use crate::command::owner::request_target::path_of;

/// Method of the calculation of shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Basis {
    /// Both rings hash the same keys by the same placement, so they are compared point by point.
    Exact,
    /// The positions of a group on the two rings are independent: products of shares.
    Independent,
}

/// The effect of a change.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RingDiff {
    /// Digest of the old ring.
    pub(crate) from: String,
    /// Digest of the new ring.
    pub(crate) to: String,
    pub(crate) basis: Basis,
    /// Expected share of all groups that get another owner, 0 to 1.
    pub(crate) moved: f64,
    /// None if no groups were counted.
    pub(crate) groups: Option<Counts>,
    /// The same for replicas; only if one of the rings has `mirror: all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replicas: Option<ReplicaDiff>,
    /// Members of both rings, sorted by name.
    pub(crate) members: Vec<MemberDiff>,
    /// Sorted by size, largest first.
    pub(crate) flows: Vec<Flow>,
}

/// Groups that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Groups with an owner on both rings.
    pub(crate) counted: u64,
    /// Counted groups whose owner changes.
    pub(crate) moved: u64,
    /// Paths that are not stored by a push, before or after.
    pub(crate) skipped: u64,
}

/// The change of one member.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MemberDiff {
    /// Identity of the member.
    pub(crate) name: String,
    /// None if the member joins.
    pub(crate) address_before: Option<String>,
    /// None if the member leaves.
    pub(crate) address_after: Option<String>,
    /// Share of the ring before, 0 to 1.
    pub(crate) before: f64,
    pub(crate) after: f64,
    /// Share that stays; the rest of `before` leaves the member, the rest of `after` arrives.
    pub(crate) kept: f64,
    /// Number of counted groups that it owns before the change.
    pub(crate) groups_before: Option<u64>,
    /// Number of counted groups that it owns after the change.
    pub(crate) groups_after: Option<u64>,
}

/// Groups that move from one member to another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Flow {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Expected share of all groups, 0 to 1.
    pub(crate) share: f64,
    /// Number of counted groups.
    pub(crate) groups: Option<u64>,
}

/// The groups that get another replica.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ReplicaDiff {
    /// Expected share of all groups that get a replica, or another one, 0 to 1.
    pub(crate) moved: f64,
    /// Number of counted groups that get a replica, or another one. None if no groups were counted.
    pub(crate) groups: Option<u64>,
}

/// Counts groups by owner before and after.
#[derive(Debug)]
pub(crate) struct Counter<'r> {
    from: &'r Router,
    to: &'r Router,
    pairs: BTreeMap<(&'r str, &'r str), u64>,
    /// Number of groups that get a replica, or another one.
    replicas: u64,
    skipped: u64,
}

impl<'r> Counter<'r> {
    pub(crate) fn new(from: &'r Router, to: &'r Router) -> Self {
        Self { from, to, pairs: BTreeMap::new(), replicas: 0, skipped: 0 }
    }

    /// Counts the group of a push path, which has the prefix of the ring before.
    pub(crate) fn add(&mut self, path: &[u8]) {
        match self.places(path) {
            Some((before, after)) => {
                *self.pairs.entry((before.owner, after.owner)).or_default() += 1;
                self.replicas += u64::from(after.replica.is_some() && after.replica != before.replica);
            }
            None => self.skipped += 1,
        }
    }

    fn places(&self, path: &[u8]) -> Option<(Place<'r>, Place<'r>)> {
        let path = clean_path(path_of(path).ok()?);
        let before = place(self.from, &path)?;
        let prefix = self.to.config().path_prefix.as_bytes();
        let rest = path.strip_prefix(self.from.config().path_prefix.as_bytes()).filter(|_| {
            // After the change, clients push to the new prefix.
            self.from.config().path_prefix != self.to.config().path_prefix
        });
        let after = match rest {
            Some(rest) => place(self.to, &[prefix, rest].concat())?,
            None => place(self.to, &path)?,
        };
        Some((before, after))
    }

    pub(crate) fn counts(&self) -> Counts {
        let moved = self.pairs.iter().filter(|((before, after), _)| before != after);
        Counts {
            counted: self.pairs.values().sum(),
            moved: moved.map(|(_, count)| count).sum(),
            skipped: self.skipped,
        }
    }
}

/// Names of the members on which a group belongs.
#[derive(Clone, Copy, Debug)]
struct Place<'r> {
    owner: &'r str,
    replica: Option<&'r str>,
}

fn place<'r>(router: &'r Router, path: &[u8]) -> Option<Place<'r>> {
    let found = router.owner_of(path);
    let good = PushStatus::of(found, true).is_good();
    let owner = found.filter(|_| good)?.owner.map(|member| member.name.as_str())?;
    Some(Place { owner, replica: replica(router, path).map(|member| member.name.as_str()) })
}

impl RingDiff {
    /// Compares two rings, with the groups of `counter` if given.
    pub(crate) fn new(from: &Router, to: &Router, counter: Option<&Counter<'_>>) -> Self {
        let (basis, shares) = flows(from, to);
        let pairs = counter.map(|counter| &counter.pairs);
        let mut flows: Vec<Flow> = shares
            .keys()
            .chain(pairs.into_iter().flat_map(BTreeMap::keys))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|pair| Flow {
                from: pair.0.to_owned(),
                to: pair.1.to_owned(),
                share: shares.get(pair).copied().unwrap_or_default(),
                groups: pairs.map(|pairs| pairs.get(pair).copied().unwrap_or_default()),
            })
            .collect();
        let members = members(from, to, &flows, counter.is_some());
        flows.retain(|flow| flow.from != flow.to);
        flows.sort_by(|a, b| b.groups.cmp(&a.groups).then(b.share.total_cmp(&a.share)));
        let moved = match from.config().members.is_empty() == to.config().members.is_empty() {
            // Not sum(), which returns -0 without flows.
            true => flows.iter().fold(0.0, |sum, flow| sum + flow.share),
            false => 1.0,
        };
        let groups = counter.map(Counter::counts);
        let has_replicas = [from, to].iter().any(|router| router.config().mirror == Mirror::All);
        let replicas = has_replicas.then(|| ReplicaDiff {
            moved: moved_replicas(from, to, basis),
            groups: counter.map(|counter| counter.replicas),
        });
        Self { from: from.digest(), to: to.digest(), basis, moved, groups, replicas, members, flows }
    }
}

/// Returns the share of all groups for each pair of owners before and after, by name.
fn flows<'r>(from: &'r Router, to: &'r Router) -> (Basis, BTreeMap<(&'r str, &'r str), f64>) {
    let (before, after) = (&from.config().members, &to.config().members);
    if same_keys(from.config(), to.config()) {
        let flows = from.ring().flows(to.ring()).into_iter();
        let flows = flows.filter_map(|(i, j, share)| {
            Some(((before.get(i)?.name.as_str(), after.get(j)?.name.as_str()), share))
        });
        return (Basis::Exact, flows.collect());
    }
    let mut flows = BTreeMap::new();
    for (from, share_before) in before.iter().zip(from.ring().shares()) {
        for (to, share_after) in after.iter().zip(to.ring().shares()) {
            flows.insert((from.name.as_str(), to.name.as_str()), share_before * share_after);
        }
    }
    (Basis::Independent, flows)
}

/// Returns the expected share of all groups that get a replica, or another one.
fn moved_replicas(from: &Router, to: &Router, basis: Basis) -> f64 {
    if to.config().mirror != Mirror::All || to.config().members.len() < 2 {
        return 0.0;
    }
    if from.config().mirror != Mirror::All {
        return 1.0;
    }
    let (before, after) = (&from.config().members, &to.config().members);
    let same = |i: usize, j: usize| {
        before.get(i).is_some_and(|before| after.get(j).is_some_and(|after| before.name == after.name))
    };
    let kept: f64 = if basis == Basis::Exact {
        let flows = from.ring().successor_flows(to.ring()).into_iter();
        flows.filter(|&(i, j, _)| same(i, j)).map(|(_, _, share)| share).sum()
    } else {
        let shares = |ring: &Ring| ring.successor_flows(ring);
        let after = shares(to.ring());
        let pairs = shares(from.ring()).into_iter().flat_map(|(i, _, share)| {
            after.iter().filter(move |&&(j, _, _)| same(i, j)).map(move |&(_, _, other)| share * other)
        });
        pairs.sum()
    };
    (1.0 - kept).max(0.0)
}

/// Returns whether a group has the same key and hash in both. Only then can the rings be compared by position.
fn same_keys(before: &Config, after: &Config) -> bool {
    let prefix = before.route_by != RouteBy::Path || before.path_prefix == after.path_prefix;
    uses_ring(before) == uses_ring(after)
        && before.route_by == after.route_by
        && before.utf8_names == after.utf8_names
        && prefix
}

fn uses_ring(config: &Config) -> bool {
    matches!(config.placement, Placement::Ring { .. })
}

fn members(from: &Router, to: &Router, flows: &[Flow], counted: bool) -> Vec<MemberDiff> {
    let [before, after] = [from, to].map(|router| -> BTreeMap<&str, (&Member, f64)> {
        let members = router.config().members.iter().zip(router.ring().shares());
        members.map(|(member, share)| (member.name.as_str(), (member, share))).collect()
    });
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut members = Vec::new();
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        let kept = flows.iter().find(|flow| flow.from == name && flow.to == name);
        members.push(MemberDiff {
            name: name.to_owned(),
            address_before: was.map(|(member, _)| member.address.clone()),
            address_after: is.map(|(member, _)| member.address.clone()),
            before: was.map_or(0.0, |(_, share)| *share),
            after: is.map_or(0.0, |(_, share)| *share),
            kept: kept.map_or(0.0, |flow| flow.share),
            groups_before: counted.then(|| groups(flows, |flow| flow.from == name)),
            groups_after: counted.then(|| groups(flows, |flow| flow.to == name)),
        });
    }
    members
}

fn groups(flows: &[Flow], of_member: impl Fn(&Flow) -> bool) -> u64 {
    flows.iter().filter(|flow| of_member(flow)).filter_map(|flow| flow.groups).sum()
}
