//! What happens next: kinds of changes, mixed by a seeded generator so that each kind comes as often as the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use fastrand::Rng;

/// Gateways that come and go.
pub(super) const GATEWAYS: usize = 10;
/// So many are not registered, so that each stays away until Envoy has dropped it: its coming back is a real joining.
const LEAST_ABSENT: usize = 3;
/// A ring is accepted from a third of the registered members on.
const LEAST_PASSING: usize = (GATEWAYS - LEAST_ABSENT).div_ceil(3);
/// How many changes, one after another, are made before Envoy has the first of them, at most.
const LONGEST_BURST: usize = 3;
/// Every so many changes something is killed in the middle of one, these in turn.
const KILL_EVERY: usize = 6;
const KILLS: [Kill; 5] =
    [Kill::Publish, Kill::ConsulTemplate, Kill::Publish, Kill::ConsulTemplate, Kill::Consul];
/// Milliseconds; the longest pause between two calls, and the latest moment of a kill.
const LONGEST_PAUSE: u64 = 300;

/// What Consul knows of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Absent,
    Critical,
    Passing,
}

/// What an operator, or a check, does to one gateway.
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

/// What is killed with SIGKILL while a change is on its way, and started again where that is a supervisor's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    ConsulTemplate,
    Publish,
    Consul,
}

/// One change, with all that is left to chance decided.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) number: usize,
    pub(super) step: Step,
    pub(super) gateway: usize,
    /// The states that Consul is told of, one after another.
    pub(super) states: Vec<State>,
    pub(super) kill: Option<Kill>,
    /// Before each state but the first, before the kill, and after the change.
    pub(super) pause: Duration,
    /// Whether the next change waits until Envoy has this one.
    pub(super) wait: bool,
}

/// Decides the changes; the same seed gives the same.
#[derive(Debug)]
pub(super) struct Plan {
    rng: Rng,
    states: Vec<State>,
    /// The number of the change that made it so.
    since: Vec<usize>,
    made: BTreeMap<Step, usize>,
    number: usize,
    /// Gateways in changes that Envoy may not have yet. They are left alone: were a change taken back, nobody could
    /// tell a ring that came back from one that never left.
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

    /// The states so far, by gateway.
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    pub(super) fn next(&mut self) -> Change {
        self.number += 1;
        let mut possible = self.possible();
        // Some step is possible always: of those that are registered more than two are not pending, of the others as many.
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
