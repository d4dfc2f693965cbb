//! Decides which pushes were lost: which gateways may have a push, and whether they store it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::gateways::{self, Held};
use super::load::Push;

/// How long another worker of Envoy may use the old ring after the first one is seen with the new ring.
const OTHER_WORKERS: Duration = Duration::from_secs(5);

/// How long a gateway may take to store what it has answered: milliseconds, unless the machine is busy.
const STORED: Duration = Duration::from_secs(60);

/// The owners of all groups under one ring, and the period in which Envoy may use it: from before the change in Consul
/// until a later ring is active in Envoy.
#[derive(Debug)]
struct Term {
    owners: Vec<usize>,
    from: Instant,
    until: Option<Instant>,
}

/// A push that was not answered, or that is not stored where it belongs.
#[derive(Debug)]
pub struct Loss {
    /// Time since the start of the run.
    pub at: Duration,
    /// The last change before the push was answered.
    pub change: String,
    /// The push and the error.
    pub what: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.3} s, after {}: {}", self.at.as_secs_f64(), self.change, self.what)
    }
}

#[derive(Debug)]
pub(super) struct Ledger {
    started: Instant,
    terms: Vec<Term>,
    changes: Vec<(Instant, String)>,
    /// The last push of each group that was answered: its value and the gateway.
    last: BTreeMap<usize, (u64, usize)>,
    /// Number of pushes that each gateway answered.
    answered: Vec<u64>,
    pub(super) pushes: u64,
    pub(super) lost: Vec<Loss>,
}

impl Ledger {
    pub(super) fn new(gateways: usize, owners: Vec<usize>) -> Self {
        let started = Instant::now();
        Self {
            started,
            terms: vec![Term { owners, from: started, until: None }],
            changes: vec![(started, "the start".to_owned())],
            last: BTreeMap::new(),
            answered: vec![0; gateways],
            pushes: 0,
            lost: Vec::new(),
        }
    }

    /// Records the next change, for the report of losses.
    pub(super) fn note(&mut self, change: String) {
        self.changes.push((Instant::now(), change));
    }

    /// Records that Envoy may use the ring with these owners from now on.
    pub(super) fn ring_may_be(&mut self, owners: Vec<usize>) {
        self.terms.push(Term { owners, from: Instant::now(), until: None });
    }

    /// Records that Envoy uses the latest ring, which ends all earlier periods.
    pub(super) fn ring_seen(&mut self) {
        let until = Instant::now() + OTHER_WORKERS;
        if let Some((_, over)) = self.terms.split_last_mut() {
            over.iter_mut().for_each(|term| term.until = term.until.or(Some(until)));
        }
    }

    /// Checks all pushes since the last quiet point; `look` reads the gateways while no push is in flight.
    pub(super) fn judge(&mut self, pushes: &[Push], look: impl Fn() -> Result<Vec<Held>>) -> Result<()> {
        self.pushes += pushes.len() as u64;
        for push in pushes {
            if let Err(reason) = self.place(push) {
                self.lose(push.done, format!("push {} of group {}: {reason}", push.value, push.group));
            }
        }
        let now = Instant::now();
        let mut held = look()?;
        while !self.missing(&held).is_empty() && now.elapsed() < STORED {
            held = look()?;
        }
        for what in self.missing(&held) {
            self.lose(now, what);
        }
        // Reports each loss once.
        self.answered
            .iter_mut()
            .zip(&held)
            .for_each(|(answered, held)| *answered = held.pushes.min(*answered));
        self.last.retain(|group, (value, gateway)| held[*gateway].has(*group, *value));
        self.terms.retain(|term| term.until.is_none_or(|until| until > now));
        Ok(())
    }

    /// Returns the pushes that were answered and are not stored.
    fn missing(&self, held: &[Held]) -> Vec<String> {
        let mut missing = Vec::new();
        for (gateway, (answered, held)) in self.answered.iter().zip(held).enumerate() {
            // More pushes than answers are not a loss: a gateway may store a push whose answer did not arrive.
            for _ in held.pushes..*answered {
                missing.push(format!("{} counts fewer pushes than it answered", gateways::name(gateway)));
            }
        }
        for (group, (value, gateway)) in &self.last {
            if !held[*gateway].has(*group, *value) {
                let name = gateways::name(*gateway);
                missing.push(format!(
                    "push {value} of group {group}: answered by {name}, which does not have it"
                ));
            }
        }
        missing
    }

    fn place(&mut self, push: &Push) -> Result<(), String> {
        let name = push.outcome.as_ref().map_err(Clone::clone)?;
        let gateway =
            gateways::index(name).ok_or_else(|| format!("answered by {name:?}, which is not a gateway"))?;
        self.last.insert(push.group, (push.value, gateway));
        self.answered[gateway] += 1;
        let in_time =
            |term: &&Term| term.from <= push.done && term.until.is_none_or(|until| until >= push.sent);
        let mut owners = self.terms.iter().filter(in_time).map(|term| term.owners[push.group]);
        if owners.any(|owner| owner == gateway) {
            return Ok(());
        }
        Err(format!("answered by {name}, which owned the group neither before nor after"))
    }

    fn lose(&mut self, at: Instant, what: String) {
        let change = self.changes.iter().rev().find(|(time, _)| *time <= at);
        let change = change.map(|(_, change)| change.clone()).unwrap_or_default();
        self.lost.push(Loss { at: at.duration_since(self.started), change, what });
    }
}
