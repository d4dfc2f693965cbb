//! Remembers members that vanish from a source, so that an outage of the registry cannot shrink the ring.
//!
//! A lease that ended, a deleted pod or a name that no longer resolves looks like a gateway that was removed, but is often
//! an outage of the registry. A member that vanished therefore counts as registered and not passing for a while, unless it
//! said that it leaves: the guard (`min_members_share`) then is a share of all members seen in that time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use pushring_router::{Config, Member};
use serde::{Deserialize, Serialize};

use crate::fleet::address::GatewayAddress;
use crate::fleet::registration::{Registration, Registrations};

/// Status of a member that the source no longer lists.
pub(crate) const VANISHED: &str = "vanished";
/// Status of a member that left: the source no longer lists it, and repeats its farewell.
pub(crate) const DEPARTED: &str = "departed";

/// How long members are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a member that vanished counts as registered.
    pub(crate) forget: Duration,
    /// How long a member that is not ready, or vanished, keeps its place on the ring.
    pub(crate) hold: Duration,
}

/// Everything known about the members of a source, by their names on the ring. Times stop while the source is away.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Memory {
    members: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Known {
    /// As last seen; of several with this name, a passing one.
    registration: Registration,
    /// When a snapshot first lacked it.
    vanished: Option<SystemTime>,
    /// When it stopped to be passing; `None` while it is, and if it never was.
    passed: Option<SystemTime>,
}

/// An event in the life of a member, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The source no longer lists the member of this name.
    Vanished(String),
    /// It vanished so long ago that it no longer counts.
    Forgotten(String),
    /// It said that it leaves.
    Left(String),
}

impl Memory {
    /// Returns a memory of the members on a ring, for a first snapshot that lacks some of them.
    pub(crate) fn of_ring(ring: &Config) -> Self {
        let known = |member: &Member| {
            let address = GatewayAddress::parse(&member.address).ok()?;
            let name = if member.name == member.address { String::new() } else { member.name.clone() };
            let registration = Registration {
                weight: member.weight.into(),
                name,
                ..Registration::new(address.host(), address.port().into())
            };
            Some((member.name.clone(), Known { registration, vanished: None, passed: None }))
        };
        Self { members: ring.members.iter().filter_map(known).collect() }
    }

    /// Updates the memory and returns the members that count now: those of the snapshot and those that are remembered.
    pub(crate) fn update(
        &mut self,
        snapshot: &Registrations,
        limits: Limits,
        now: SystemTime,
    ) -> (Registrations, Vec<Change>) {
        let mut changes = Vec::new();
        let own = own_names(&snapshot.found);
        let present = by_name(&own);
        for leaving in own.iter().filter(|found| found.leaving).map(name) {
            if !present.contains_key(&leaving) && self.members.remove(&leaving).is_some() {
                changes.push(Change::Left(leaving));
            }
        }
        self.mark_vanished(&present, now, &mut changes);
        self.forget(&present, limits.forget, now, &mut changes);
        for (name, found) in present {
            let known = self.members.get(&name);
            let passed = match known {
                _ if found.is_passing() => None,
                Some(known) if known.is_passing() => Some(now),
                other => other.and_then(|known| known.passed),
            };
            self.members.insert(name, Known { registration: found.clone(), vanished: None, passed });
        }
        (self.members_now(snapshot, limits.hold, now), changes)
    }

    /// Returns the next time at which a member is forgotten or loses its place without a new snapshot.
    pub(crate) fn next_change(&self, limits: Limits, now: SystemTime) -> Option<SystemTime> {
        let ends = self.members.values().flat_map(|known| {
            let forgotten = known.vanished.and_then(|since| since.checked_add(limits.forget));
            let place_lost = known.passed.and_then(|since| since.checked_add(limits.hold));
            [forgotten, place_lost]
        });
        ends.flatten().filter(|end| *end > now).min()
    }

    /// Moves all times on by the time for which the source was away: no member could come back in it.
    pub(crate) fn skip(&mut self, away: Duration) {
        for known in self.members.values_mut() {
            for time in [&mut known.vanished, &mut known.passed].into_iter().flatten() {
                *time = time.checked_add(away).unwrap_or(*time);
            }
        }
    }

    fn mark_vanished(
        &mut self,
        present: &BTreeMap<String, &Registration>,
        now: SystemTime,
        changes: &mut Vec<Change>,
    ) {
        for (name, known) in &mut self.members {
            if known.vanished.is_none() && !present.contains_key(name) {
                if known.is_passing() {
                    known.passed = Some(now);
                }
                known.vanished = Some(now);
                changes.push(Change::Vanished(name.clone()));
            }
        }
    }

    /// Forgets members that vanished long ago, and those whose address has another name now.
    fn forget(
        &mut self,
        present: &BTreeMap<String, &Registration>,
        forget: Duration,
        now: SystemTime,
        changes: &mut Vec<Change>,
    ) {
        let addresses: BTreeSet<String> = present.values().map(|found| address(found)).collect();
        self.members.retain(|name, known| {
            let Some(since) = known.vanished.filter(|_| !present.contains_key(name)) else { return true };
            let forgotten =
                elapsed(since, now) >= forget || addresses.contains(&address(&known.registration));
            if forgotten {
                changes.push(Change::Forgotten(name.clone()));
            }
            !forgotten
        });
    }

    /// Adds the remembered members to a snapshot, and gives the place on the ring to one registration of each member that
    /// passed less than `hold` ago, preferably to one that is present.
    fn members_now(&self, snapshot: &Registrations, hold: Duration, now: SystemTime) -> Registrations {
        let vanished = self
            .members
            .values()
            .filter(|known| known.vanished.is_some())
            .map(|known| Registration { status: VANISHED.to_owned(), ..known.registration.clone() });
        let mut found: Vec<Registration> =
            snapshot.found.iter().filter(|found| !found.leaving).cloned().collect();
        let mut names: Vec<String> = own_names(&found).iter().map(name).collect();
        found.extend(vanished);
        names.extend(found[names.len()..].iter().map(name));
        let recently = |known: &&Known| known.passed.is_some_and(|passed| elapsed(passed, now) < hold);
        let held = self.members.iter().filter(|(_, known)| recently(known)).map(|(name, _)| name.as_str());
        let mut held: BTreeSet<&str> = held.collect();
        for (found, name) in found.iter_mut().zip(&names) {
            if held.remove(name.as_str()) {
                found.pass();
            }
        }
        Registrations { found, unreadable: snapshot.unreadable.clone() }
    }
}

impl Known {
    fn is_passing(&self) -> bool {
        self.vanished.is_none() && self.registration.is_passing()
    }
}

/// Returns the registrations of members that do not leave; of several with one name, a passing one.
fn by_name(found: &[Registration]) -> BTreeMap<String, &Registration> {
    let mut all: BTreeMap<String, &Registration> = BTreeMap::new();
    for found in found.iter().filter(|found| !found.leaving) {
        let known = all.entry(name(found)).or_insert(found);
        if found.is_passing() && !known.is_passing() {
            *known = found;
        }
    }
    all
}

/// Returns the registrations, without a name where it is the address of another of them. That one decides who is a member, too:
/// else both would be one member here, and one of them would not be remembered.
fn own_names(found: &[Registration]) -> Vec<Registration> {
    let known: BTreeSet<String> = found.iter().filter(|found| !found.leaving).map(address).collect();
    let mut all = found.to_vec();
    for one in all.iter_mut().filter(|one| known.contains(&one.name) && one.name != address(one)) {
        one.name.clear();
    }
    all
}

/// Returns the address in its one spelling, or as it is if it is none.
fn address(found: &Registration) -> String {
    let canonical = GatewayAddress::new(&found.address, found.port);
    canonical.map_or_else(|_| format!("{}:{}", found.address, found.port), |address| address.to_string())
}

/// Returns the name on the ring.
fn name(found: &Registration) -> String {
    if found.name.is_empty() { address(found) } else { found.name.clone() }
}

/// Zero if the clock went back.
fn elapsed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const LIMITS: Limits = Limits { forget: Duration::from_secs(3600), hold: Duration::ZERO };

    fn at(minutes: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30) + MINUTE * minutes
    }

    fn member(name: &str, host: &str, status: &str) -> Registration {
        let mut registration = Registration::new(host, 9091);
        name.clone_into(&mut registration.name);
        status.clone_into(&mut registration.status);
        registration
    }

    fn passing(hosts: &[&str]) -> Registrations {
        hosts.iter().map(|host| member("", host, "passing")).collect::<Vec<_>>().into()
    }

    fn states(found: &Registrations) -> Vec<String> {
        let mut all: Vec<_> =
            found.found.iter().map(|one| format!("{} {} {}", name(one), one.address, one.status)).collect();
        all.sort();
        all
    }

    #[test]
    fn a_vanished_member_counts_as_not_passing_until_it_is_forgotten() {
        let mut memory = Memory::default();
        memory.update(&passing(&["a", "b"]), LIMITS, at(0));
        let (now, changes) = memory.update(&passing(&["a"]), LIMITS, at(10));
        assert_eq!(states(&now), ["a:9091 a passing", "b:9091 b vanished"]);
        assert_eq!(changes, [Change::Vanished("b:9091".to_owned())]);
        assert_eq!(memory.next_change(LIMITS, at(10)), Some(at(70)));
        let (now, changes) = memory.update(&passing(&["a"]), LIMITS, at(69));
        assert_eq!((states(&now).len(), changes), (2, Vec::new()));
        let (now, changes) = memory.update(&passing(&["a"]), LIMITS, at(70));
        assert_eq!(states(&now), ["a:9091 a passing"]);
        assert_eq!(changes, [Change::Forgotten("b:9091".to_owned())]);
        assert_eq!(memory.next_change(LIMITS, at(70)), None);
    }

    #[test]
    fn a_member_that_comes_back_is_remembered_from_its_next_absence_on() {
        let mut memory = Memory::default();
        memory.update(&passing(&["a"]), LIMITS, at(0));
        memory.update(&passing(&[]), LIMITS, at(1));
        memory.update(&passing(&["a"]), LIMITS, at(30));
        memory.update(&passing(&[]), LIMITS, at(60));
        let (now, _) = memory.update(&passing(&[]), LIMITS, at(119));
        assert_eq!(states(&now), ["a:9091 a vanished"]);
    }

    #[test]
    fn a_member_that_leaves_is_not_remembered() {
        let mut memory = Memory::default();
        memory.update(&passing(&["a", "b"]), LIMITS, at(0));
        let mut leaving = passing(&["a", "b"]);
        leaving.found[1].leaving = true;
        let (now, changes) = memory.update(&leaving, LIMITS, at(1));
        assert_eq!(states(&now), ["a:9091 a passing"]);
        assert_eq!(changes, [Change::Left("b:9091".to_owned())]);
        let (now, changes) = memory.update(&passing(&["a"]), LIMITS, at(2));
        assert_eq!((states(&now).len(), changes), (1, Vec::new()));
    }

    #[test]
    fn another_address_of_the_same_name_replaces_the_old_one() {
        let mut memory = Memory::default();
        let one = |host| Registrations::from(vec![member("m", host, "passing")]);
        memory.update(&one("10.0.0.1"), LIMITS, at(0));
        let (now, changes) = memory.update(&one("10.0.0.2"), LIMITS, at(1));
        assert_eq!(states(&now), ["m 10.0.0.2 passing"]);
        assert_eq!(changes, []);
        // A new name for the same gateway is no second member.
        let (now, _) = memory.update(&passing(&["10.0.0.2"]), LIMITS, at(2));
        assert_eq!(states(&now), ["10.0.0.2:9091 10.0.0.2 passing"]);
    }

    #[test]
    fn members_with_the_address_of_another_as_name_are_remembered() {
        let mut memory = Memory::default();
        let named = |host| member("10.0.0.1:9091", host, "passing");
        let all: Vec<_> = ["10.0.0.3", "10.0.0.1", "10.0.0.2"].map(named).into();
        memory.update(&all.into(), LIMITS, at(0));
        let (now, _) = memory.update(&passing(&["10.0.0.1"]), LIMITS, at(1));
        let vanished = ["10.0.0.2:9091 10.0.0.2 vanished", "10.0.0.3:9091 10.0.0.3 vanished"];
        assert_eq!(states(&now), [&["10.0.0.1:9091 10.0.0.1 passing"], &vanished[..]].concat());
    }

    #[test]
    fn a_held_member_keeps_its_place_while_it_restarts() {
        let limits = Limits { hold: MINUTE * 2, ..LIMITS };
        let mut memory = Memory::default();
        let one = |host, status| Registrations::from(vec![member("m", host, status)]);
        memory.update(&one("10.0.0.1", "passing"), limits, at(0));
        let (now, _) = memory.update(&one("10.0.0.1", "terminating"), limits, at(10));
        assert_eq!(states(&now), ["m 10.0.0.1 passing"]);
        let (now, _) = memory.update(&passing(&[]), limits, at(11));
        assert_eq!(states(&now), ["m 10.0.0.1 passing"]);
        let (now, _) = memory.update(&one("10.0.0.2", "critical"), limits, at(11));
        assert_eq!(states(&now), ["m 10.0.0.2 passing"]);
        assert_eq!(memory.next_change(limits, at(11)), Some(at(12)));
        let (now, _) = memory.update(&one("10.0.0.2", "critical"), limits, at(12));
        assert_eq!(states(&now), ["m 10.0.0.2 critical"]);
        // A member that never passed has no place to keep.
        let (now, _) = memory.update(&one("10.0.0.2", "critical"), limits, at(13));
        assert_eq!(states(&now), ["m 10.0.0.2 critical"]);
    }

    #[test]
    fn time_stops_while_the_source_is_away() {
        let mut memory = Memory::default();
        memory.update(&passing(&["a"]), LIMITS, at(0));
        memory.update(&passing(&[]), LIMITS, at(1));
        memory.skip(MINUTE * 600);
        let (now, _) = memory.update(&passing(&[]), LIMITS, at(630));
        assert_eq!(states(&now), ["a:9091 a vanished"]);
    }

    #[test]
    fn the_ring_is_a_first_memory() {
        let ring = r#"{"members": [{"name": "m", "address": "10.0.0.1:9091"}, {"name": "10.0.0.2:9091", "address": "10.0.0.2:9091"}]}"#;
        let mut memory = Memory::of_ring(&Config::parse(ring.as_bytes()).unwrap());
        let (now, _) = memory.update(&passing(&["10.0.0.2"]), LIMITS, at(0));
        assert_eq!(states(&now), ["10.0.0.2:9091 10.0.0.2 passing", "m 10.0.0.1 vanished"]);
    }

    #[test]
    fn survives_a_restart() {
        let mut memory = Memory::default();
        memory.update(&passing(&["a", "b"]), LIMITS, at(0));
        memory.update(&passing(&["a"]), LIMITS, at(1));
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
    }
}
