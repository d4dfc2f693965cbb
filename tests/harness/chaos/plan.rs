//! Chooses the next change. A seeded generator chooses each kind equally often.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use fastrand::Rng;

/// Number of gateways that join and leave.
pub(super) const GATEWAYS: usize = 10;
/// Number of gateways that stay unregistered, so that each stays away until Envoy has dropped it and its return is a
/// real join.
const LEAST_ABSENT: usize = 3;
/// A ring is accepted if at least half of the registered members pass, and a source may remember all of them.
const LEAST_PASSING: usize = GATEWAYS.div_ceil(2);
/// Maximum number of changes before Envoy has the first of them.
const LONGEST_BURST: usize = 3;
/// A process is killed during every n-th change; the kinds of kills take turns.
const KILL_EVERY: usize = 6;
const KILLS: [Kill; 5] = [Kill::Publish, Kill::Follower, Kill::Registry, Kill::Publish, Kill::Follower];
/// Number of changes that contain each kind of change and of kill, whatever the seed: a test below.
pub(super) const SHORT: usize = KILL_EVERY * 3;
/// The longest pause between two calls and the latest moment of a kill, in milliseconds.
const LONGEST_PAUSE: u64 = 300;

/// The state of a gateway in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Absent,
    Critical,
    Passing,
}

/// The action of an operator or a health check on one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    TurnCritical,
    TurnPassing,
    RegisterCriticalThenPassing,
    RegisterPassing,
    DeregisterCritical,
    DeregisterPassing,
}

const STEPS: [Step; 6] = [
    Step::TurnCritical,
    Step::TurnPassing,
    Step::RegisterCriticalThenPassing,
    Step::RegisterPassing,
    Step::DeregisterCritical,
    Step::DeregisterPassing,
];

/// The process that is killed with SIGKILL during a change, and started again if its supervisor would do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// consul-template or `pushring discover`, at any time.
    Follower,
    /// A publication.
    Publish,
    /// Consul, etcd, the DNS server; a file is away for a while.
    Registry,
}

/// One change, with all random choices made.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) number: usize,
    pub(super) step: Step,
    pub(super) gateway: usize,
    /// The states that the registry gets, one after another.
    pub(super) states: Vec<State>,
    pub(super) kill: Option<Kill>,
    /// The pause before each state except the first, before the kill, and after the change.
    pub(super) pause: Duration,
    /// Whether the next change waits until Envoy has this one.
    pub(super) wait: bool,
}

/// Chooses the changes; the same seed gives the same changes.
#[derive(Debug)]
pub(super) struct Plan {
    rng: Rng,
    states: Vec<State>,
    /// The number of the last change.
    since: Vec<usize>,
    made: BTreeMap<Step, usize>,
    number: usize,
    /// Gateways in changes that Envoy may not have yet. They are not changed again: if a change were reverted, the
    /// ring would look as if it had never changed.
    pending: BTreeSet<usize>,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let state = |gateway| if gateway <= LEAST_ABSENT { State::Absent } else { State::Passing };
        Self {
            rng: Rng::with_seed(seed),
            states: (0..GATEWAYS).map(state).collect(),
            since: vec![0; GATEWAYS],
            made: STEPS.iter().map(|step| (*step, 0)).collect(),
            number: 0,
            pending: BTreeSet::new(),
        }
    }

    /// Returns the current state of each gateway.
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    pub(super) fn next(&mut self) -> Change {
        self.number += 1;
        let mut possible = self.possible();
        // Some step is always possible: more than two registered gateways are not pending, and as many of the others.
        let fewest = possible.iter().map(|(step, _)| self.made[step]).min().unwrap_or_default();
        possible.retain(|(step, _)| self.made[step] == fewest);
        let (step, mut gateway) = possible[self.rng.usize(..possible.len())];
        if step.begins_with(State::Absent) {
            let absent = possible.iter().filter(|(other, _)| *other == step).map(|(_, gateway)| *gateway);
            gateway = absent.min_by_key(|gateway| self.since[*gateway]).unwrap_or(gateway);
        }
        *self.made.entry(step).or_default() += 1;
        let states = step.states(self.states[gateway]);
        self.states[gateway] = states[states.len() - 1];
        self.since[gateway] = self.number;

        let kill = (self.number.is_multiple_of(KILL_EVERY))
            .then(|| KILLS[(self.number / KILL_EVERY - 1) % KILLS.len()]);
        self.pending.insert(gateway);
        let wait = kill.is_some() || self.pending.len() == LONGEST_BURST || self.rng.bool();
        if wait {
            self.pending.clear();
        }
        let pause = Duration::from_millis(self.rng.u64(..LONGEST_PAUSE));
        Change { number: self.number, step, gateway, states, kill, pause, wait }
    }

    fn possible(&self) -> Vec<(Step, usize)> {
        let count = |wanted| self.states.iter().filter(|state| **state == wanted).count();
        let (passing, absent) = (count(State::Passing), count(State::Absent));
        let fits = |step: Step, state| {
            let enough = match state {
                State::Absent => absent > LEAST_ABSENT,
                State::Critical => true,
                State::Passing => passing > LEAST_PASSING,
            };
            enough && step.begins_with(state)
        };
        let gateways = self.states.iter().enumerate().filter(|(gateway, _)| !self.pending.contains(gateway));
        gateways
            .flat_map(|(gateway, state)| {
                STEPS.into_iter().filter(move |step| fits(*step, *state)).map(move |step| (step, gateway))
            })
            .collect()
    }
}

impl Step {
    fn begins_with(self, state: State) -> bool {
        match self {
            Self::TurnCritical | Self::DeregisterPassing => state == State::Passing,
            Self::TurnPassing => state == State::Critical,
            Self::RegisterCriticalThenPassing | Self::RegisterPassing => state == State::Absent,
            Self::DeregisterCritical => state != State::Absent,
        }
    }

    fn states(self, from: State) -> Vec<State> {
        match self {
            Self::TurnCritical => vec![State::Critical],
            Self::TurnPassing | Self::RegisterPassing => vec![State::Passing],
            Self::RegisterCriticalThenPassing => vec![State::Critical, State::Passing],
            Self::DeregisterCritical if from == State::Passing => vec![State::Critical, State::Absent],
            Self::DeregisterCritical | Self::DeregisterPassing => vec![State::Absent],
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "change {} ({:?} gateway-{}", self.number, self.step, self.gateway)?;
        match self.kill {
            Some(kill) => write!(f, ", {kill:?} killed)"),
            None => write!(f, ")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_has_every_kind_of_change_and_kill() {
        for seed in 0..1000 {
            let mut plan = Plan::new(seed);
            let changes: Vec<Change> = (0..SHORT).map(|_| plan.next()).collect();
            for step in STEPS {
                assert!(changes.iter().any(|change| change.step == step), "seed {seed} without {step:?}");
            }
            for kill in KILLS {
                assert!(
                    changes.iter().any(|change| change.kill == Some(kill)),
                    "seed {seed} without {kill:?}"
                );
            }
        }
    }
}
