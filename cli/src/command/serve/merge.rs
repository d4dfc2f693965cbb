//! Merges the groups of all gateways to one picture: each group once, each family from the gateway that is right about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pushring_router::RouteBy;
use rayon::prelude::*;

use super::conflicts;
use super::gateway_read::{Contents, GatewayRead};
use super::grouping::Grouping;
use super::held::{HeldFamily, HeldGroup};
use super::metric;
use super::reading::{Reading, Target, without_twins};
use super::view::{CopyView, FamilyView, FleetView, GatewayState, GatewayView, GroupView, Source};
use crate::fleet::authority::{Authority, Held, Place, Witness};
use crate::fleet::past::Past;
use crate::fleet::source::Fleet;
use crate::fleet::survey::{GroupLocation, locate};
use crate::gateway::api::{Labels, PUSH_FAILED, PUSH_TIME};
use crate::reason::{Code, Reason};

/// Merges what was read. `took` is the time of the reading until now.
pub(super) fn view(reading: Reading, past: &Past, took: Duration) -> FleetView {
    let Reading { fleet, fleet_error, read_at, gateways } = reading;
    let mut merge = Merge { fleet: &fleet, past, witnesses: Vec::new(), now: Timestamp::now() };
    let mut views = Vec::new();
    let mut copies: BTreeMap<Labels, Vec<(usize, HeldGroup)>> = BTreeMap::new();
    let read: Vec<_> = without_twins(gateways).into_par_iter().map(|read| one(read, read_at)).collect();
    for (on, (view, witness, groups)) in read.into_iter().enumerate() {
        for mut group in groups {
            let labels = std::mem::take(&mut group.labels);
            let copies = copies.entry(labels).or_default();
            // A list that grows would take room for four.
            copies.reserve_exact(1);
            copies.push((on, group));
        }
        merge.witnesses.push(witness);
        views.push(view);
    }
    merge.authority().saw_only(copies.keys());
    let copies: Vec<_> = copies.into_iter().collect();
    let merged = copies.into_par_iter().map(|(labels, copies)| merge.group(labels, copies));
    let mut groups: Vec<_> = merged.collect();
    let conflicts = conflicts::find(&mut groups);
    FleetView { fleet, fleet_error, read_at, took, gateways: views, groups, conflicts }
}

/// Converts the answers of one gateway.
fn one(
    (target, read): (Target, Result<GatewayRead, String>),
    read_at: Timestamp,
) -> (GatewayView, Option<Witness>, Vec<HeldGroup>) {
    let mut view = GatewayView {
        name: target.gateway.name().to_owned(),
        address: target.gateway.address().to_owned(),
        on_ring: target.on_ring,
        state: GatewayState::Up,
        started: None,
        groups: 0,
        took: Duration::ZERO,
    };
    let GatewayRead { status, contents, took } = match read {
        Ok(read) => read,
        Err(reason) => {
            view.state = GatewayState::Down(reason);
            return (view, None, Vec::new());
        }
    };
    let groups = match contents {
        Contents::Exposed(families) => Grouping::default().finish(&families),
        Contents::Groups(groups) => groups,
        Contents::Poisoned(error, groups) => {
            view.state = GatewayState::Poisoned(error);
            groups
        }
    };
    let started = status.started();
    view.started = started.map(|started| status.clock.ours(started));
    view.took = took;
    view.groups = groups.len();
    let witness = Witness { name: view.name.clone(), clock: status.clock, started, read: read_at };
    (view, Some(witness), groups)
}

struct Merge<'r> {
    fleet: &'r Fleet,
    past: &'r Past,
    /// Time after the reading.
    now: Timestamp,
    witnesses: Vec<Option<Witness>>,
}

impl Merge<'_> {
    fn group(&self, labels: Labels, copies: Vec<(usize, HeldGroup)>) -> GroupView {
        let doubt = copies.iter().find_map(|(_, copy)| copy.doubt.clone());
        let (location, doubt) = match self.locate(&labels, doubt.as_ref()) {
            Ok(location) => (Some(location), doubt),
            Err(reason) => (None, doubt.or(Some(reason))),
        };
        let owner = location.as_ref().map(|location| location.owner);
        let mut view = GroupView {
            labels,
            replica: location.as_ref().and_then(|location| location.replica),
            path: location.map(|location| location.path),
            owner,
            copies: copies.iter().map(|(on, copy)| self.copy(*on, copy)).collect(),
            families: Vec::new(),
            pushed: None,
            rejected: None,
            doubt,
        };
        view.families = self.families(&view, copies);
        for family in &view.families {
            let time = || self.own_time(family.on, &family.metrics);
            match &*family.name {
                PUSH_TIME => view.pushed = time(),
                PUSH_FAILED => view.rejected = time(),
                _ => {}
            }
        }
        for copy in &mut view.copies {
            copy.shown = view.families.iter().any(|family| family.on == copy.on);
        }
        view
    }

    fn locate(&self, labels: &Labels, doubt: Option<&Reason>) -> Result<GroupLocation, Reason> {
        if self.fleet.router.config().route_by == RouteBy::Path {
            return Err(Code::RouteByPath.because("route_by is \"path\": a group has no single owner"));
        }
        if let Some(doubt) = doubt.filter(|doubt| doubt.code != Code::UnknownLabels) {
            return Err(doubt.clone());
        }
        locate(&self.fleet.router, labels)
            .ok_or_else(|| Code::NoPath.because("no push path produces these labels"))
    }

    fn copy(&self, on: usize, copy: &HeldGroup) -> CopyView {
        let pushed = copy.families.get(PUSH_TIME).and_then(|family| self.own_time(on, &family.metrics));
        CopyView { on, pushed, shown: false }
    }

    /// Returns the value of one of a gateway's own two gauges as a time of our clock; `None` for 0, which means never.
    #[allow(clippy::cast_possible_truncation)]
    fn own_time(&self, on: usize, metrics: &[prost::bytes::Bytes]) -> Option<Timestamp> {
        let seconds = metric::decode(metrics.first()?).ok()?.gauge?.value();
        let time = Timestamp::from_nanosecond((seconds * 1e9) as i128).ok().filter(|_| seconds > 0.0)?;
        Some(self.witnesses.get(on)?.as_ref()?.clock.ours(time))
    }

    /// Takes the families that count from the copies.
    fn families(&self, view: &GroupView, mut copies: Vec<(usize, HeldGroup)>) -> Vec<FamilyView> {
        if let [(on, copy)] = &mut copies[..]
            && view.owner.is_none_or(|owner| owner == *on)
            && view.replica.is_none()
        {
            let (on, families) = (*on, std::mem::take(&mut copy.families));
            return families.into_iter().map(|(name, family)| shown(view, (on, on), name, family)).collect();
        }
        let authority = self.authority();
        let place = view.owner.map(|owner| Place { labels: &view.labels, owner, replica: view.replica });
        let authority = place.map(|place| authority.about(place));
        let names: BTreeSet<Arc<str>> =
            copies.iter().flat_map(|(_, copy)| copy.families.names().cloned()).collect();
        let mut families = Vec::with_capacity(names.len());
        let mut whole: BTreeSet<usize> = view.owner.into_iter().chain(view.replica).collect();
        for name in names {
            let held = copies.iter().filter_map(|(on, copy)| {
                let mut stamp = copy.families.get(&name)?.stamp;
                // A gateway sets the second of its own families once; it is as new as the group.
                if &*name == PUSH_FAILED {
                    stamp = copy.families.get(PUSH_TIME).map_or(stamp, |pushed| pushed.stamp.max(stamp));
                }
                Some(Held { on: *on, stamp })
            });
            let held: Vec<Held> = held.collect();
            let picked = match &authority {
                Some(authority) => authority.pick(&held),
                None => self.latest(&held),
            };
            let from = picked.and_then(|picked| copies.iter().position(|(on, _)| *on == picked.on));
            let right = from.and_then(|from| copies[from].1.families.get(&name));
            let copy_on = |on: usize| {
                let (_, copy) = copies.iter().find(|(index, _)| *index == on)?;
                copy.families.get(&name)
            };
            let on_owner = view.owner.and_then(copy_on);
            // The gateway sets its own families for each push, a repair included.
            let is_on_owner = if [PUSH_TIME, PUSH_FAILED].contains(&&*name) {
                on_owner.is_some()
            } else {
                whole.retain(|on| same(right, copy_on(*on)));
                same(right, on_owner)
            };
            if let Some((on, copy)) = from.map(|from| &mut copies[from])
                && let Some(family) = copy.families.remove(&name)
            {
                let source = if is_on_owner { view.owner.unwrap_or(*on) } else { *on };
                families.push(shown(view, (*on, source), name, family));
            }
        }
        if let Some(authority) = &authority {
            authority.saw_whole(whole.into_iter());
        }
        families
    }

    fn authority(&self) -> Authority<'_> {
        let mode = self.fleet.router.config().mode;
        Authority { witnesses: &self.witnesses, past: self.past, mode, now: self.now }
    }

    /// Returns the latest copy of a group whose owner is not known.
    fn latest(&self, held: &[Held]) -> Option<Held> {
        let ours = |held: &&Held| {
            let witness = self.witnesses.get(held.on).and_then(Option::as_ref);
            witness.map(|witness| witness.clock.ours(held.stamp))
        };
        held.iter().max_by_key(ours).copied()
    }
}

/// Returns whether two gateways hold the same values of a family, or both none.
fn same(a: Option<&HeldFamily>, b: Option<&HeldFamily>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.kind == b.kind && a.metrics == b.metrics,
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Returns a family of the gateway `on`; `source` is the owner if it holds the same.
fn shown(view: &GroupView, (on, source): (usize, usize), name: Arc<str>, family: HeldFamily) -> FamilyView {
    let source = match view.owner {
        None => Source::Unknown,
        Some(owner) if owner == source => Source::Owner,
        Some(_) if view.replica == Some(source) => Source::Replica,
        Some(_) => Source::Former,
    };
    let HeldFamily { kind, help, listed_help, stamp, metrics, json } = family;
    FamilyView {
        name,
        kind,
        help,
        time_stamp: stamp,
        on,
        source,
        metrics,
        json,
        listed_help,
        conflicts: false,
    }
}
