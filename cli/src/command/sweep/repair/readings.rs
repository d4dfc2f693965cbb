//! The contents of the gateways, and whether they are still up to date.
//!
//! A full reading of thousands of groups takes long, and a decision must not be old. Therefore the contents are kept, and
//! before a decision only the times of the last pushes are read again: a group whose times are the same has not changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Instant;

use jiff::Timestamp;

use super::Repair;
use super::place::Group;
use super::pushed::Pushed;
use crate::fleet::authority::Witness;
use crate::fleet::survey::{GroupLocation, locate, read_push_times};
use crate::fleet::unreadable::Unreadable;
use crate::gateway::api::Labels;
use crate::gateway::client::{Gateway, Status};
use crate::gateway::pool::Gateways;
use crate::gateway::push_times::GatewayPushTimes;
use crate::reason::{Code, Reason};
use crate::transfer::gateway_state::GatewayState;

/// A gateway of the fleet.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) gateway: Gateway,
    on_ring: bool,
    /// Its contents, or why they are unknown.
    state: Result<GatewayState, Reason>,
    /// Time before the first request for its contents.
    read_at: Timestamp,
    /// Pushes of this run since then.
    pub(super) pushed: Mutex<Pushed>,
}

/// All gateways of the fleet: the members in the order of the ring's indices, then the registered ones.
#[derive(Debug)]
pub(super) struct Cache {
    known: Vec<Known>,
}

/// A proof that the contents of a gateway were up to date.
enum Proof {
    /// They were read just now.
    Contents(Instant),
    /// Its process, and the times of its last pushes, were read just now.
    PushTimes(Instant, Timestamp, Status, GatewayPushTimes),
    Missing(Reason),
}

/// The contents of some gateways, with proofs.
pub(super) struct Readings<'c> {
    cache: &'c Cache,
    /// By index. `None`: all gateways were read just now.
    proofs: Option<HashMap<usize, Proof>>,
    /// By index, of all gateways. `None`: it could not be read.
    pub(super) witnesses: Vec<Option<Witness>>,
}

impl Cache {
    /// Reads all gateways of the fleet, each once.
    pub(super) fn read(run: &Repair<'_>) -> Self {
        let on_ring = run.fleet.router.config().members.iter().map(|member| (true, member));
        let all: Vec<_> = on_ring.chain(run.fleet.registered.iter().map(|member| (false, member))).collect();
        let known = run.gateways.each(&all, |(on_ring, member)| {
            let gateway = run.gateways.gateway(&member.name, &member.address);
            let read_at = Timestamp::now();
            Known { state: contents(&gateway), gateway, on_ring: *on_ring, read_at, pushed: Mutex::default() }
        });
        let mut cache = Self { known };
        cache.reject_shared_processes();
        cache
    }

    /// Rejects gateways with two addresses: a push to one of them is a push to both.
    fn reject_shared_processes(&mut self) {
        let mut processes: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, known) in self.known.iter().enumerate() {
            if let Ok(state) = &known.state {
                processes.entry(state.start_time.clone()).or_default().push(index);
            }
        }
        for index in processes.into_values().filter(|twins| twins.len() > 1).flatten() {
            let text = "it is the same process as another gateway: they started at the same nanosecond";
            self.known[index].state = Err(Code::SharedProcess.because(text));
        }
    }

    pub(super) fn gateway(&self, index: usize) -> &Known {
        &self.known[index]
    }

    pub(super) fn name(&self, index: usize) -> String {
        self.known[index].gateway.name().to_owned()
    }

    pub(super) fn unreadable(&self) -> Vec<Unreadable> {
        let unreadable = |known: &Known| {
            let (gateway, reason) =
                (known.gateway.name().to_owned(), known.state.as_ref().err()?.text.clone());
            Some(Unreadable { gateway, on_ring: known.on_ring, reason })
        };
        self.known.iter().filter_map(unreadable).collect()
    }

    /// Returns the contents as they were read, without further proof.
    pub(super) fn as_read(&self) -> Readings<'_> {
        Readings { cache: self, proofs: None, witnesses: self.witnesses() }
    }

    /// Reads the contents of the gateways in `contents` again, and of the others in `involved` the times of their last pushes.
    pub(super) fn reread(
        &mut self,
        gateways: &Gateways,
        involved: &BTreeSet<usize>,
        contents: &BTreeSet<usize>,
    ) -> Readings<'_> {
        let indices: Vec<usize> = involved.iter().copied().collect();
        let read = gateways.each(&indices, |index| {
            let (known, began) = (&self.known[*index], (Instant::now(), Timestamp::now()));
            // A gateway that could not be read may be back.
            if contents.contains(index) || known.state.is_err() {
                return (began, Err(self::contents(&known.gateway)));
            }
            (began, Ok(push_times(&known.gateway)))
        });
        let mut proofs = HashMap::new();
        for (index, ((began, at), read)) in indices.into_iter().zip(read) {
            let proof = match read {
                Ok(Ok((status, times))) => Proof::PushTimes(began, at, status, times),
                Ok(Err(reason)) => Proof::Missing(reason),
                Err(state) => {
                    let known = &mut self.known[index];
                    (known.state, known.read_at, known.pushed) = (state, at, Mutex::default());
                    Proof::Contents(began)
                }
            };
            proofs.insert(index, proof);
        }
        self.reject_shared_processes();
        let mut witnesses = self.witnesses();
        for (index, proof) in &proofs {
            if let (Proof::PushTimes(_, at, _, _), Some(witness)) = (proof, &mut witnesses[*index]) {
                witness.read = *at;
            }
        }
        Readings { cache: self, proofs: Some(proofs), witnesses }
    }

    fn witnesses(&self) -> Vec<Option<Witness>> {
        let witness = |known: &Known| {
            let state = known.state.as_ref().ok()?;
            Some(Witness {
                name: known.gateway.name().to_owned(),
                clock: state.clock,
                started: state.start_time.parse().ok(),
                read: known.read_at,
            })
        };
        self.known.iter().map(witness).collect()
    }

    /// Iterates over the labels of all copies; those of a stub, too.
    pub(super) fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.known.iter().filter_map(|known| known.state.as_ref().ok()).flat_map(|state| state.groups.keys())
    }

    /// Returns all groups whose owner and replica could be read. A sweep reports copies whose place is unknown.
    pub(super) fn groups(&self, run: &Repair<'_>) -> Vec<Group> {
        let mut copies: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
        let readable =
            self.known.iter().enumerate().filter_map(|(on, known)| Some((on, known.state.as_ref().ok()?)));
        for (on, state) in readable {
            for (labels, group) in &state.groups {
                // Nothing was ever accepted for a stub.
                if !group.is_stub() {
                    copies.entry(labels).or_default().insert(on);
                }
            }
        }
        let group = |(labels, mut involved): (&_, BTreeSet<usize>)| {
            let location = locate(&run.fleet.router, labels)?;
            let needed = [Some(location.owner), location.replica].into_iter().flatten();
            if needed.clone().any(|index| self.known[index].state.is_err()) {
                return None;
            }
            involved.extend(needed);
            let GroupLocation { path, owner, replica } = location;
            Some(Group { labels: Clone::clone(labels), path, owner, replica, involved })
        };
        copies.into_iter().filter_map(group).collect()
    }
}

fn contents(gateway: &Gateway) -> Result<GatewayState, Reason> {
    GatewayState::read(gateway, None).map_err(|error| Reason::from_error(&error, Code::Unreadable))
}

fn push_times(gateway: &Gateway) -> Result<(Status, GatewayPushTimes), Reason> {
    let read = gateway.status().and_then(|status| Ok((status, read_push_times(gateway)?)));
    read.map_err(|error| Reason::from_error(&error, Code::Unreadable))
}

impl Readings<'_> {
    /// Returns the contents of a gateway.
    ///
    /// # Errors
    /// The reason why they are unknown.
    pub(super) fn state(&self, index: usize) -> Result<&GatewayState, Reason> {
        if let Some(Proof::Missing(reason)) = self.proofs.as_ref().and_then(|proofs| proofs.get(&index)) {
            return Err(reason.clone());
        }
        self.cache.known[index].state.as_ref().map_err(Clone::clone)
    }

    pub(super) fn gateway(&self, index: usize) -> &Known {
        self.cache.gateway(index)
    }

    /// Returns the gateways whose contents may differ from what is known of this group.
    pub(super) fn outdated(&self, group: &Group) -> BTreeSet<usize> {
        let Some(proofs) = &self.proofs else { return BTreeSet::new() };
        let is_outdated = |index: &usize| {
            let Ok(state) = &self.cache.known[*index].state else { return false };
            match proofs.get(index) {
                Some(Proof::Contents(_) | Proof::Missing(_)) => false,
                Some(Proof::PushTimes(_, _, status, times)) => {
                    status.start_time != state.start_time
                        || !status.clock.agrees_with(&state.clock)
                        || times.get(&group.labels) != state.push_times.get(&group.labels)
                        || !state.agrees(&group.labels)
                }
                None => true,
            }
        };
        group.involved.iter().copied().filter(is_outdated).collect()
    }

    /// Returns whether the oldest proof about a group is older than a decision may be.
    pub(super) fn is_late(&self, group: &Group) -> bool {
        let Some(proofs) = &self.proofs else { return false };
        group.involved.iter().any(|index| match proofs.get(index) {
            Some(Proof::Contents(began) | Proof::PushTimes(began, ..)) => {
                began.elapsed() > self.cache.known[*index].gateway.limits.max_decision_age
            }
            Some(Proof::Missing(_)) | None => false,
        })
    }
}
