//! Compares the families of a group on all gateways: each differs in one of the ways that `Families` lists, or in none.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::Case;
use super::restored::{Fate, GROUP, RestoredFamilies};
use crate::fleet::authority::{GroupAuthority, Held};
use crate::reason::Reason;
use crate::transfer::gateway_state::ListedGroup;

/// The families of a group that differ, by what to do about them.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// Families that the owner gets, by the index of their source.
    pub(super) restore: BTreeMap<usize, Vec<String>>,
    /// Families on the owner that came from the replica and were deleted there since.
    pub(super) withdraw: Vec<String>,
    /// Families on the owner that the replica lacks, or holds with other values.
    pub(super) copy: Vec<String>,
    /// Families on the replica that were deleted on the owner.
    pub(super) stale: Vec<String>,
    /// Families on the owner that were deleted while it was off the ring, or that it loaded from its file.
    pub(super) outlived: Vec<String>,
    /// Families that a gateway has accepted but does not hold yet.
    pub(super) missing: bool,
}

impl Case<'_> {
    /// Compares all families. `None` if the exposition of a gateway lacks one that its API lists.
    pub(super) fn families(&self, restored: &mut RestoredFamilies) -> Result<Option<Families>, Reason> {
        let names: BTreeSet<&String> =
            self.copies().flat_map(|(_, _, group)| group.families.keys()).collect();
        let mut found = Families::default();
        restored.retain(|name, copy| {
            let fate = copy.fate(name, self.group, self.readings);
            match fate {
                Fate::Stands | Fate::Foreign => {}
                Fate::Replaced => found.restore.entry(copy.from).or_default().push(name.clone()),
                Fate::Deleted => found.withdraw.push(name.clone()),
                Fate::Gone => found.stale.extend(self.is_on_replica(name).then(|| name.clone())),
                Fate::Missing => found.missing = true,
            }
            fate != Fate::Foreign
        });
        let authority = self.authority();
        let authority = authority.about(self.group.place());
        for name in names {
            let Some(()) = self.family(name, &authority, restored, &mut found) else { return Ok(None) };
        }
        self.empty_group(&authority, restored, &mut found);
        Ok(Some(found))
    }

    fn is_on_replica(&self, name: &str) -> bool {
        let group = self.group.replica.and_then(|replica| self.group_on(replica));
        group.is_some_and(|group| group.families.contains_key(name))
    }

    /// Compares one family. `None` as [`Case::families`].
    fn family(
        &self,
        name: &String,
        authority: &GroupAuthority<'_>,
        restored: &RestoredFamilies,
        found: &mut Families,
    ) -> Option<()> {
        let mut values = BTreeMap::new();
        let mut held = Vec::new();
        for (on, state, group) in self.copies() {
            let Some(family) = group.families.get(name) else { continue };
            values.insert(on, (&family.kind, state.values(name, family)?));
            held.push(Held { on, stamp: family.time_stamp });
        }
        let own = values.get(&self.group.owner);
        let on_replica = self.group.replica.and_then(|replica| values.get(&replica));
        if own.is_none() && restored.contains_key(name) {
            return Some(());
        }
        // If all copies are equal, and owner and replica have one, none has to be right.
        let is_equal = own.is_some() && on_replica == own && values.values().all(|other| Some(other) == own);
        let right = match own {
            Some(_) if is_equal || restored.contains_key(name) => Some(self.group.owner),
            _ => authority.pick(&held).map(|copy| copy.on),
        };
        match right {
            Some(on) if on != self.group.owner && values.get(&on) != own => {
                found.restore.entry(on).or_default().push(name.clone());
            }
            Some(_) if on_replica != own => found.copy.push(name.clone()),
            None if own.is_some() => found.outlived.push(name.clone()),
            None if on_replica.is_some() => found.stale.push(name.clone()),
            // The replica holds the same; a sweep decides about copies on other gateways.
            Some(_) | None => {}
        }
        Some(())
    }

    /// A group without families, which a push without a body stores: its push counts as its family.
    fn empty_group(&self, authority: &GroupAuthority<'_>, restored: &RestoredFamilies, found: &mut Families) {
        if restored.contains_key(GROUP) || self.copies().any(|(_, _, group)| !group.families.is_empty()) {
            return;
        }
        let held = |(on, _, group): (usize, _, &ListedGroup)| Some(Held { on, stamp: group.last_push()? });
        let held: Vec<_> = self.copies().filter_map(held).collect();
        match (authority.pick(&held), self.group_on(self.group.owner)) {
            (Some(right), None) => drop(found.restore.entry(right.on).or_default()),
            (None, Some(_)) => found.outlived.push(GROUP.to_owned()),
            _ => {}
        }
    }
}
