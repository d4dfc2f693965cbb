//! The contents of several gateways, read at about the same time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use jiff::Timestamp;

use super::Repair;
use super::place::Group;
use crate::fleet::authority::Witness;
use crate::fleet::survey::locate;
use crate::fleet::unreadable::Unreadable;
use crate::gateway::client::Gateway;
use crate::gateway::pool::Gateways;
use crate::reason::{Code, Reason};
use crate::transfer::gateway_state::GatewayState;

/// A gateway of the fleet.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) gateway: Gateway,
    on_ring: bool,
    /// As the last survey found it. `None`: it could not be read.
    pub(super) witness: Option<Witness>,
}

/// One reading of some gateways.
#[derive(Debug)]
pub(super) struct Readings {
    /// Time before the first request.
    pub(super) began: Instant,
    /// By index.
    states: HashMap<usize, Result<GatewayState, Reason>>,
    /// By index, of all gateways: of those that were not read, as the survey found them.
    pub(super) witnesses: Vec<Option<Witness>>,
}

/// The first reading, of all gateways.
#[derive(Debug)]
pub(super) struct Survey {
    gateways: Vec<Known>,
    pub(super) readings: Readings,
}

impl Readings {
    /// Reads these gateways, each once.
    pub(super) fn read(gateways: &Gateways, known: &[Known], indices: &BTreeSet<usize>) -> Self {
        let (began, read) = (Instant::now(), Timestamp::now());
        let indices: Vec<usize> = indices.iter().copied().collect();
        let states = gateways.each(&indices, |&index| {
            let state = GatewayState::read(&known[index].gateway, None);
            state.map_err(|error| Reason::from_error(&error, Code::Unreadable))
        });
        let mut states: HashMap<_, _> = indices.into_iter().zip(states).collect();
        reject_shared_processes(&mut states);
        let witness = |(index, known): (usize, &Known)| match states.get(&index) {
            Some(Ok(state)) => Some(witness(known, state, read)),
            Some(Err(_)) => None,
            None => known.witness.clone(),
        };
        let witnesses = known.iter().enumerate().map(witness).collect();
        Self { began, states, witnesses }
    }

    /// Returns what a gateway holds.
    ///
    /// # Errors
    /// The reason why that is unknown.
    pub(super) fn state(&self, index: usize) -> Result<&GatewayState, Reason> {
        match self.states.get(&index) {
            Some(state) => state.as_ref().map_err(Clone::clone),
            None => Err(Code::Unreadable.because("not read")),
        }
    }
}

/// Rejects gateways with two addresses: what is pushed to one of them is on both.
fn reject_shared_processes(states: &mut HashMap<usize, Result<GatewayState, Reason>>) {
    let mut processes: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, state) in states.iter() {
        if let Ok(state) = state {
            processes.entry(state.start_time.clone()).or_default().push(*index);
        }
    }
    for index in processes.into_values().filter(|twins| twins.len() > 1).flatten() {
        let text = "it is the same process as another gateway: they started at the same nanosecond";
        states.insert(index, Err(Code::SharedProcess.because(text)));
    }
}

fn witness(known: &Known, state: &GatewayState, read: Timestamp) -> Witness {
    Witness {
        name: known.gateway.name().to_owned(),
        clock: state.clock,
        started: state.start_time.parse().ok(),
        read,
    }
}

impl Survey {
    /// Reads all gateways of the fleet, each once.
    pub(super) fn read(run: &Repair<'_>) -> Self {
        let on_ring = run.fleet.router.config().members.iter().map(|member| (true, member));
        let all = on_ring.chain(run.fleet.registered.iter().map(|member| (false, member)));
        let mut gateways: Vec<Known> = all
            .map(|(on_ring, member)| Known {
                gateway: run.gateways.gateway(&member.name, &member.address),
                on_ring,
                witness: None,
            })
            .collect();
        let readings = Readings::read(run.gateways, &gateways, &(0..gateways.len()).collect());
        for (known, witness) in gateways.iter_mut().zip(&readings.witnesses) {
            known.witness.clone_from(witness);
        }
        Self { gateways, readings }
    }

    pub(super) fn unreadable(&self) -> Vec<Unreadable> {
        let unreadable = |(index, known): (usize, &Known)| {
            let reason = self.readings.state(index).err()?.text;
            Some(Unreadable { gateway: known.gateway.name().to_owned(), on_ring: known.on_ring, reason })
        };
        self.gateways.iter().enumerate().filter_map(unreadable).collect()
    }

    /// Returns all groups whose owner and replica could be read. A sweep reports copies whose place is unknown.
    pub(super) fn groups(&self, run: &Repair<'_>) -> Vec<Group> {
        let mut copies: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
        let states = (0..self.gateways.len()).filter_map(|on| Some((on, self.readings.state(on).ok()?)));
        for (on, state) in states {
            for (labels, group) in &state.groups {
                // Nothing was ever accepted for a stub.
                if !group.is_stub() {
                    copies.entry(labels).or_default().insert(on);
                }
            }
        }
        let group = |(labels, mut involved): (&_, BTreeSet<usize>)| {
            let location = locate(&run.fleet.router, labels)?;
            let key = run.fleet.router.group(location.path.as_bytes())?.key;
            let replica = run.fleet.router.ring().clockwise(&key).nth(1);
            involved.extend([Some(location.owner), replica].into_iter().flatten());
            let group = Group {
                labels: Clone::clone(labels),
                path: location.path,
                owner: location.owner,
                replica,
                involved,
            };
            let needed = [Some(group.owner), group.replica];
            needed.into_iter().flatten().all(|index| self.readings.state(index).is_ok()).then_some(group)
        };
        copies.into_iter().filter_map(group).collect()
    }

    pub(super) fn into_gateways(self) -> Vec<Known> {
        self.gateways
    }

    pub(super) fn gateways(&self) -> &[Known] {
        &self.gateways
    }
}
