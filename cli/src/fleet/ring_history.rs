//! The rings of the recent past: since when a gateway has been a holder of a group.
//!
//! A gateway that joined a minute ago lacks the groups that it took over until their next push. Its answer must not count as
//! a deletion: a merge of copies depends on the time since which a member holds the group.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use pushring_router::{Config, Mirror, Placement, RouteBy, Router};

use super::source::Fleet;
use super::survey::locate;
use crate::gateway::api::Labels;

/// Envoys adopt a ring one after the other, and a push that one of them accepted under the former ring ends later.
pub(super) const ADOPTION: SignedDuration = SignedDuration::from_secs(5);
/// Rings that are kept. The oldest is forgotten first, and what happened in its time is then unknown.
const MOST: usize = 64;

/// The rings that one process saw, oldest first. It lives in memory only: before its first ring, the past is unknown.
#[derive(Debug, Default)]
pub(crate) struct RingHistory {
    rings: VecDeque<Era>,
}

/// A ring, in force until the next one.
#[derive(Debug)]
struct Era {
    since: Timestamp,
    router: Router,
}

/// The time since which every ring made a gateway a holder of a group: its owner, or its replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// Name of the gateway on the ring.
    pub(super) name: String,
    pub(super) since: Timestamp,
    /// The part of it in which it was the owner.
    owner_since: Option<Timestamp>,
    /// The first known ring. It may be much older than its file.
    first: Timestamp,
}

impl Tenure {
    /// Returns whether every Envoy sent it a push of this time.
    pub(super) fn covers(&self, pushed: Timestamp) -> bool {
        let adoption = if self.since == self.first { SignedDuration::ZERO } else { ADOPTION };
        self.since.checked_add(adoption).is_ok_and(|adopted| adopted <= pushed)
    }

    /// Returns the part of it in which the gateway was the owner.
    pub(super) fn as_owner(&self) -> Option<Self> {
        Some(Self { since: self.owner_since?, ..self.clone() })
    }
}

impl RingHistory {
    /// Adds the ring of a fleet that was just read, unless it is the newest one already. The first ring is in force since its
    /// file was written, or, without a file, since now. Returns whether the positions of groups are the same as before.
    pub(super) fn observe(&mut self, fleet: &Fleet) -> bool {
        let now = Timestamp::now();
        let changed = fleet.changed.and_then(|changed| Timestamp::try_from(changed).ok());
        // A file may be written in one moment and read much later: its time is the best estimate of when Envoy adopted it.
        self.add(&fleet.router, changed.unwrap_or(now).min(now))
    }

    fn add(&mut self, router: &Router, since: Timestamp) -> bool {
        let newest = self.rings.back();
        if newest.is_some_and(|newest| newest.router.digest() == router.digest()) {
            return true;
        }
        // Other settings of keys move every group, so that no gateway knows its groups from before.
        let moves = newest.is_some_and(|newest| keys(newest.router.config()) != keys(router.config()));
        if moves {
            self.rings.clear();
        }
        if self.rings.len() == MOST {
            self.rings.pop_front();
        }
        // Times of files may go back; those of rings do not.
        let after =
            self.rings.back().and_then(|newest| newest.since.checked_add(SignedDuration::from_nanos(1)).ok());
        let since = after.map_or(since, |after| since.max(after));
        self.rings.push_back(Era { since, router: router.clone() });
        !moves
    }

    /// Returns the position of a group on all of these rings.
    pub(super) fn position(&self, labels: &Labels) -> Option<u64> {
        let router = &self.rings.back()?.router;
        let location = locate(router, labels)?;
        Some(router.ring().position(&router.group(location.path.as_bytes())?.key))
    }

    /// Returns the tenures of the gateways that hold the group at this position now.
    pub(super) fn tenures(&self, position: u64) -> Vec<Tenure> {
        let mut eras = self.rings.iter().rev();
        let (Some(newest), Some(first)) = (eras.next(), self.rings.front()) else { return Vec::new() };
        let now = newest.holders(position);
        let tenure = |(name, is_owner): (&str, bool)| Tenure {
            name: name.to_owned(),
            since: newest.since,
            owner_since: is_owner.then_some(newest.since),
            first: first.since,
        };
        let mut found: Vec<_> = now.owner.map(|name| (name, true)).into_iter().collect();
        found.extend(now.replica.map(|name| (name, false)));
        let mut found: Vec<_> = found.into_iter().map(tenure).collect();
        let mut end = newest.since;
        for era in eras {
            let then = era.holders(position);
            for tenure in found.iter_mut().filter(|tenure| tenure.since == end) {
                let is_owner = then.owner == Some(&*tenure.name);
                if is_owner && tenure.owner_since == Some(end) {
                    tenure.owner_since = Some(era.since);
                }
                if is_owner || then.replica == Some(&*tenure.name) {
                    tenure.since = era.since;
                }
            }
            end = era.since;
            if found.iter().all(|tenure| tenure.since != end) {
                break;
            }
        }
        found
    }
}

impl Era {
    fn holders(&self, position: u64) -> Holders<'_> {
        let config = self.router.config();
        let mut names = self.router.ring().clockwise_at(position).map(|index| &*config.members[index].name);
        let owner = names.next();
        Holders { owner, replica: names.next().filter(|_| config.mirror == Mirror::All) }
    }
}

/// Names of the members that hold a group under one ring.
struct Holders<'e> {
    owner: Option<&'e str>,
    /// The first successor, if pushes are mirrored to it.
    replica: Option<&'e str>,
}

/// Returns the settings that decide the position of a group.
fn keys(config: &Config) -> (Placement, RouteBy, &str, bool) {
    (config.placement, config.route_by, &config.path_prefix, config.utf8_names)
}

#[cfg(test)]
mod tests;
