//! From registrations to the members that a ring may have: one per gateway, one per name, within the limits of the filter.
//!
//! Nothing that one registration says may end the others' membership or give it their groups, so each rule is total: it
//! skips, with a reason, what it does not accept. Nothing but a limit depends on health: a failing check must not change
//! the identity of a member.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use pushring_ring::{MAX_POINTS, MAX_WEIGHT};
use pushring_router::{MAX_MEMBERS, Member, Mode};

use super::access::Scheme;
use super::address::GatewayAddress;
use super::render::Endpoint;
use crate::fleet::registration::{Registration, shown};

/// Longest name, as the filter accepts it.
const MAX_NAME_BYTES: usize = 253;
/// Longer texts count as this long: consul-template's file has no more of them.
const MAX_COUNTED_BYTES: usize = 1000;
/// Number of addresses that one reason lists.
const LISTED: usize = 10;

/// A registered gateway.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) member: Member,
    pub(super) address: GatewayAddress,
    pub(super) scheme: Scheme,
    pub(super) passing: bool,
    since: u64,
    /// Precedence of the registration from which scheme and weight come: not passing, age.
    settings: (bool, u64),
    /// Whether other registrations of the address have another scheme or weight.
    disputed: bool,
}

/// The gateways of a list of registrations, and the reasons why others are none.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    /// By the canonical text of their address, which is unique.
    by_address: BTreeMap<String, Candidate>,
    pub(super) skipped: Vec<String>,
}

impl Candidates {
    /// Reads one registration. Endpoint mode requires an IP address. `scheme` is that of registrations without one;
    /// `https` is that of all.
    pub(super) fn add(&mut self, found: &Registration, mode: Mode, scheme: Scheme) {
        match Candidate::new(found, mode, scheme) {
            Ok(new) => match self.by_address.get_mut(&new.member.address) {
                Some(known) => known.merge(new),
                None => drop(self.by_address.insert(new.member.address.clone(), new)),
            },
            Err(reason) => self.skipped.push(format!("{found}: {reason}")),
        }
    }

    /// Notes each address with registrations that contradict each other.
    pub(super) fn disputed(&self) -> impl Iterator<Item = String> {
        self.iter().filter(|one| one.disputed).map(|one| {
            let (address, weight, scheme) = (&one.member.address, one.member.weight, one.scheme.as_str());
            format!(
                "{address}: its registrations differ in scheme or weight; the first passing one counts: \
                 {scheme}, weight {weight}"
            )
        })
    }

    /// Returns all candidates, also those that do not become members.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.by_address.values()
    }

    /// Gives a candidate whose name is the address of another its own address as name: that address is the name of the gateway
    /// behind it, or may become it. No name is another's address then. Returns a note for each.
    pub(super) fn return_taken_addresses(&mut self) -> Vec<String> {
        let known: BTreeSet<String> = self.by_address.keys().cloned().collect();
        let mut notes = Vec::new();
        for (address, Candidate { member, .. }) in &mut self.by_address {
            if member.name != *address && known.contains(&member.name) {
                notes.push(format!(
                    "{address}: its name {:?} is the address of another gateway; its name is its own address instead",
                    member.name
                ));
                member.name.clone_from(address);
            }
        }
        notes
    }

    /// Returns the candidates by name. A name belongs to one of its candidates: a passing one, of several of these the one that
    /// was registered first, else the smallest address.
    pub(super) fn one_per_name(self) -> (BTreeMap<String, Candidate>, Vec<String>) {
        let mut by_name: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for candidate in self.by_address.into_values() {
            by_name.entry(candidate.member.name.clone()).or_default().push(candidate);
        }
        let mut skipped = self.skipped;
        let mut members = BTreeMap::new();
        for (name, mut all) in by_name {
            all.sort_unstable_by(|a, b| a.precedence().cmp(&b.precedence()));
            let mut all = all.into_iter();
            let Some(winner) = all.next() else { continue };
            let owner = &winner.member.address;
            skipped.extend(
                all.map(|loser| format!("{}: the name {name:?} belongs to {owner}", loser.member.address)),
            );
            members.insert(name, winner);
        }
        (members, skipped)
    }
}

impl Candidate {
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.address, self.scheme)
    }

    /// # Errors
    /// The reason why the registration can be no member.
    pub(super) fn new(found: &Registration, mode: Mode, scheme: Scheme) -> Result<Self, String> {
        if found.address.len() > MAX_NAME_BYTES + 2 {
            return Err(format!(
                "address: found {}, allowed a host name or an IP address",
                bytes(&found.address)
            ));
        }
        if found.name.len() > MAX_NAME_BYTES {
            return Err(format!("name: found {}, allowed 1 to {MAX_NAME_BYTES}", bytes(&found.name)));
        }
        let address = GatewayAddress::new(&found.address, found.port)?;
        let name = if found.name.is_empty() { address.to_string() } else { found.name.clone() };
        let member = Member::new(name, address.to_string(), mode).map_err(|error| error.to_string())?;
        let weight = found.weight.clamp(1, i64::from(MAX_WEIGHT)) as u32;
        let passing = found.is_passing();
        let scheme = match found.scheme.as_str() {
            "" => scheme,
            text => {
                Scheme::parse(text).map(|own| if scheme == Scheme::Https { scheme } else { own }).ok_or_else(
                    || format!("pushring-scheme: found \"{}\", allowed \"http\" or \"https\"", shown(text)),
                )?
            }
        };
        let since = found.since();
        let member = Member { weight, ..member };
        Ok(Self { member, address, scheme, passing, since, settings: (!passing, since), disputed: false })
    }

    fn precedence(&self) -> (bool, u64, &str) {
        (!self.passing, self.since, &self.member.address)
    }

    /// Adds another registration of the same address. The one that was registered first decides the name; of several that
    /// came at once, or without this knowledge, one that has a name, and the smallest. A passing one decides scheme and weight,
    /// of several of these the first; of several that came at once, one with TLS, and the largest weight.
    fn merge(&mut self, new: Self) {
        let key = |one: &Self| (one.since, one.member.name == one.member.address, one.member.name.clone());
        let first = key(&new) < key(self);
        let settings = |one: &Self| (one.settings, one.scheme != Scheme::Https, Reverse(one.member.weight));
        self.disputed |= new.disputed || (self.scheme, self.member.weight) != (new.scheme, new.member.weight);
        if settings(&new) < settings(self) {
            (self.scheme, self.member.weight, self.settings) = (new.scheme, new.member.weight, new.settings);
        }
        if first {
            (self.member.name, self.since) = (new.member.name, new.since);
        }
        self.passing |= new.passing;
    }
}

/// Formats the length of a text.
fn bytes(text: &str) -> String {
    let more = if text.len() < MAX_COUNTED_BYTES { "" } else { " or more" };
    format!("{} bytes{more}", text.len().min(MAX_COUNTED_BYTES))
}

/// Keeps as many members as a ring can have: those that pass, of these those that were registered first. Returns the reason
/// why others were skipped.
pub(super) fn limit_members(members: &mut BTreeMap<String, Candidate>) -> Option<String> {
    if members.len() <= MAX_MEMBERS {
        return None;
    }
    let mut all: Vec<Candidate> = std::mem::take(members).into_values().collect();
    all.sort_unstable_by(|a, b| a.precedence().cmp(&b.precedence()));
    let over = all.split_off(MAX_MEMBERS);
    *members = all.into_iter().map(|one| (one.member.name.clone(), one)).collect();
    let listed: Vec<&str> = over.iter().take(LISTED).map(|one| one.member.address.as_str()).collect();
    let more = if over.len() > LISTED { ", …" } else { "" };
    Some(format!(
        "{} registrations over the limit of {MAX_MEMBERS} members: {}{more}",
        over.len(),
        listed.join(", ")
    ))
}

/// Lowers the largest weights until a ring with this number of points per weight fits. Health does not matter here, so that
/// a failing check changes no weight. Returns what was done.
pub(super) fn limit_weights(members: &mut BTreeMap<String, Candidate>, points: usize) -> Option<String> {
    let fits = |highest: u32| {
        let weights = members.values().map(|one| one.member.weight.min(highest) as usize);
        weights.sum::<usize>().saturating_mul(points) <= MAX_POINTS
    };
    let highest = (1..=MAX_WEIGHT).rev().find(|&highest| fits(highest)).unwrap_or(1);
    if members.values().all(|one| one.member.weight <= highest) {
        return None;
    }
    for one in members.values_mut() {
        one.member.weight = one.member.weight.min(highest);
    }
    Some(format!("weights over {highest} count as {highest}: a ring has at most {MAX_POINTS} points"))
}

/// Sets the weights to what a placement without weights accepts.
pub(super) fn without_weights(members: &mut BTreeMap<String, Candidate>) {
    for one in members.values_mut() {
        one.member.weight = 1;
    }
}
